/**
 * What may stand in a slot as a method: exactly one function expression, and what it may not contain.
 *
 * The check is not the wall (the compartment is); it makes the wall's cases readable at the moment of writing, and refuses what
 * would make the instrumentation incomplete:
 * 1. Names that begin with `$telos` are the runtime's own.
 * 2. `arguments` outside a non-arrow function would be the factory's.
 * 3. Everything refused names line, column and the offending text.
 */
import { Script } from 'node:vm';

import { TelosError } from '../../protocol/index.js';
import {
  child,
  childOrNull,
  childrenOf,
  isFunction,
  list,
  nameOf,
  parseExpression,
  unparenthesized,
  type Node,
  type Parsed,
} from './ast.js';
import { isKnownName } from './globals.js';
import { freeUses } from './scope.js';

/** Characters of one method's source. */
export const MAX_SOURCE_CHARS = 262_144;

/** Names with this prefix belong to the instrumentation. */
export const RESERVED_PREFIX = '$telos';

export interface SourceInfo {
  /** Parameters after the checks, as written: `self`, `n = 1`, `...rest`. */
  readonly params: string[];
  readonly isAsync: boolean;
  /** Identifiers that are not bound inside: globals (`Math`), powers (`image`), or mistakes. */
  readonly free: Set<string>;
}

export interface CheckedSource extends SourceInfo, Parsed {
  readonly source: string;
  readonly fn: Node;
  /** Uses of free names that no method has: a ReferenceError when reached. */
  readonly unknown: ReadonlySet<Node>;
}

const REFUSED: Readonly<Record<string, string>> = {
  ImportExpression: 'a method can not import; ask for what it needs as a service or pass it as an argument',
  ClassDeclaration: 'a method can not declare a class; make an object with image.create and clone it',
  ClassExpression: 'a method can not make a class; make an object with image.create and clone it',
  WithStatement: '`with` is not allowed; name the object',
  DebuggerStatement: '`debugger` is not allowed; use image.log',
};

/** Globals that would make code or reach the host. SES would stop them too; here the writer is told at once. */
const REFUSED_NAMES: Readonly<Record<string, string>> = {
  eval: 'code is not made at run time; set a method with setMethod',
  Function: 'code is not made at run time; set a method with setMethod',
  arguments: 'take the arguments as parameters: `async (self, ...args) => …`',
};

/**
 * Checks that `source` is exactly one function expression, arrow or `function`, async or not, perhaps in parentheses and with
 * comments or `;` after it.
 * @throws BAD_SOURCE with `line:column` (from 1) and the offending text.
 */
export function checkSource(source: string): SourceInfo {
  const { params, isAsync, free } = checkedSource(source);
  return { params, isAsync, free };
}

/** The function expression alone, without what may stand around it: comments, parentheses, a `;`. @throws BAD_SOURCE */
export function functionText(source: string): string {
  const { fn } = checkedSource(source);
  return source.slice(fn.start, fn.end);
}

/** Like checkSource, with the syntax tree for the instrumentation. */
export function checkedSource(source: string): CheckedSource {
  if (typeof source !== 'string') throw bad('a method is source text', '', 0, source);
  if (source.length > MAX_SOURCE_CHARS) {
    throw new TelosError(
      'TOO_LARGE',
      `a method of ${source.length} characters; at most ${MAX_SOURCE_CHARS} are allowed`,
      {
        remedy: 'split the method',
      },
    );
  }
  const parsed = parse(source);
  const fn = unparenthesized(parsed.root);
  if (!isFunction(fn))
    throw bad(`not a function expression but ${describe(fn)}`, source, fn.start, source.slice(fn.start, fn.end));
  if (fn['generator'] === true) throw bad('a method can not be a generator; make one inside it', source, fn.start);
  refuse(fn, source);
  const uses = freeUses(fn);
  for (const { name, node, write } of uses) {
    const why = Object.hasOwn(REFUSED_NAMES, name) ? REFUSED_NAMES[name] : undefined;
    if (why !== undefined) throw bad(why, source, node.start, name);
    if (write)
      throw bad(
        `assigns to \`${name}\`, which is not declared in it; state lives in slots: \`self.${name} = …\``,
        source,
        node.start,
        name,
      );
  }
  compiles(source, parsed.root);
  const unknown = new Set(uses.filter((u) => !isKnownName(u.name)).map((u) => u.node));
  const params = list(fn, 'params').map((p) => (p ? source.slice(p.start, p.end) : ''));
  return {
    ...parsed,
    source,
    fn,
    unknown,
    params,
    isAsync: fn['async'] === true,
    free: new Set(uses.map((u) => u.name)),
  };
}

