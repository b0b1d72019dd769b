/**
 * The difference of two large contents, for commits and the journal. A patch is a msgpack list:
 *
 *     [length before, length after, CRC-32 after, op, op, …]     op: bytes to insert | offset, length to copy from before
 *
 * Deterministic: the same two contents give the same patch in every process.
 */
import { crc32 } from 'node:zlib';
import { TelosError } from './errors.js';
import { readPlain } from './reader.js';
import { Writer } from './writer.js';
import type { Bytes, Content } from './envelope.js';

/** Below this a content is sent whole. */
const MIN_BYTES = 1024;
/** A patch larger than this part of the content is not worth it. */
const WORTH = 4;
const BLOCK = 32;
/** Blocks of equal hash that are tried at one place. */
const MAX_TRIES = 4;
/** A changed stretch below this is inserted without looking for matches in it. */
const SMALL = 256;
const MAX_AFTER = 256 * 1024 * 1024;

type Op = Bytes | readonly [offset: number, length: number];

/** A patch that makes `after` of `before`, or undefined when sending `after` whole is as good. */
export function diff(before: Content, after: Content): Bytes | undefined {
  if (!(before instanceof Uint8Array) || !(after instanceof Uint8Array)) return undefined;
  if (after.length < MIN_BYTES || before.length < MIN_BYTES) return undefined;
  const limit = Math.floor(after.length / WORTH);
  const ops = compare(before, after, limit);
  if (ops === undefined) return undefined;
  const writer = new Writer(limit + 1024);
  writer.begin(Number.POSITIVE_INFINITY);
  writer.arrayHeader(3 + ops.reduce((sum, op) => sum + (op instanceof Uint8Array ? 1 : 2), 0));
  writer.number(before.length);
  writer.number(after.length);
  writer.number(crc32(after));
  for (const op of ops) {
    if (op instanceof Uint8Array) writer.bin(op);
    else {
      writer.number(op[0]);
      writer.number(op[1]);
    }
  }
  return writer.length > limit ? undefined : writer.finishCopy();
}

/** @throws TelosError DAMAGED when the patch was not made for `before`, or makes more than `maxAfter` bytes */
export function applyPatch(before: Content, patch: Bytes, maxAfter = MAX_AFTER): Content {
  if (!(before instanceof Uint8Array)) throw mismatch('it is a primitive value');
  const list = readPlain(patch);
  if (!Array.isArray(list)) throw mismatch('the patch is no list');
  const [lengthBefore, lengthAfter, sum, ...rest] = list as unknown[];
  if (lengthBefore !== before.length)
    throw mismatch(`it has ${before.length} bytes instead of ${String(lengthBefore)}`);
  const parts = rest.length === 0 ? [] : partsOf(before, rest);
  const total = parts.reduce((length, part) => length + part.length, 0);
  if (total !== lengthAfter) throw mismatch(`${total} bytes result instead of ${String(lengthAfter)}`);
  if (total > maxAfter) throw mismatch(`${total} bytes result; ${maxAfter} are the most`);
  const after = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    after.set(part, at);
    at += part.length;
  }
  if (crc32(after) !== sum) throw mismatch('its bytes are others');
  return after;
}

const mismatch = (why: string): TelosError =>
  new TelosError('DAMAGED', `a patch does not fit the content before it: ${why}`);

function partsOf(before: Bytes, ops: readonly unknown[]): Bytes[] {
  const parts: Bytes[] = [];
  for (let i = 0; i < ops.length; i++) {
    const op = ops[i];
    if (op instanceof Uint8Array) parts.push(op);
    else {
      const length = ops[++i];
      if (!isCount(op) || !isCount(length) || op + length > before.length)
        throw mismatch(`it has no ${String(length)} bytes at ${String(op)}`);
      parts.push(before.subarray(op, op + length));
    }
  }
  return parts;
}

const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;

// ---- the difference ----------------------------------------------------------------------------------------------------------

