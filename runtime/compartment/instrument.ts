/**
 * Rewrites a checked method so that it pays for what it does. Lines stay lines; comments go.
 *
 * | source | becomes | why |
 * | --- | --- | --- |
 * | function entry, catch, finally | `$telosM.on()` | recursion, microtasks, catching the budget |
 * | loop body | `if (--$telosM.left < 0) $telosM.check()` | loops |
 * | `await x`, `yield x` | `$telosM.back(await x)` | the right turn is charged after a wait |
 * | `a + b`, `a += b`, templates | `$telos.add(a + b)` | strings that double |
 * | `a * b` · `**` `<<` `>>` | `$telos.times(a * b)` · `$telos.power(a, b)` … | bigints |
 * | `[...x]` `f(...x)` `[a, ...r] = x` | `$telos.list($telosM, x)` | native loops over endless iterators |
 * | `{...x}` | `$telos.fields($telosM, x)` | copies of long lists |
 */
import { child, childOrNull, childrenOf, list, nameOf, unparenthesized, type Node, type Span } from './ast.js';
import { checkedSource, EVADED, type CheckedSource } from './source.js';

/** Names in instrumented code: the helpers, and the meter of the turn. */
export const HELPERS = '$telos';
export const METER = '$telosM';

const EDGE = `if(--${METER}.left<0)${METER}.check();`;
const ENTRY = `${METER}.on()`;

/** The instrumented function expression, in parentheses. @throws BAD_SOURCE as checkSource does. */
export function instrument(source: string): string {
  return instrumentChecked(checkedSource(source));
}

export function instrumentChecked(checked: CheckedSource): string {
  return new Emitter(checked).method();
}

interface FunctionFrame {
  readonly temps: string[];
}

class Emitter {
  private readonly source: string;
  private readonly comments: readonly Span[];
  private readonly root: Node;
  private frames: FunctionFrame[] = [];
  private counter = 0;
  private readonly unknown: ReadonlySet<Node>;

  constructor(checked: CheckedSource) {
    this.source = checked.source;
    this.comments = checked.comments;
    this.root = checked.root;
    this.unknown = checked.unknown;
  }

  method(): string {
    const outer: FunctionFrame = { temps: [] };
    this.frames.push(outer);
    const lead = this.gap(0, this.root.start);
    const text = this.emit(this.root);
    return outer.temps.length === 0
      ? `${lead}(${text})`
      : `${lead}(()=>{let ${outer.temps.join(',')};return (${text})})()`;
  }

  private emit(node: Node): string {
    switch (node.type) {
      case 'ArrowFunctionExpression':
      case 'FunctionExpression':
      case 'FunctionDeclaration':
        return this.func(node);
      case 'WhileStatement':
      case 'DoWhileStatement':
      case 'ForStatement':
      case 'ForInStatement':
      case 'ForOfStatement':
        return this.loop(node);
      case 'AwaitExpression':
      case 'YieldExpression':
        return ` ${METER}.back(${this.plain(node)})`;
      case 'CatchClause':
        return this.catchClause(node);
      case 'TryStatement':
        return this.plain(node, (c) => (c === node['finalizer'] ? this.block(c, `${ENTRY};`) : this.emit(c)));
      case 'BinaryExpression':
        return this.binary(node);
      case 'AssignmentExpression':
        return this.assignment(node);
      case 'VariableDeclarator':
        return this.declarator(node);
      case 'SpreadElement':
        return this.spread(node);
      case 'ArrayExpression':
      case 'CallExpression':
      case 'NewExpression':
        return this.plain(node, this.argument(node));
      case 'TemplateLiteral':
        return this.template(node);
      case 'TaggedTemplateExpression':
        return this.plain(node, (c) => (c === node['quasi'] ? this.plain(c) : this.emit(c)));
      case 'Identifier':
        return this.unknown.has(node) ? ` ${HELPERS}.free.${nameOf(node)}` : this.plain(node);
      case 'Property':
        return node['shorthand'] === true && this.unknown.has(child(node, 'value'))
          ? `${this.plain(child(node, 'key'))}:${this.emit(child(node, 'value'))}`
          : this.plain(node);
      case 'UnaryExpression':
        return node['operator'] === 'typeof'
          ? this.plain(node, (c) => (c.type === 'Identifier' ? this.plain(c) : this.emit(c)))
          : this.plain(node);
      case 'UpdateExpression':
        return ` ${this.plain(node)} `;
      case 'Literal':
      case 'TemplateElement':
        return evade(this.source.slice(node.start, node.end));
      default:
        return this.plain(node);
    }
  }

