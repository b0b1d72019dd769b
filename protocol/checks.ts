/**
 * The single checks that validate.ts and validate-commit.ts are made of. None allocates unless it throws.
 * @throws TelosError MALFORMED, which quotes the value and its place
 */
import { TelosError, type WireError } from './errors.js';

/** No text of the envelope itself (names, selectors, trace ids, keys) is longer, whatever the configuration allows. */
export const MAX_TEXT = 4096;
const MAX_LIST = 1_000_000;

export type List = readonly unknown[];

export function show(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'bigint') return `${value}n`;
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

export function bad(what: string, place: string, value: unknown, expected: string): TelosError {
  return new TelosError('MALFORMED', `${what}: ${place} is ${show(value)} where ${expected} is expected`);
}

export function list(value: unknown, length: number, what: string): List {
  if (!Array.isArray(value) || value.length < length) throw bad(what, 'it', value, `a list of ${length}`);
  return value as List;
}

export function count(value: unknown, what: string, place: string): void {
  if (typeof value !== 'number' || !(value >= 0 && value <= Number.MAX_SAFE_INTEGER) || value % 1 !== 0) {
    throw bad(what, place, value, 'an integer from 0');
  }
}

export function positive(value: unknown, what: string, place: string): void {
  count(value, what, place);
  if (value === 0) throw bad(what, place, value, 'an integer from 1');
}

export function text(value: unknown, what: string, place: string): void {
  if (typeof value !== 'string' || value.length > MAX_TEXT)
    throw bad(what, place, value, `a text of at most ${MAX_TEXT}`);
}

export function textOrNull(value: unknown, what: string, place: string): void {
  if (value !== null) text(value, what, place);
}

export function bytes(value: unknown, what: string, place: string): void {
  if (!(value instanceof Uint8Array)) throw bad(what, place, value, 'a byte string');
}

export function flag(value: unknown, what: string, place: string): void {
  if (typeof value !== 'boolean') throw bad(what, place, value, 'true or false');
}

export function content(value: unknown, what: string, place: string): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'bigint':
      return;
    case 'number':
      if (value - value === 0) return;
      break;
    case 'object':
      if (value === null || value instanceof Uint8Array) return;
      break;
    default:
  }
  throw bad(what, place, value, 'null, a boolean, number, text or byte string');
}

export function items(value: unknown, what: string, place: string): List {
  if (!Array.isArray(value) || value.length > MAX_LIST) throw bad(what, place, value, 'a list');
  return value as List;
}

export function texts(value: unknown, what: string, place: string): void {
  const all = items(value, what, place);
  for (let i = 0; i < all.length; i++) text(all[i], what, place);
}

export function checkError(value: unknown, what: string): WireError {
  const error = list(value, 5, what);
  for (let i = 0; i < 4; i++) if (typeof error[i] !== 'string') throw bad(what, `error[${i}]`, error[i], 'a text');
  return value as WireError;
}
