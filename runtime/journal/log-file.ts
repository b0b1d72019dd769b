/**
 * Checks a log file of RocksDB without RocksDB, which skips what is damaged and goes on behind it, so that groups are missing in the
 * middle of the journal (tried). Format: RocksDB wiki, "Write Ahead Log File Format".
 *
 *     blocks of 32768 bytes: record … record, zeros where less than 7 bytes are left
 *     record: CRC 4 ‖ length 2 ‖ kind 1 ‖ content     kind: 1 whole, 2 first, 3 middle, 4 last piece of a write
 *
 * A write that a power cut tore is the last one, was never answered, and is no damage. Damage is a bad record behind which another
 * write begins.
 */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { TelosError } from '../../protocol/index.js';
import { maskedCrc } from './crc32c.js';

const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;
const WHOLE = 1;
const FIRST = 2;
const LAST = 4;

type Step = { readonly kind: 'write' | 'piece' | 'padding' | 'bad'; readonly next: number };

const nextBlock = (at: number): number => at - (at % BLOCK_BYTES) + BLOCK_BYTES;

/** What stands at `at`. */
function step(bytes: Buffer, at: number): Step {
  const room = Math.min(nextBlock(at), bytes.length) - at;
  if (room < HEADER_BYTES)
    return {
      kind: at + room === bytes.length || bytes.subarray(at, at + room).every((byte) => byte === 0) ? 'padding' : 'bad',
      next: at + room,
    };
  const length = bytes.readUInt16LE(at + 4);
  const kind = bytes[at + 6] as number;
  const end = at + HEADER_BYTES + length;
  if (kind < WHOLE || kind > LAST || HEADER_BYTES + length > room) return { kind: 'bad', next: nextBlock(at) };
  if (maskedCrc(bytes.subarray(at + 6, end)) !== bytes.readUInt32LE(at)) return { kind: 'bad', next: end };
  return { kind: kind === WHOLE || kind === FIRST ? 'write' : 'piece', next: end };
}

/** Offset of the first bad record before another write; undefined when there is none. `last`: no log comes after this one. */
function findDamage(bytes: Buffer, last: boolean): number | undefined {
  let bad: number | undefined;
  for (let at = 0; at < bytes.length;) {
    const { kind, next } = step(bytes, at);
    if (kind === 'bad') bad ??= at;
    if (kind === 'write' && bad !== undefined) return bad;
    at = next;
  }
  return last ? undefined : bad;
}

/** @throws TelosError DAMAGED naming file and offset; errors of the file system as they are */
export async function checkLogFile(path: string, last: boolean): Promise<void> {
  const at = findDamage(await readFile(path), last);
  if (at === undefined) return;
  throw new TelosError(
    'DAMAGED',
    `log ${path} is damaged: the record at ${at} does not have the content that was written`,
    {
      details: { file: basename(path) },
    },
  );
}
