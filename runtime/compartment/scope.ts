/** Names: which of a method's identifiers are bound inside it, and which are free (globals, powers, or mistakes). */
import { child, childOrNull, childrenOf, isFunction, list, nameOf, type Node } from './ast.js';

export interface FreeUse {
  readonly name: string;
  readonly node: Node;
  readonly write: boolean;
}

/** Every free use in the function `root`, in source order. `arguments` counts as bound inside non-arrow functions only. */
export function freeUses(root: Node): FreeUse[] {
  const uses: FreeUse[] = [];
  visitFunction(root, new Scope(null, true), uses);
  return uses;
}

class Scope {
  private readonly names = new Set<string>();

  constructor(
    private readonly outer: Scope | null,
    readonly isFunction: boolean,
  ) {}

  declare(name: string): void {
    this.names.add(name);
  }

  has(name: string): boolean {
    return this.names.has(name) || (this.outer?.has(name) ?? false);
  }
}

function visitFunction(node: Node, outer: Scope, uses: FreeUse[]): void {
  const scope = new Scope(outer, true);
  const id = childOrNull(node, 'id');
  if (node.type === 'FunctionExpression' && id) scope.declare(nameOf(id));
  if (node.type !== 'ArrowFunctionExpression') scope.declare('arguments');
  const params = list(node, 'params').filter((p) => p !== null);
  for (const param of params) declarePattern(param, scope);
  const body = child(node, 'body');
  declareVars(body, scope);
  for (const param of params) visitPattern(param, scope, uses, false);
  if (body.type === 'BlockStatement') visitStatements(body, scope, uses);
  else visit(body, scope, uses);
}

function visitStatements(block: Node, scope: Scope, uses: FreeUse[]): void {
  const statements =
    block.type === 'SwitchStatement'
      ? list(block, 'cases').flatMap((c) => (c ? list(c, 'consequent') : []))
      : list(block, 'body');
  for (const s of statements) if (s) declareLexical(s, scope);
  for (const c of childrenOf(block)) visit(c, scope, uses);
}

/** `let`, `const` and functions of one block. */
function declareLexical(statement: Node, scope: Scope): void {
  if (statement.type === 'VariableDeclaration' && statement['kind'] !== 'var') declareDeclaration(statement, scope);
  if (statement.type === 'FunctionDeclaration') scope.declare(nameOf(child(statement, 'id')));
}

/** `var`s of a whole function body, not of functions inside it. */
function declareVars(node: Node, scope: Scope): void {
  if (isFunction(node)) return;
  if (node.type === 'VariableDeclaration' && node['kind'] === 'var') declareDeclaration(node, scope);
  for (const c of childrenOf(node)) declareVars(c, scope);
}

function declareDeclaration(node: Node, scope: Scope): void {
  for (const d of list(node, 'declarations')) if (d) declarePattern(child(d, 'id'), scope);
}

function declarePattern(node: Node, scope: Scope): void {
  switch (node.type) {
    case 'Identifier':
      return scope.declare(nameOf(node));
    case 'AssignmentPattern':
      return declarePattern(child(node, 'left'), scope);
    case 'RestElement':
      return declarePattern(child(node, 'argument'), scope);
    case 'Property':
      return declarePattern(child(node, 'value'), scope);
    case 'ArrayPattern':
    case 'ObjectPattern':
      for (const c of childrenOf(node)) declarePattern(c, scope);
  }
}

/** The uses inside a pattern: default values and computed keys, and its targets when it is assigned to (`write`). */
function visitPattern(node: Node, scope: Scope, uses: FreeUse[], write: boolean): void {
  switch (node.type) {
    case 'Identifier':
      if (write) use(node, scope, uses, true);
      return;
    case 'AssignmentPattern':
      visitPattern(child(node, 'left'), scope, uses, write);
      return visit(child(node, 'right'), scope, uses);
    case 'RestElement':
      return visitPattern(child(node, 'argument'), scope, uses, write);
    case 'Property':
      if (node['computed'] === true) visit(child(node, 'key'), scope, uses);
      return visitPattern(child(node, 'value'), scope, uses, write);
    case 'ArrayPattern':
    case 'ObjectPattern':
      for (const c of childrenOf(node)) visitPattern(c, scope, uses, write);
      return;
    case 'ParenthesizedExpression':
      return visitPattern(child(node, 'expression'), scope, uses, write);
    default:
      visit(node, scope, uses);
  }
}

function visit(node: Node, scope: Scope, uses: FreeUse[]): void {
  switch (node.type) {
    case 'Identifier':
      return use(node, scope, uses, false);
    case 'ArrowFunctionExpression':
    case 'FunctionExpression':
    case 'FunctionDeclaration':
      return visitFunction(node, scope, uses);
    case 'BlockStatement':
      return visitStatements(node, new Scope(scope, false), uses);
    case 'SwitchStatement':
      return visitStatements(node, new Scope(scope, false), uses);
    case 'ForStatement':
    case 'ForInStatement':
    case 'ForOfStatement':
      return visitFor(node, new Scope(scope, false), uses);
    case 'CatchClause':
      return visitCatch(node, new Scope(scope, false), uses);
    case 'VariableDeclarator':
      return visitDeclarator(node, scope, uses);
    case 'AssignmentExpression':
      visitPattern(child(node, 'left'), scope, uses, true);
      return visit(child(node, 'right'), scope, uses);
    case 'UpdateExpression':
      return visitPattern(child(node, 'argument'), scope, uses, true);
    case 'MemberExpression':
      visit(child(node, 'object'), scope, uses);
      if (node['computed'] === true) visit(child(node, 'property'), scope, uses);
      return;
    case 'Property':
      if (node['computed'] === true) visit(child(node, 'key'), scope, uses);
      return visit(child(node, 'value'), scope, uses);
    case 'LabeledStatement':
      return visit(child(node, 'body'), scope, uses);
    case 'BreakStatement':
    case 'ContinueStatement':
    case 'MetaProperty':
      return;
    default:
      for (const c of childrenOf(node)) visit(c, scope, uses);
  }
}

function visitFor(node: Node, scope: Scope, uses: FreeUse[]): void {
  const head = childOrNull(node, node.type === 'ForStatement' ? 'init' : 'left');
  if (head?.type === 'VariableDeclaration') declareLexical(head, scope);
  for (const c of childrenOf(node)) {
    if (c === head && node.type !== 'ForStatement' && c.type !== 'VariableDeclaration')
      visitPattern(c, scope, uses, true);
    else visit(c, scope, uses);
  }
}

function visitCatch(node: Node, scope: Scope, uses: FreeUse[]): void {
  const param = childOrNull(node, 'param');
  if (param) {
    declarePattern(param, scope);
    visitPattern(param, scope, uses, false);
  }
  visit(child(node, 'body'), scope, uses);
}

function visitDeclarator(node: Node, scope: Scope, uses: FreeUse[]): void {
  visitPattern(child(node, 'id'), scope, uses, false);
  const init = childOrNull(node, 'init');
  if (init) visit(init, scope, uses);
}

function use(node: Node, scope: Scope, uses: FreeUse[], write: boolean): void {
  const name = nameOf(node);
  if (!scope.has(name)) uses.push({ name, node, write });
}