function parse(source: string): Parsed {
  try {
    return parseExpression(source);
  } catch (error) {
    if (error instanceof RangeError) throw bad('nested too deeply', source, 0);
    const pos = (error as { pos?: number }).pos ?? 0;
    const shorthand = asShorthand(source);
    if (shorthand !== undefined) {
      const name = shorthand[1] ?? '';
      throw bad(
        `a method in shorthand form, \`${name}(…) {…}\``,
        source,
        0,
        name,
        `write \`async (self, ...args) => {…}\` or \`async function ${name}(self, ...args) {…}\``,
      );
    }
    const text = (error as Error).message.replace(/ \(\d+:\d+\)$/, '');
    throw bad(`syntax error: ${text}`, source, Math.min(pos, source.length));
  }
}

/** `async deposit(self, n) {…}`, `get x() {…}`, `*each() {…}`: what String(object.method) prints. */
function asShorthand(source: string): RegExpMatchArray | undefined {
  const match =
    /^\s*(?:(?:async|get|set|static)\s+)?\*?\s*([\p{ID_Start}$_][\p{ID_Continue}$]*|\[[^\]]*\]|'[^']*'|"[^"]*")\s*\(/u.exec(
      source,
    );
  if (!match || match[1] === 'function' || match[1] === 'async') return undefined;
  try {
    const { root } = parseExpression(`({${source}})`);
    return unparenthesized(root).type === 'ObjectExpression' ? match : undefined;
  } catch {
    return undefined;
  }
}

function refuse(node: Node, source: string): void {
  const why = REFUSED[node.type];
  if (why !== undefined) throw bad(why, source, node.start, source.slice(node.start, node.end));
  if (node.type === 'MetaProperty' && nameOf(child(node, 'meta')) === 'import')
    throw bad('a method can not import', source, node.start, 'import.meta');
  if (node.type === 'Identifier' && nameOf(node).startsWith(RESERVED_PREFIX))
    throw bad(`names that begin with ${RESERVED_PREFIX} are reserved`, source, node.start, nameOf(node));
  if (node.type === 'ArrayPattern' || node.type === 'ObjectPattern') refuseNestedRest(node, source);
  if (node.type === 'ForOfStatement' || node.type === 'ForInStatement') refuseRestIn(child(node, 'left'), source);
  if (node.type === 'CatchClause') refuseRestIn(childOrNull(node, 'param'), source);
  if (node.type === 'TaggedTemplateExpression') refuseAmbiguousRaw(node, source);
  for (const c of childrenOf(node)) refuse(c, source);
}

/**
 * A rest in an array pattern takes all that an iterator gives, in native code that no fuel bounds; so the list is measured before
 * it is taken apart, which needs the pattern to be the whole target, not a part of another.
 */
function refuseNestedRest(pattern: Node, source: string): void {
  for (const element of childrenOf(pattern)) refuseRestIn(element, source);
}

function refuseRestIn(node: Node | null, source: string): void {
  if (node === null) return;
  if (node.type === 'AssignmentPattern') return refuseRestIn(child(node, 'left'), source);
  if (node.type === 'Property') return refuseRestIn(child(node, 'value'), source);
  if (node.type !== 'ArrayPattern' && node.type !== 'ObjectPattern') return;
  const rest = node.type === 'ArrayPattern' ? list(node, 'elements').find((e) => e?.type === 'RestElement') : undefined;
  if (rest)
    throw bad(
      'a rest of a list inside another pattern; take the inner list first, then its rest',
      source,
      rest.start,
      source.slice(rest.start, rest.end),
    );
  for (const c of childrenOf(node)) refuseRestIn(c, source);
}

function refuseAmbiguousRaw(node: Node, source: string): void {
  for (const quasi of list(child(node, 'quasi'), 'quasis')) {
    if (quasi && EVADED.test(source.slice(quasi.start, quasi.end))) {
      throw bad(
        'a tagged template with `<!--`, `-->` or `import(` in it; use a plain template or string',
        source,
        quasi.start,
        source.slice(quasi.start, quasi.end),
      );
    }
  }
}

/** Text that SES takes for an HTML comment or a dynamic import wherever it stands; the instrumentation escapes it in literals. */
export const EVADED = /<!--|-->|\bimport(?=\s*(?:\(|\/[/*]))/;

/** The engine at hand has the last word on syntax: acorn may know a newer edition than it. */
function compiles(source: string, root: Node): void {
  try {
    new Script(`'use strict';(${source.slice(root.start, root.end)}\n)`);
  } catch (error) {
    throw bad(`syntax error: ${(error as Error).message}`, source, root.start);
  }
}

function describe(node: Node): string {
  if (node.type === 'SequenceExpression') return 'several expressions';
  return `a ${node.type.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()}`;
}

function bad(
  why: string,
  source: string,
  pos: number,
  text: unknown = source.slice(pos, pos + 40),
  remedy?: string,
): TelosError {
  const before = source.slice(0, pos).split('\n');
  const place = `${before.length}:${(before.at(-1) ?? '').length + 1}`;
  const quoted = JSON.stringify(String(text).slice(0, 80));
  return new TelosError('BAD_SOURCE', `${place}: ${why}; at ${quoted}`, {
    ...(remedy === undefined ? {} : { remedy }),
    details: { line: before.length, column: (before.at(-1) ?? '').length + 1 },
  });
}
