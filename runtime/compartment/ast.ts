/**
 * The one importer of acorn: the syntax tree of a method, and a typed way to walk it.
 *
 * Sources are parsed as strict code of the newest edition with parentheses kept as nodes, so that text between two nodes is only
 * punctuation, white space and comments.
 */
import { parseExpressionAt, tokenizer, tokTypes, type Comment, type Options } from 'acorn';

export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Parsed {
  readonly root: Node;
  readonly comments: readonly Span[];
}

const OPTIONS: Options = { ecmaVersion: 'latest', sourceType: 'module', preserveParens: true };

/** Parses one expression from the start of `source`; throws acorn's SyntaxError (`pos`), also for anything but `;` after it. */
export function parseExpression(source: string): Parsed {
  const comments: Comment[] = [];
  const root = parseExpressionAt(source, 0, { ...OPTIONS, onComment: comments }) as unknown as Node;
  for (const token of tokenizer(source.slice(root.end), OPTIONS)) {
    if (token.type === tokTypes.semi) continue;
    throw Object.assign(new SyntaxError('something follows the function'), { pos: root.end + token.start });
  }
  return { root, comments: comments.map(({ start, end }) => ({ start, end })) };
}

export function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Node).type === 'string' &&
    typeof (value as Node).start === 'number'
  );
}

/** The child nodes in source order. A shorthand property has its value alone. */
export function childrenOf(node: Node): Node[] {
  const found: Node[] = [];
  for (const key of Object.keys(node)) {
    if (key === 'key' && node['shorthand'] === true) continue;
    const value = node[key];
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) found.push(item);
    } else if (isNode(value)) found.push(value);
  }
  return found.sort((a, b) => a.start - b.start);
}

export function child(node: Node, field: string): Node {
  const value = node[field];
  if (!isNode(value)) throw new TypeError(`${node.type} without ${field}`);
  return value;
}

export function childOrNull(node: Node, field: string): Node | null {
  const value = node[field];
  return isNode(value) ? value : null;
}

export function list(node: Node, field: string): readonly (Node | null)[] {
  const value = node[field];
  return Array.isArray(value) ? (value as (Node | null)[]) : [];
}

export function nameOf(node: Node): string {
  return String(node['name']);
}

export function isFunction(node: Node): boolean {
  return (
    node.type === 'ArrowFunctionExpression' || node.type === 'FunctionExpression' || node.type === 'FunctionDeclaration'
  );
}

export function unparenthesized(node: Node): Node {
  return node.type === 'ParenthesizedExpression' ? unparenthesized(child(node, 'expression')) : node;
}