  /** The node as written, children through `each`. */
  private plain(node: Node, each: (c: Node) => string = (c) => this.emit(c)): string {
    let out = '';
    let at = node.start;
    for (const c of childrenOf(node)) {
      out += this.gap(at, c.start) + each(c);
      at = c.end;
    }
    return out + this.gap(at, node.end);
  }

  /** Text between nodes, its comments replaced by their line breaks. */
  private gap(start: number, end: number): string {
    let out = '';
    let at = start;
    for (let i = firstFrom(this.comments, start); i < this.comments.length; i++) {
      const comment = this.comments[i];
      if (!comment || comment.end > end) break;
      const inside = this.source.slice(comment.start, comment.end);
      out += this.source.slice(at, comment.start) + (inside.replace(/[^\n\r\u2028\u2029]/g, '') || ' ');
      at = comment.end;
    }
    return out + this.source.slice(at, end);
  }

  private temp(): string {
    const name = `${HELPERS}T${this.counter++}`;
    this.frames.at(-1)?.temps.push(name);
    return name;
  }

  private func(node: Node): string {
    const taken: string[] = [];
    const params = new Map<Node, string>();
    for (const p of list(node, 'params')) {
      const pattern = p && takenApart(p);
      if (!p || !pattern) continue;
      const name = `${HELPERS}P${this.counter++}`;
      taken.push(`var ${this.emit(pattern)}=${HELPERS}.list(${METER},${name});`);
      params.set(
        p,
        p === pattern ? name : name + this.gap(pattern.end, child(p, 'right').start) + this.emit(child(p, 'right')),
      );
    }
    const body = child(node, 'body');
    const frame: FunctionFrame = { temps: [] };
    return this.plain(node, (c) => {
      if (c !== body) return params.get(c) ?? this.emit(c);
      this.frames.push(frame);
      const text = body.type === 'BlockStatement' ? this.plain(body) : this.emit(body);
      this.frames.pop();
      return functionBody(body, text, taken, frame.temps);
    });
  }

  private loop(node: Node): string {
    const body = child(node, 'body');
    const left = childOrNull(node, 'left');
    const pattern =
      left?.type === 'VariableDeclaration' ? takenApart(child(list(left, 'declarations')[0] ?? left, 'id')) : undefined;
    const start = node.type === 'ForOfStatement' && node['await'] === true ? `${ENTRY};` : EDGE;
    if (left === null || pattern === undefined)
      return this.plain(node, (c) => (c === body ? this.block(c, start) : this.emit(c)));
    const name = `${HELPERS}P${this.counter++}`;
    const declared = `${String(left['kind'])} ${this.emit(pattern)}=${HELPERS}.list(${METER},${name});`;
    return this.plain(node, (c) => {
      if (c === left) return `const ${name}`;
      return c === body ? this.block(c, start + declared) : this.emit(c);
    });
  }

  /** A statement as a block that begins with `start`. */
  private block(node: Node, start: string): string {
    const text = this.emit(node);
    return node.type === 'BlockStatement' && !start.includes(`${HELPERS}P`)
      ? `{${start}${text.slice(1)}`
      : `{${start}${text}}`;
  }

