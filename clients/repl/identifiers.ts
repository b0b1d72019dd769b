/** The identifiers of a piece of code that may be global variables. No parser: too many is harmless, too few is not. */

const QUOTED_OR_COMMENT = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
const IDENTIFIER = /(?<![\p{ID_Continue}$.#]|\.\s)(?:[\p{ID_Start}$_][\p{ID_Continue}$]*)/gu;
const SPREAD_OR_HOLE = /\.\.\.|\$\{/g;

export const MAX_CANDIDATES = 256;

const KEYWORDS = new Set(
  (
    'async await break case catch class const continue debugger default delete do else enum export extends false finally for from function if ' +
    'import in instanceof let new null of return static super switch this throw true try typeof undefined var void while with yield'
  ).split(' '),
);

export function identifiersIn(code: string): string[] {
  const bare = code.replace(QUOTED_OR_COMMENT, ' "" ').replace(SPREAD_OR_HOLE, ' ');
  const found = new Set<string>();
  for (const [name] of bare.matchAll(IDENTIFIER)) {
    if (!KEYWORDS.has(name)) found.add(name);
    if (found.size >= MAX_CANDIDATES) break;
  }
  return [...found];
}
