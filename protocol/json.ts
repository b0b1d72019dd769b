/**
 * Values as the command line and the REPL show and take them: JSON, with three forms of one key for what JSON lacks.
 *
 *     {"$bytes": base64}     {"$int": "123"} for a bigint     {"$ref": name or oid}
 *
 * An own key that would be taken for one of them has one more `$` in front.
 */
import { TelosError } from './errors.js';
import { setOwn } from './reader.js';

/** Stands for a reference where no connection is at hand: what fromJson makes, and what `wireRefs` encodes and decodes. */
export class WireRef {
  constructor(readonly id: string) {}
}

/** refOf and makeRef for values that hold WireRefs. */
export const wireRefs = {
  refOf: (value: object): string | undefined => (value instanceof WireRef ? value.id : undefined),
  makeRef: (id: string): WireRef => new WireRef(id),
};

export interface ToJsonOptions {
  /** The name or oid to show for a handle, undefined for what is no handle. */
  refToName?(value: object): string | undefined;
}

const SPECIAL = /^\$+(?:bytes|int|ref)$/;

/** A decoded value as JSON data. Functions and undefined become null. */
export function toJson(value: unknown, options: ToJsonOptions = {}): unknown {
  if (typeof value === 'bigint') return { $int: String(value) };
  if (typeof value === 'function' || (typeof value === 'object' && value !== null)) return objectToJson(value, options);
  return value === undefined || typeof value === 'symbol' ? null : value;
}

function objectToJson(value: object, options: ToJsonOptions): unknown {
  const ref = options.refToName?.(value) ?? wireRefs.refOf(value);
  if (ref !== undefined) return { $ref: ref };
  if (typeof value === 'function') return null;
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map((item) => toJson(item, options));
  const json: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value))
    setOwn(json, SPECIAL.test(key) ? `$${key}` : key, toJson(item, options));
  return json;
}

/** JSON data as a value; references become what `makeRef` answers (a WireRef by default). @throws TelosError BAD_VALUE */
export function fromJson(json: unknown, makeRef: (id: string) => unknown = wireRefs.makeRef): unknown {
  if (Array.isArray(json)) return json.map((item) => fromJson(item, makeRef));
  if (typeof json !== 'object' || json === null) return json;
  const entries = Object.entries(json);
  const first = entries[0];
  if (entries.length === 1 && first !== undefined && /^\$(?:bytes|int|ref)$/.test(first[0]))
    return special(first[0], first[1], makeRef);
  const value: Record<string, unknown> = {};
  for (const [key, item] of entries)
    setOwn(value, SPECIAL.test(key) && key[1] === '$' ? key.slice(1) : key, fromJson(item, makeRef));
  return value;
}

function special(key: string, text: unknown, makeRef: (id: string) => unknown): unknown {
  if (typeof text !== 'string')
    throw new TelosError('BAD_VALUE', `${key} holds ${JSON.stringify(text)} where a string is expected`);
  if (key === '$ref') return makeRef(text);
  if (key === '$int') {
    if (!/^-?\d+$/.test(text))
      throw new TelosError('BAD_VALUE', `$int holds ${JSON.stringify(text)} where digits are expected`);
    return BigInt(text);
  }
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    throw new TelosError('BAD_VALUE', `$bytes holds ${JSON.stringify(text.slice(0, 40))} where base64 is expected`);
  return new Uint8Array(Buffer.from(text, 'base64'));
}
