/**
 * Keys of the journal: one letter, then binary fields in big-endian, so that byte order is the order of the fields.
 *
 *     j seq:8            commit record of the group whose first turn is seq
 *     o oid              snapshot of an object                 x oid 00 seq:8    turns that wrote it, up to seq
 *     n name             oid and attempt                       q no:8            outbox message not yet delivered
 *     d session:8 no:8   saved reply; no 0: the session itself d session:8 no:8 01 key   recorded answer of a service
 *     t due:8 no:8       durable timer                         s session:8 no:8  strikes
 *     l id:8             dead letter                           k key             admitted client
 *     m field            generation, image id, chain, counters, replay mark, life
 */
import type { Key } from './port.js';

const TWO_32 = 2 ** 32;

function u64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32BE(Math.floor(value / TWO_32), offset);
  target.writeUInt32BE(value % TWO_32, offset + 4);
}

const readU64 = (bytes: Uint8Array, offset: number): number => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return view.readUInt32BE(offset) * TWO_32 + view.readUInt32BE(offset + 4);
};

function numeric(letter: string, ...fields: number[]): Key {
  const key = Buffer.allocUnsafe(1 + 8 * fields.length);
  key.write(letter, 0, 'latin1');
  fields.forEach((field, index) => u64(key, field, 1 + 8 * index));
  return key;
}

const fieldBytes = (value: number): Buffer => numeric('x', value).subarray(1);

const text = (letter: string, rest: string): Key => Buffer.from(letter + rest, 'utf8');

export const keys = {
  record: (seq: number): Key => numeric('j', seq),
  object: (oid: string): Key => text('o', oid),
  history: (oid: string, seq: number): Key => Buffer.concat([text('x', `${oid}\0`), fieldBytes(seq)]),
  name: (name: string): Key => text('n', name),
  outbox: (no: number): Key => numeric('q', no),
  session: (session: number): Key => numeric('d', session, 0),
  reply: (session: number, no: number): Key => numeric('d', session, no),
  recorded: (session: number, no: number, key: string): Key =>
    Buffer.concat([numeric('d', session, no), Buffer.from([1]), Buffer.from(key, 'utf8')]),
  timer: (due: number, no: number): Key => numeric('t', due, no),
  deadLetter: (id: number): Key => numeric('l', id),
  strikes: (session: number, no: number): Key => numeric('s', session, no),
  client: (key: string): Key => text('k', key),
  meta: (field: string): Key => text('m', field),
};

/** The whole range of a letter, for `page`. */
export const rangeOf = (letter: string): { gte: Key; lt: Key } => ({
  gte: Buffer.from(letter, 'latin1'),
  lt: Buffer.from([letter.charCodeAt(0) + 1]),
});

/** All keys that begin with `prefix`. */
export const prefixRange = (prefix: Key): { gte: Key; lt: Key } => {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i] !== 0xff) {
      end[i] = (end[i] as number) + 1;
      return { gte: prefix, lt: end.subarray(0, i + 1) };
    }
  }
  return { gte: prefix, lt: Buffer.alloc(prefix.length + 1, 0xff) };
};

/** Fields of a numeric key, without its letter. */
export const fieldsOf = (key: Uint8Array): number[] => {
  const fields: number[] = [];
  for (let offset = 1; offset + 8 <= key.length; offset += 8) fields.push(readU64(key, offset));
  return fields;
};

/** Text after the letter. */
export const textOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset + 1, key.byteLength - 1).toString('utf8');

/** oid and seq of an `x` key. */
export const historyOf = (key: Uint8Array): [oid: string, seq: number] => {
  const end = key.length - 9;
  return [Buffer.from(key.buffer, key.byteOffset + 1, end - 1).toString('utf8'), readU64(key, end + 1)];
};