  private catchClause(node: Node): string {
    const param = childOrNull(node, 'param');
    const body = child(node, 'body');
    const name = `${HELPERS}E`;
    const start = `${HELPERS}.caught(${METER},${name});`;
    if (param === null) return this.plain(node, (c) => `(${name})${this.block(c, start)}`);
    if (param.type === 'Identifier')
      return this.plain(node, (c) =>
        c === body ? this.block(c, `${HELPERS}.caught(${METER},${nameOf(param)});`) : this.emit(c),
      );
    const declared = `let ${this.emit(param)}=${name};`;
    return this.plain(node, (c) => (c === body ? `{${start}${declared}${this.emit(c)}}` : name));
  }

  private binary(node: Node): string {
    const operator = String(node['operator']);
    const [left, right] = [child(node, 'left'), child(node, 'right')];
    if (operator === '+')
      return isSmall(left) || isSmall(right) ? this.plain(node) : ` ${HELPERS}.add(${this.sum(node)})`;
    if (operator === '*')
      return isNumber(left) || isNumber(right) ? this.plain(node) : ` ${HELPERS}.times(${this.plain(node)})`;
    const helper = HELPED[operator];
    if (helper === undefined || isNumber(left) || isNumber(right)) return this.plain(node);
    return ` ${HELPERS}.${helper}(${this.emit(left)},${this.emit(right)})`;
  }

  /** `a + b + c` is checked once, at the end. */
  private sum(node: Node): string {
    return this.plain(node, (c) =>
      c === node['left'] && c.type === 'BinaryExpression' && c['operator'] === '+' ? this.sum(c) : this.emit(c),
    );
  }

  private assignment(node: Node): string {
    const operator = String(node['operator']);
    const [left, right] = [child(node, 'left'), child(node, 'right')];
    if (operator === '=' && isLength(left) && !isSmallNumber(right))
      return this.plain(node, (c) => (c === right ? ` ${HELPERS}.size(${METER},${this.emit(c)})` : this.emit(c)));
    if (operator === '=')
      return takenApart(left)
        ? this.plain(node, (c) => (c === right ? this.listOf(c) : this.emit(c)))
        : this.plain(node);
    const plainOperator = operator.slice(0, -1);
    const harmless =
      plainOperator === '+'
        ? isSmall(right)
        : isNumber(right) || !Object.hasOwn({ '*': 1, '**': 1, '<<': 1, '>>': 1 }, plainOperator);
    if (harmless) return this.plain(node);
    const { before, target } = this.target(unparenthesized(left));
    const value = this.emit(right);
    return `${before}${target}=${combined(plainOperator, target, value)}${before === '' ? '' : ')'}`;
  }

  /** A target that may be written twice without being evaluated twice. */
  private target(left: Node): { before: string; target: string } {
    if (left.type !== 'MemberExpression') return { before: '', target: this.emit(left) };
    const [object, property] = [child(left, 'object'), child(left, 'property')];
    const computed = left['computed'] === true;
    const simpleObject = object.type === 'Identifier' || object.type === 'ThisExpression' || object.type === 'Super';
    if (simpleObject && (!computed || isNumber(property) || isText(property)))
      return { before: '', target: this.emit(left) };
    let before = ' (';
    let base = this.emit(object);
    if (object.type !== 'Super') {
      const name = this.temp();
      before += `${name}=(${base}),`;
      base = name;
    }
    if (!computed) return { before, target: `${base}.${this.emit(property)}` };
    const key = this.temp();
    return { before: `${before}${key}=${HELPERS}.key(${this.emit(property)}),`, target: `${base}[${key}]` };
  }

  private declarator(node: Node): string {
    if (!takenApart(child(node, 'id'))) return this.plain(node);
    return this.plain(node, (c) => (c === node['init'] ? this.listOf(c) : this.emit(c)));
  }

  private listOf(node: Node): string {
    return ` ${HELPERS}.list(${METER},${this.emit(node)})`;
  }

  private spreadList(node: Node): string {
    return this.plain(node, (c) => this.listOf(c));
  }

  /** Arguments and items: spreads, and the one argument that makes room for a long list. */
  private argument(node: Node): (c: Node) => string {
    const args = list(node, 'arguments');
    const only = args.length === 1 && makesList(childOrNull(node, 'callee')) ? args[0] : null;
    return (c) => {
      if (c.type === 'SpreadElement') return this.spreadList(c);
      return c === only && !isSmallNumber(c) ? ` ${HELPERS}.size(${METER},${this.emit(c)})` : this.emit(c);
    };
  }

