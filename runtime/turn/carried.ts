/**
 * Values between objects. What one frame hands to another is carried: a primitive value as itself, a reference as `Ref`, all else as bytes,
 * which each side decodes for itself. So two objects never share a mutable value, and a value that nobody looks into is never decoded.
 */
import {
  decodeContent,
  encodeContent,
  pack,
  type Bytes,
  type Content,
  type DecodeOptions,
  type EncodeOptions,
} from '../../protocol/index.js';
import { referenceOf } from './cell.js';

/** A reference by oid or name. */
export class Ref {
  constructor(readonly id: string) {}
}

export type Carried = null | boolean | number | bigint | string | Ref | Bytes;

const byId: DecodeOptions = { makeRef: (id) => new Ref(id) };

export function carriedOf(content: Content): Carried {
  if (!(content instanceof Uint8Array)) return content;
  const id = referenceOf(content);
  return id === undefined ? content : new Ref(id);
}

export const contentOf = (carried: Carried): Content => (carried instanceof Ref ? refContent(carried.id) : carried);

export const refContent = (id: string): Bytes => new Uint8Array(pack({ $ref: id }));

/** Plain data with `Ref`s in it, for the runtime's own use. */
export const plain = (carried: Carried): unknown => (carried instanceof Ref ? carried : decodeContent(carried, byId));

const refs = (value: object): string | undefined => (value instanceof Ref ? value.id : undefined);

/** For plain data with `Ref`s in it. @throws TelosError BAD_VALUE, TOO_LARGE */
export const encodePlain = (value: unknown, limits: Pick<EncodeOptions, 'place' | 'maxBytes' | 'maxDepth'>): Content =>
  encodeContent(value, { ...limits, refOf: refs });

/** The same value with every name in it replaced by what `resolve` says. */
export function resolveNames(
  content: Content,
  resolve: (id: string) => string,
  limits: Pick<EncodeOptions, 'place' | 'maxBytes' | 'maxDepth'>,
): Content {
  return encodePlain(decodeContent(content, { makeRef: (id) => new Ref(resolve(id)) }), limits);
}
