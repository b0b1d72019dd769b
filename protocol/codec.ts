/**
 * msgpack without extensions, as every frame, body and journal record uses it. The one file that imports msgpackr.
 *
 * Numbers: integers of up to 32 bits and floats decode to `number`; 64-bit integers decode to `bigint`, and only bigints are
 * encoded as such (a larger integral `number` travels as a float64). Nothing here validates: see values.ts.
 */
import { Packr, Unpackr } from 'msgpackr';
import { TelosError } from './errors.js';

const packr = new Packr({ useRecords: false, moreTypes: false, variableMapSize: true });
const unpackr = new Unpackr({ useRecords: false, int64AsType: 'bigint', moreTypes: false });

/** Encodes plain data. The result is a fresh Buffer that the caller owns. */
export function pack(data: unknown): Buffer {
  return packr.pack(data);
}

/** Decodes one msgpack value. Byte strings in the result are views on `bytes`: copy what is kept. @throws TelosError MALFORMED */
export function unpack(bytes: Uint8Array): unknown {
  try {
    return unpackr.unpack(bytes);
  } catch (cause) {
    const head = Buffer.from(bytes.subarray(0, 16)).toString('hex');
    throw new TelosError('MALFORMED', `${bytes.length} bytes are no msgpack value: ${head}…`, { cause });
  }
}