/** Copies and inserts that make `after`, undefined as soon as the inserts alone take more than `limit`. */
function compare(before: Bytes, after: Bytes, limit: number): Op[] | undefined {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const ops: Op[] = head > 0 ? [[0, head]] : [];
  const end = after.length - tail;
  if (end > head) {
    if (end - head < SMALL) ops.push(after.subarray(head, end));
    else if (!matchBlocks(before, after, head, end, limit, ops)) return undefined;
  }
  if (tail > 0) ops.push([before.length - tail, tail]);
  return ops;
}

/** Finds blocks of `before` in after[from..to) with a rolling hash, and extends each find in both directions. */
function matchBlocks(before: Bytes, after: Bytes, from: number, to: number, limit: number, ops: Op[]): boolean {
  const table = new BlockTable(before);
  let pending = from;
  let inserted = 0;
  let at = from;
  let hash = at + BLOCK <= to ? hashAt(after, at) : 0;
  while (at + BLOCK <= to) {
    const found = table.find(hash, after, at);
    if (found < 0) {
      if (at + BLOCK < to) hash = roll(hash, after[at] as number, after[at + BLOCK] as number);
      if (++at - pending + inserted > limit) return false;
      continue;
    }
    let back = 0;
    while (at - back > pending && found - back > 0 && before[found - back - 1] === after[at - back - 1]) back++;
    let length = BLOCK;
    while (at + length < to && found + length < before.length && before[found + length] === after[at + length])
      length++;
    if (at - back > pending) ops.push(after.subarray(pending, at - back));
    inserted += at - back - pending;
    ops.push([found - back, back + length]);
    at += length;
    pending = at;
    if (at + BLOCK <= to) hash = hashAt(after, at);
  }
  if (pending < to) ops.push(after.subarray(pending, to));
  return inserted + to - pending <= limit;
}

const BASE = 0x01000193;
let leaving = 1;
for (let i = 1; i < BLOCK; i++) leaving = Math.imul(leaving, BASE);

function hashAt(bytes: Bytes, at: number): number {
  let hash = 0;
  for (let i = 0; i < BLOCK; i++) hash = (Math.imul(hash, BASE) + (bytes[at + i] as number)) | 0;
  return hash;
}

const roll = (hash: number, out: number, into: number): number =>
  (Math.imul(hash - Math.imul(out, leaving), BASE) + into) | 0;

/** The blocks of `before` by hash: a table of heads and a list of next ones, in order of their place. */
class BlockTable {
  private readonly heads: Int32Array;
  private readonly next: Int32Array;
  private readonly hashes: Int32Array;
  private readonly mask: number;

  constructor(private readonly before: Bytes) {
    const blocks = Math.floor(before.length / BLOCK);
    const size = 2 ** Math.ceil(Math.log2(Math.max(16, blocks * 2)));
    this.mask = size - 1;
    this.heads = new Int32Array(size).fill(-1);
    this.next = new Int32Array(blocks);
    this.hashes = new Int32Array(blocks);
    for (let block = blocks - 1; block >= 0; block--) {
      const hash = hashAt(before, block * BLOCK);
      const slot = this.slot(hash);
      this.hashes[block] = hash;
      this.next[block] = this.heads[slot] as number;
      this.heads[slot] = block;
    }
  }

  private slot(hash: number): number {
    return (hash ^ (hash >>> 15)) & this.mask;
  }

  find(hash: number, after: Bytes, at: number): number {
    let block = this.heads[this.slot(hash)] as number;
    for (let tries = 0; block >= 0 && tries < MAX_TRIES; tries++) {
      if (this.hashes[block] === hash && this.equal(block * BLOCK, after, at)) return block * BLOCK;
      block = this.next[block] as number;
    }
    return -1;
  }

  private equal(from: number, after: Bytes, at: number): boolean {
    for (let i = 0; i < BLOCK; i++) if (this.before[from + i] !== after[at + i]) return false;
    return true;
  }
}
