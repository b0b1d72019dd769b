/**
 * Checks a table file of RocksDB without RocksDB: its iterators skip the checksums of blocks, and end the whole process (a failed assertion,
 * no error) when they meet one that is damaged. Format: RocksDB wiki, "Rocksdb BlockBasedTable Format".
 *
 *     block … block   filter, properties, …   metaindex   index   footer 53
 *     block:   content ‖ compression 1 (0 none, 1 Snappy) ‖ CRC 4       CRC: CRC-32C over content ‖ compression, masked, little-endian
 *     footer:  checksum kind 1 ‖ metaindex handle ‖ index handle ‖ zeros up to 41 ‖ format 4 ‖ magic 8
 *     handle:  offset, size: varints              entry of an index or metaindex: shared, unshared, (size of value): varints ‖ key ‖ value
 */
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { TelosError } from '../../protocol/index.js';
import { maskedCrc } from './crc32c.js';

const FOOTER_BYTES = 53;
const HANDLES_END = 41;
const TRAILER_BYTES = 5;
const MAGIC = 0x88e241b785f4cff7n;
const CRC32C = 1;
/** From this format on an index has no sizes of values. */
const DELTA_FORMAT = 4;
const READ_BYTES = 256 * 1024;

interface Handle {
  readonly offset: number;
  readonly size: number;
  /** Of an index entry: a key not below those of its block and below those of the next. */
  readonly key?: Uint8Array;
}

class Cursor {
  at = 0;
  constructor(readonly bytes: Uint8Array) {}

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new RangeError('a number ends early');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  handle(): Handle {
    return { offset: this.varint(), size: this.varint() };
  }
}

/** Snappy, format description of 2011: a length, then literals and copies. */
export function unsnappy(bytes: Uint8Array): Uint8Array {
  const cursor = new Cursor(bytes);
  const out = new Uint8Array(cursor.varint());
  let end = 0;
  while (cursor.at < bytes.length) {
    const tag = bytes[cursor.at++]!;
    if ((tag & 3) === 0) {
      const length = literalLength(cursor, tag >>> 2);
      out.set(bytes.subarray(cursor.at, cursor.at + length), end);
      cursor.at += length;
      end += length;
    } else {
      const [length, distance] = copyOf(cursor, tag);
      if (distance === 0 || distance > end) throw new RangeError('a copy begins before the content');
      for (let i = 0; i < length; i++, end++) out[end] = out[end - distance]!;
    }
  }
  if (end !== out.length) throw new RangeError('the content has another length than it says');
  return out;
}

function little(cursor: Cursor, count: number): number {
  let value = 0;
  for (let i = 0; i < count; i++) value += cursor.bytes[cursor.at++]! * 256 ** i;
  return value;
}

const literalLength = (cursor: Cursor, code: number): number => (code < 60 ? code : little(cursor, code - 59)) + 1;

function copyOf(cursor: Cursor, tag: number): [length: number, distance: number] {
  if ((tag & 3) === 1) return [((tag >>> 2) & 7) + 4, (tag >>> 5) * 256 + little(cursor, 1)];
  return [(tag >>> 2) + 1, little(cursor, (tag & 3) === 2 ? 2 : 4)];
}

/** Handles in an index or metaindex block. `sized`: entries tell the size of their values. */
function handlesOf(block: Uint8Array, sized: boolean): Handle[] {
  const view = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const restarts = view.readUInt32LE(block.length - 4) & 0x7fffffff;
  const cursor = new Cursor(block.subarray(0, block.length - 4 - 4 * restarts));
  const handles: Handle[] = [];
  while (cursor.at < cursor.bytes.length) {
    cursor.varint();
    const unshared = cursor.varint();
    const size = sized ? cursor.varint() : undefined;
    const value = cursor.at + unshared;
    const key = cursor.bytes.subarray(cursor.at, value);
    cursor.at = value;
    handles.push({ offset: cursor.varint(), size: cursor.varint(), key });
    if (size !== undefined) cursor.at = value + size;
  }
  return handles;
}

/** Reads a file from front to back through one buffer; blocks that lie in it already cost no call. */
class Window {
  #start = 0;
  #bytes = Buffer.alloc(0);

  constructor(
    readonly file: FileHandle,
    readonly size: number,
    readonly pause: () => Promise<void> | undefined,
  ) {}

  /** Undefined: `fill` first. */
  peek(offset: number, length: number): Buffer | undefined {
    const from = offset - this.#start;
    return from < 0 || from + length > this.#bytes.length ? undefined : this.#bytes.subarray(from, from + length);
  }