  private spread(node: Node): string {
    return this.plain(node, (c) => ` ${HELPERS}.fields(${METER},${this.emit(c)})`);
  }

  private template(node: Node): string {
    return list(node, 'expressions').length === 0 ? this.plain(node) : ` ${HELPERS}.text(${METER},${this.plain(node)})`;
  }
}

/** The index of the first span that begins at `pos` or later. */
function firstFrom(spans: readonly Span[], pos: number): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.start ?? 0) < pos) low = middle + 1;
    else high = middle;
  }
  return low;
}

const HELPED: Readonly<Record<string, string>> = { '**': 'power', '<<': 'left', '>>': 'right' };

function combined(operator: string, target: string, value: string): string {
  if (operator === '+') return ` ${HELPERS}.add(${target}+(${value}))`;
  if (operator === '*') return ` ${HELPERS}.times(${target}*(${value}))`;
  return ` ${HELPERS}.${HELPED[operator] ?? ''}(${target},(${value}))`;
}

/** The entry charge, temporaries and taken-apart parameters at the head of a body. A directive prologue stays in front. */
function functionBody(body: Node, text: string, taken: readonly string[], temps: readonly string[]): string {
  const head = `${ENTRY};${temps.length === 0 ? '' : `let ${temps.join(',')};`}${taken.join('')}`;
  if (body.type === 'BlockStatement') return `{${head}${text.slice(1)}`;
  if (taken.length === 0 && temps.length === 0) return ` (${ENTRY},${text})`;
  return `{${head}return (${text})}`;
}

/** The array pattern with a rest that is this whole target, perhaps with a default. */
function takenApart(node: Node): Node | undefined {
  const pattern = node.type === 'AssignmentPattern' ? child(node, 'left') : unparenthesized(node);
  if (pattern.type !== 'ArrayPattern') return undefined;
  return list(pattern, 'elements').some((e) => e?.type === 'RestElement') ? pattern : undefined;
}

/** `Array(n)`, `new Array(n)`, `list.constructor(n)`. */
function makesList(callee: Node | null): boolean {
  if (callee === null) return false;
  const node = unparenthesized(callee);
  return (
    (node.type === 'Identifier' && nameOf(node) === 'Array') ||
    (node.type === 'MemberExpression' && propertyName(node) === 'constructor')
  );
}

function isLength(node: Node): boolean {
  return node.type === 'MemberExpression' && propertyName(node) === 'length';
}

function propertyName(member: Node): string | undefined {
  const property = child(member, 'property');
  if (member['computed'] !== true) return property.type === 'Identifier' ? nameOf(property) : undefined;
  return isText(property) ? String(property['value']) : undefined;
}

function isSmallNumber(node: Node): boolean {
  return isNumber(node) && Number(node['value']) < 100_000;
}

function isNumber(node: Node): boolean {
  return node.type === 'Literal' && typeof node['value'] === 'number';
}

function isText(node: Node): boolean {
  return node.type === 'Literal' && typeof node['value'] === 'string';
}

/** What adds little to a string at most: literals, and results that are numbers, booleans or capped bigints. */
function isSmall(node: Node): boolean {
  switch (node.type) {
    case 'Literal':
      return node['regex'] === undefined && node.end - node.start <= 256;
    case 'ParenthesizedExpression':
      return isSmall(child(node, 'expression'));
    case 'BinaryExpression':
      return node['operator'] !== '+';
    case 'UnaryExpression':
    case 'UpdateExpression':
      return true;
    default:
      return false;
  }
}

function evade(text: string): string {
  if (!EVADED.test(text)) return text;
  return text
    .replaceAll('<!--', '<\\x21--')
    .replaceAll('-->', '--\\x3e')
    .replace(/\bimport(?=\s*(?:\(|\/[/*]))/g, '\\x69mport');
}
