/**
 * How a value stands in the store, and the chain over commit records.
 *
 *     most keys    value ‖ CRC 4                     CRC: CRC-32 (IEEE) over key ‖ everything before it, big-endian
 *     j seq        record ‖ chain 32 ‖ CRC 4         chain: SHA-256(chain of the record before ‖ record); 32 zero bytes at first
 *
 * The key is in the CRC, so a value that turns up under another key is found as well.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { TelosError } from '../../protocol/index.js';
import { fieldsOf, historyOf, textOf } from './keys.js';
import type { GroupWrite } from './port.js';

export const CHAIN_BYTES = 32;
const CRC_BYTES = 4;
const RECORD_LETTER = 0x6a;

export const EMPTY_CHAIN: Buffer = Buffer.alloc(CHAIN_BYTES);

export const nextChain = (chain: Uint8Array, record: Uint8Array): Buffer =>
  createHash('sha256').update(chain).update(record).digest();

const isRecordKey = (key: Uint8Array): boolean => key[0] === RECORD_LETTER;

function sealed(key: Uint8Array, parts: readonly Uint8Array[]): Buffer {
  let length = CRC_BYTES;
  for (const part of parts) length += part.length;
  const stored = Buffer.allocUnsafe(length);
  let end = 0;
  for (const part of parts) {
    stored.set(part, end);
    end += part.length;
  }
  stored.writeUInt32BE(crc32(stored.subarray(0, end), crc32(key)), end);
  return stored;
}

export const sealValue = (key: Uint8Array, value: Uint8Array): Buffer => sealed(key, [value]);
export const sealRecord = (key: Uint8Array, record: Uint8Array, chain: Uint8Array): Buffer =>
  sealed(key, [record, chain]);

/** Bytes under the CRC. @throws TelosError DAMAGED naming the key */
function checked(key: Uint8Array, stored: Buffer): Buffer {
  const end = stored.length - CRC_BYTES;
  if (end < 0 || stored.readUInt32BE(end) !== crc32(stored.subarray(0, end), crc32(key))) {
    throw new TelosError('DAMAGED', `${describeKey(key)} does not have the content that was written: its CRC differs`);
  }
  return stored.subarray(0, end);
}

/** The value as it was put; of a commit record without its chain hash. @throws TelosError DAMAGED naming the key */
export function openValue(key: Uint8Array, stored: Buffer): Buffer {
  const content = checked(key, stored);
  return isRecordKey(key) ? content.subarray(0, content.length - CHAIN_BYTES) : content;
}

/** A commit record and the chain hash behind it. @throws TelosError DAMAGED naming the key */
export function openRecord(key: Uint8Array, stored: Buffer): [record: Buffer, chain: Buffer] {
  const content = checked(key, stored);
  const end = content.length - CHAIN_BYTES;
  if (end < 0) throw new TelosError('DAMAGED', `${describeKey(key)} holds no commit record`);
  return [content.subarray(0, end), content.subarray(end)];
}

const KINDS: Record<string, string> = {
  j: 'commit record',
  o: 'object',
  x: 'history of',
  n: 'name',
  q: 'outbox message',
  d: 'reply',
  t: 'timer',
  l: 'dead letter',
  s: 'strikes',
  k: 'client key',
  m: 'meta field',
};

/** A key for people: `commit record 15`, `object #a.7`, `history of #a.7 up to turn 12`. */
export function describeKey(key: Uint8Array): string {
  const letter = String.fromCharCode(key[0] ?? 0);
  const kind = KINDS[letter];
  if (kind === undefined) return `key ${Buffer.from(key).toString('hex')}`;
  if (letter === 'x' && key.length > 10) {
    const [oid, seq] = historyOf(key);
    return `${kind} ${oid} up to turn ${seq}`;
  }
  return 'jqdtls'.includes(letter) ? `${kind} ${fieldsOf(key).join('/')}` : `${kind} ${textOf(key)}`;
}

/** J2: a group goes on exactly where the journal ends. */
export function checkOrder(endSeq: number, group: GroupWrite): void {
  const { record, firstSeq, lastSeq } = group;
  const follows = record === null ? lastSeq === endSeq : firstSeq === endSeq + 1 && lastSeq >= firstSeq;
  if (!follows)
    throw new TelosError(
      'INTERNAL',
      `group of turns ${firstSeq} to ${lastSeq} was appended to a journal that ends at turn ${endSeq}`,
    );
}

/** A plain Uint8Array would be stored by RocksDB as the text of its numbers. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
