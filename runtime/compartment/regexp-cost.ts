/**
 * How badly a regular expression can backtrack, read from its source. Not a proof but a sieve: what is surely cheap runs at once, all else
 * under a deadline (caps-regexp.ts).
 *
 * 1. `nested` is true wherever a quantifier repeats something that can itself match in several ways: that backtracks exponentially.
 * 2. `loops` counts the unbounded quantifiers and back references: n characters cost at most about n to the power of `loops` + 1.
 * 3. `size` is how many atoms it has when counted repetitions are written out.
 */

export interface RegExpCost {
  readonly nested: boolean;
  readonly loops: number;
  readonly size: number;
}

interface Group {
  /** Holds a quantifier or an alternative. */
  variable: boolean;
  size: number;
}

/** Repetitions up to this count are taken as written out, more as a loop. */
const SMALL_COUNT = 4;

export function regExpCost(source: string): RegExpCost {
  const stack: Group[] = [{ variable: false, size: 0 }];
  let nested = false;
  let loops = 0;
  let last: Group | null = null;
  let at = 0;
  const top = (): Group => stack.at(-1) as Group;
  while (at < source.length) {
    const c = source[at];
    const quantifier = last === null ? null : quantifierAt(source, at);
    if (quantifier && last) {
      const repeats = quantifier.max > 1;
      if (repeats && last.variable) nested = true;
      if (quantifier.max > SMALL_COUNT) loops++;
      if (quantifier.max !== quantifier.min) top().variable = true;
      top().size +=
        last.size * (Math.min(quantifier.max, Math.max(quantifier.min, 1)) - 1) +
        (Number.isFinite(quantifier.max) ? last.size * (quantifier.max - quantifier.min) : 0);
      at += quantifier.length;
      last = null;
    } else if (c === '(') {
      stack.push({ variable: false, size: 1 });
      last = null;
      at = afterGroupHead(source, at);
    } else if (c === ')') {
      last = stack.length > 1 ? (stack.pop() as Group) : { variable: false, size: 1 };
      top().size += last.size;
      if (last.variable) top().variable = true;
      at++;
    } else if (c === '|') {
      top().variable = true;
      last = null;
      at++;
    } else {
      if (c === '\\' && /[1-9k]/.test(source[at + 1] ?? '')) loops++;
      at = afterAtom(source, at);
      last = { variable: false, size: 1 };
      top().size++;
    }
  }
  return { nested, loops, size: stack[0]?.size ?? 0 };
}

function quantifierAt(source: string, at: number): { min: number; max: number; length: number } | null {
  const c = source[at];
  const lazy = (length: number): number => (source[at + length] === '?' ? length + 1 : length);
  if (c === '*') return { min: 0, max: Infinity, length: lazy(1) };
  if (c === '+') return { min: 1, max: Infinity, length: lazy(1) };
  if (c === '?') return { min: 0, max: 1, length: lazy(1) };
  if (c !== '{') return null;
  const match = /^\{(\d+)(,(\d*))?\}/.exec(source.slice(at, at + 24));
  if (!match) return null;
  const min = Number(match[1]);
  const max = match[2] === undefined ? min : match[3] === '' ? Infinity : Number(match[3]);
  return { min, max, length: lazy(match[0].length) };
}

/** Behind `(`, `(?:`, `(?=`, `(?<name>` … */
function afterGroupHead(source: string, at: number): number {
  if (source[at + 1] !== '?') return at + 1;
  if (source[at + 2] === '<' && source[at + 3] !== '=' && source[at + 3] !== '!')
    return source.indexOf('>', at) + 1 || source.length;
  return at + (source[at + 2] === '<' ? 4 : 3);
}

function afterAtom(source: string, at: number): number {
  if (source[at] === '\\') return at + 2;
  if (source[at] !== '[') return at + 1;
  let i = at + 1;
  while (i < source.length && source[i] !== ']') i += source[i] === '\\' ? 2 : 1;
  return i + 1;
}
