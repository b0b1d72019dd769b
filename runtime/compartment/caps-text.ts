/** String. Searches for long texts are ours where V8's take time in proportion to the product of both lengths (tried: minutes). */
import { MAX_STRING } from './helpers.js';
import { exceed, grow, growText, integer, replace, work, type Native, textOf } from './caps-common.js';
import { running } from './meter.js';

/** Linear in the length of the text, small factor. */
const LINEAR = [
  'toLowerCase',
  'toUpperCase',
  'toLocaleLowerCase',
  'toLocaleUpperCase',
  'trim',
  'trimStart',
  'trimEnd',
  'localeCompare',
  'isWellFormed',
  'toWellFormed',
  'at',
  'codePointAt',
];
const MARKUP = [
  'anchor',
  'big',
  'blink',
  'bold',
  'fixed',
  'fontcolor',
  'fontsize',
  'italics',
  'link',
  'small',
  'strike',
  'sub',
  'sup',
];
const GLOBAL = ['encodeURI', 'encodeURIComponent', 'decodeURI', 'decodeURIComponent', 'parseInt', 'parseFloat'];

/** Beyond this product of the two lengths a search is done by our own linear algorithm. */
const PRODUCT = 10_000_000;

/** Characters that `encodeURI`, `normalize` and the like take at once. */
const MAX_SLOW = 1024 * 1024;

type Original = (self: unknown, ...args: unknown[]) => unknown;

/** Answers the global functions that methods see instead of the originals. */
export function capText(): Record<string, unknown> {
  const proto = String.prototype as unknown as Record<string, unknown>;
  for (const name of LINEAR)
    replace(proto, name, (original) =>
      onText(name, (text, a, b) => (work(text.length >>> 3, 'a string'), original(text, a, b))),
    );
  for (const name of MARKUP)
    replace(proto, name, (original) =>
      onText(name, (text, a, b) => (growText(text.length + 6 * textOf(a).length, 'a string'), original(text, a, b))),
    );
  replace(proto, 'normalize', (original) =>
    onText('normalize', (text, a, b) => (checkSlow(text), original(text, a, b))),
  );
  replace(proto, 'repeat', (original) => onText('repeat', repeat(original)));
  for (const name of ['padStart', 'padEnd']) replace(proto, name, (original) => onText(name, pad(original)));
  replace(proto, 'concat', concat);
  for (const name of ['indexOf', 'includes', 'lastIndexOf'])
    replace(proto, name, (original) => onText(name, search(name, original)));
  replace(proto, 'split', (original) => onText('split', split(original)));
  for (const name of ['replace', 'replaceAll'])
    replace(proto, name, (original) => onText(name, substitute(name, original)));
  for (const name of ['match', 'matchAll', 'search'])
    replace(proto, name, (original) =>
      onText(name, (text, a, b) => (work(text.length >>> 3, 'a string'), original(text, a, b))),
    );
  replace(String, 'raw', () => raw);
  const made = Object.fromEntries(
    GLOBAL.map((name) => [name, (globalThis as unknown as Record<string, unknown>)[name]]),
  );
  for (const name of GLOBAL) replace(made, name, (original) => ofText(original));
  for (const name of ['parseInt', 'parseFloat']) Object.defineProperty(Number, name, { value: made[name] });
  return made;
}

/** A method whose receiver is converted to a string once. None takes more than two arguments, and `undefined` is the same as none to all. */
function onText(name: string, body: (text: string, a: unknown, b: unknown) => unknown): Native {
  const holder = {
    [name](this: unknown, a?: unknown, b?: unknown): unknown {
      if (typeof this === 'string') return body(this, a, b);
      if (this === null || this === undefined)
        throw new TypeError(`String.prototype.${name} called on null or undefined`);
      return body(textOf(this), a, b);
    },
  };
  return holder[name] as Native;
}

function ofText(original: Original): Native {
  const holder = {
    method(text: unknown, ...args: unknown[]): unknown {
      const value = typeof text === 'string' ? text : textOf(text);
      checkSlow(value);
      return original(undefined, value, ...args);
    },
  };
  return holder.method;
}

/** For what takes V8 a third of a microsecond for each character. */
function checkSlow(text: string): void {
  if (text.length > MAX_SLOW && running.meter) throw exceed(`this on ${text.length} characters; at most ${MAX_SLOW}`);
  work(text.length << 3, 'a string');
}

function repeat(original: Original) {
  return (text: string, count: unknown): unknown => {
    const times = integer(count);
    growText(text.length * times, 'a repeated string');
    return original(text, times);
  };
}

function pad(original: Original) {
  return (text: string, length: unknown, filler: unknown): unknown => {
    const wanted = integer(length);
    growText(wanted, 'a padded string');
    return filler === undefined ? original(text, wanted) : original(text, wanted, filler);
  };
}

