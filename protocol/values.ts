/**
 * What a value is, and its form on the wire and on disk.
 *
 *     Content     a primitive value as itself | msgpack bytes of the wire form of anything else
 *     wire form   array, map, byte string (Uint8Array) as in msgpack, and these maps of one key:
 *                   {"$ref": oid}         a reference; in requests a name may stand there
 *                   {"$method": source, …meta}    a method slot          {"$primitive": name}    a primitive slot
 *                 an own key that begins with `$` has one more `$` in front
 *
 * Encoding checks while it writes (encode.ts), decoding while it reads (decode.ts): a property is read once, so nothing can
 * change between check and use.
 */
import { Writer } from './writer.js';
import { readPlain } from './reader.js';
import { TelosError } from './errors.js';
import type { Bytes, Content } from './envelope.js';

/** `meta`: author, description, … */
export interface MethodSource {
  source: string;
  [meta: string]: unknown;
}

const METHOD = '$method';
const PRIMITIVE = '$primitive';
const METHOD_MARK = Buffer.from('\xa7$method', 'latin1');
const PRIMITIVE_MARK = Buffer.from('\xaa$primitive', 'latin1');

export function methodContent(method: MethodSource): Bytes {
  const { source, ...meta } = method;
  const writer = new Writer(source.length + 1024);
  writer.begin(Number.POSITIVE_INFINITY);
  writer.any({ [METHOD]: source, ...meta });
  return writer.finishCopy();
}

export function primitiveContent(name: string): Bytes {
  const writer = new Writer(1024);
  writer.begin(Number.POSITIVE_INFINITY);
  writer.any({ [PRIMITIVE]: name });
  return writer.finishCopy();
}

/** Looks at the first key only: cheap enough for every look-up. */
export function contentKind(content: Content): 'data' | 'method' | 'primitive' {
  if (!(content instanceof Uint8Array) || content.length < 10) return 'data';
  const first = content[0] as number;
  const at = first === 0xde ? 3 : first === 0xdf ? 5 : (first & 0xf0) === 0x80 ? 1 : 0;
  if (at === 0 || content[at + 1] !== 0x24) return 'data';
  if (startsWith(content, METHOD_MARK, at)) return 'method';
  return startsWith(content, PRIMITIVE_MARK, at) ? 'primitive' : 'data';
}

function startsWith(content: Bytes, mark: Bytes, at: number): boolean {
  for (let i = 0; i < mark.length; i++) if (content[at + i] !== mark[i]) return false;
  return true;
}

function reserved(content: Content): Record<string, unknown> {
  const map = readPlain(content as Bytes);
  if (typeof map !== 'object' || map === null)
    throw new TelosError('MALFORMED', 'a method or primitive slot that is no map');
  return map as Record<string, unknown>;
}

/** The source and meta of a method slot, undefined for every other content. */
export function methodOf(content: Content): MethodSource | undefined {
  if (contentKind(content) !== 'method') return undefined;
  const { [METHOD]: source, ...meta } = reserved(content);
  if (typeof source !== 'string')
    throw new TelosError('MALFORMED', `$method holds ${typeof source} where a source is expected`);
  return { ...meta, source };
}

/** The name of a primitive slot, undefined for every other content. */
export function primitiveOf(content: Content): string | undefined {
  if (contentKind(content) !== 'primitive') return undefined;
  const name = reserved(content)[PRIMITIVE];
  if (typeof name !== 'string')
    throw new TelosError('MALFORMED', `$primitive holds ${typeof name} where a name is expected`);
  return name;
}

/** The oid or name in a wire form `{"$ref": …}`, undefined for anything else. */
export function refIn(wire: unknown): string | undefined {
  if (typeof wire !== 'object' || wire === null || Array.isArray(wire)) return undefined;
  const id = (wire as Record<string, unknown>)['$ref'];
  return typeof id === 'string' && Object.keys(wire).length === 1 ? id : undefined;
}

// ---- names -----------------------------------------------------------------------------------------------------------------

const OID = /^#[A-Za-z0-9._]{1,127}$/;
const ASCII_NAME = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
const ANY_NAME = /^[\p{ID_Start}_$][\p{ID_Continue}$\u200c\u200d]*$/u;
const RESERVED = new Set(
  (
    'break case catch class const continue debugger default delete do else enum export extends false finally for function if import ' +
    'in instanceof new null return super switch this throw true try typeof var void while with yield let static implements ' +
    'interface package private protected public await arguments eval'
  ).split(' '),
);

const isPropertyName = (text: string): boolean =>
  (ASCII_NAME.test(text) || ANY_NAME.test(text)) && text !== '__proto__';

/** A JavaScript identifier that can be a variable in strict code. */
export const isIdentifier = (text: string): boolean => isPropertyName(text) && !RESERVED.has(text);
/** A name of the lobby. */
export const isName = (text: string): boolean => isIdentifier(text);
export const isOid = (text: string): boolean => OID.test(text);
/** Property name as after a dot (reserved words are allowed), with one trailing `*` for a parent slot. */
export const isSlotName = (text: string): boolean => isPropertyName(text.endsWith('*') ? text.slice(0, -1) : text);