  async fill(offset: number, length: number): Promise<Buffer> {
    if (offset < 0 || offset + length > this.size)
      throw new RangeError(`a block at ${offset} of ${length} bytes lies outside the file`);
    await this.pause();
    const bytes = Buffer.allocUnsafe(Math.min(Math.max(length, READ_BYTES), this.size - offset));
    let end = 0;
    while (end < bytes.length) {
      const { bytesRead } = await this.file.read(bytes, end, bytes.length - end, offset + end);
      if (bytesRead === 0) throw new RangeError('the file ends early');
      end += bytesRead;
    }
    this.#start = offset;
    this.#bytes = bytes;
    return bytes.subarray(0, length);
  }
}

async function checkedBlock(file: Window, { offset, size }: Handle): Promise<Buffer> {
  const bytes = file.peek(offset, size + TRAILER_BYTES) ?? (await file.fill(offset, size + TRAILER_BYTES));
  checkSum(bytes, offset, size);
  return bytes;
}

function checkSum(bytes: Buffer, offset: number, size: number): void {
  if (maskedCrc(bytes.subarray(0, size + 1)) === bytes.readUInt32LE(size + 1)) return;
  throw new RangeError(
    `the block at ${offset} of ${size} bytes does not have the content that was written: its checksum differs`,
  );
}

async function contentOf(file: Window, handle: Handle): Promise<Uint8Array> {
  const bytes = await checkedBlock(file, handle);
  const content = bytes.subarray(0, handle.size);
  const compression = bytes[handle.size];
  if (compression === 1) return unsnappy(content);
  if (compression === 0) return Uint8Array.from(content);
  throw new RangeError(`the block at ${handle.offset} has the unknown compression ${compression ?? 0}`);
}

async function readFooter(file: Window): Promise<{ metaindex: Handle; index: Handle; format: number }> {
  const footer = await file.fill(file.size - FOOTER_BYTES, FOOTER_BYTES);
  if (footer.readBigUInt64LE(FOOTER_BYTES - 8) !== MAGIC || footer[0] !== CRC32C)
    throw new RangeError('its footer is not that of a table');
  const cursor = new Cursor(Uint8Array.from(footer.subarray(1, HANDLES_END)));
  const [metaindex, index] = [cursor.handle(), cursor.handle()];
  if (cursor.bytes.subarray(cursor.at).some((byte) => byte !== 0))
    throw new RangeError('its footer holds more than two handles');
  return { metaindex, index, format: footer.readUInt32LE(HANDLES_END) };
}

/** All blocks of a table; each byte of the file is in exactly one of them. */
async function checkBlocks(file: Window, nameKey: (key: Uint8Array) => string): Promise<void> {
  const { metaindex, index, format } = await readFooter(file);
  const data = handlesOf(await contentOf(file, index), format < DELTA_FORMAT);
  const rest = handlesOf(await contentOf(file, metaindex), true).map(({ offset, size }) => ({ offset, size }));
  const all: Handle[] = [...data, ...rest, metaindex, index].sort((a, b) => a.offset - b.offset);
  let end = 0;
  let before: Uint8Array | undefined;
  for (const handle of all) {
    if (handle.offset !== end) throw new RangeError(`a block is missing at ${end}`);
    const bytes =
      file.peek(handle.offset, handle.size + TRAILER_BYTES) ??
      (await file.fill(handle.offset, handle.size + TRAILER_BYTES));
    try {
      checkSum(bytes, handle.offset, handle.size);
    } catch (error) {
      if (handle.key === undefined) throw error;
      const from = before === undefined ? 'the first key' : nameKey(before);
      throw new RangeError(`${(error as Error).message}; it holds keys from ${from} to ${nameKey(handle.key)}`);
    }
    before = handle.key ?? before;
    end = handle.offset + handle.size + TRAILER_BYTES;
  }
  if (end !== file.size - FOOTER_BYTES) throw new RangeError(`there is something else than a block at ${end}`);
}

export interface TableCheck {
  /** A key for people; it may be a shortened one. */
  readonly nameKey: (key: Uint8Array) => string;
  /** Awaited before each piece that is read. */
  readonly pause: () => Promise<void> | undefined;
}

/**
 * Checks every block of a table.
 * @throws TelosError DAMAGED naming file, offset and about which keys; errors of the file system as they are
 */
export async function checkTableFile(path: string, check: TableCheck): Promise<void> {
  const file = await open(path, 'r');
  try {
    await checkBlocks(new Window(file, (await file.stat()).size, check.pause), check.nameKey);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TelosError('DAMAGED', `table ${path} is damaged: ${error.message}`, {
      details: { file: basename(path) },
      cause: error,
    });
  } finally {
    await file.close();
  }
}