function concat(original: Original): Native {
  const holder = {
    concat(this: unknown, ...args: unknown[]): unknown {
      const parts = [this, ...args].map((part) => (typeof part === 'string' ? part : textOf(part)));
      const total = parts.reduce((sum, part) => sum + part.length, 0);
      if (total > MAX_STRING && running.meter) throw exceed(`a string of ${total} characters; at most ${MAX_STRING}`);
      return original(...(parts as [string, ...string[]]));
    },
  };
  return holder.concat;
}

function search(name: string, original: Original) {
  return (text: string, needle: unknown, b: unknown): unknown => {
    if (typeof needle !== 'string') {
      work(text.length >>> 3, 'a string');
      return original(text, needle, b);
    }
    if (!slow(text, needle)) {
      work(text.length >>> 3, 'a string');
      return original(text, needle, b);
    }
    if (name === 'lastIndexOf') return lastIndex(text, needle, b);
    const found = find(text, needle, Math.max(0, integer(b)));
    return name === 'includes' ? found >= 0 : found;
  };
}

function slow(text: string, needle: string): boolean {
  return needle.length > 16 && text.length > needle.length && needle.length * text.length > PRODUCT;
}

/** Knuth, Morris, Pratt (SIAM J. Comput. 6, 1977): linear in both lengths, every step charged. */
export function find(text: string, needle: string, start: number): number {
  const table = borders(needle);
  const m = running.meter;
  let matched = 0;
  for (let i = start; i < text.length; i++) {
    if ((i & 15) === 0 && m && --m.left < 0) m.check();
    const c = text.charCodeAt(i);
    while (matched > 0 && needle.charCodeAt(matched) !== c) matched = table[matched - 1] ?? 0;
    if (needle.charCodeAt(matched) === c) matched++;
    if (matched === needle.length) return i - matched + 1;
  }
  return -1;
}

function borders(needle: string): Int32Array {
  const table = new Int32Array(needle.length);
  const m = running.meter;
  for (let i = 1, length = 0; i < needle.length; i++) {
    if ((i & 15) === 0 && m && --m.left < 0) m.check();
    const c = needle.charCodeAt(i);
    while (length > 0 && needle.charCodeAt(length) !== c) length = table[length - 1] ?? 0;
    if (needle.charCodeAt(length) === c) length++;
    table[i] = length;
  }
  return table;
}

function lastIndex(text: string, needle: string, from: unknown): number {
  const limit = from === undefined || Number.isNaN(Number(from)) ? Infinity : integer(from);
  let last = -1;
  for (let at = find(text, needle, 0); at >= 0 && at <= limit; at = find(text, needle, at + 1)) last = at;
  return last;
}

function split(original: Original) {
  return (text: string, separator: unknown, limit: unknown): unknown => {
    work(text.length >>> 1, 'a string');
    if (typeof separator === 'string') {
      if (limit === undefined) growPieces(text, separator);
      if (slow(text, separator))
        return splitBy(text, separator, limit === undefined ? 2 ** 32 - 1 : Number(limit) >>> 0);
    }
    return original(text, separator, limit);
  };
}

/** What many pieces would take is seen before they are made. */
function growPieces(text: string, separator: string): void {
  if (separator === '') return grow(text.length * 8, 'a list of characters');
  if (text.length < 1_000_000) return;
  let pieces = 0;
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, at + separator.length))
    if ((++pieces & 4095) === 0) work(4096, 'a list of pieces');
  grow(pieces * 40, 'a list of pieces');
}

function splitBy(text: string, separator: string, limit: number): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (let at = find(text, separator, 0); at >= 0 && pieces.length < limit; at = find(text, separator, start)) {
    pieces.push(text.slice(start, at));
    start = at + separator.length;
  }
  if (pieces.length < limit) pieces.push(text.slice(start));
  return pieces;
}

function substitute(name: string, original: Original) {
  return (text: string, pattern: unknown, by: unknown): unknown => {
    work(text.length >>> 1, 'a string');
    if (typeof pattern === 'string') {
      if (slow(text, pattern))
        throw exceed(`a search for ${pattern.length} characters in ${text.length}; use indexOf and slice`);
      if (typeof by === 'string' && name === 'replaceAll')
        growText(((text.length / Math.max(1, pattern.length)) * by.length) / 64, 'a string');
    }
    const result = original(text, pattern, by);
    if (typeof result === 'string' && result.length > MAX_STRING && running.meter)
      throw exceed(`a string of ${result.length} characters; at most ${MAX_STRING}`);
    return result;
  };
}

/** String.raw over lists of its own making: a length that lies would keep the native one busy for ever. */
const raw = {
  raw(this: unknown, strings: unknown, ...values: unknown[]): string {
    const parts = (strings as { raw: unknown }).raw;
    if (!Array.isArray(parts)) throw new TypeError('String.raw is for template literals');
    let text = '';
    for (let i = 0; i < parts.length; i++) {
      work(64, 'a string');
      text += textOf(parts[i]) + (i + 1 < parts.length && i < values.length ? textOf(values[i]) : '');
      if (text.length > MAX_STRING && running.meter) throw exceed(`a string of more than ${MAX_STRING} characters`);
    }
    return text;
  },
}.raw as Native;
