/**
 * Writes msgpack by hand into one growing buffer: what values.ts and the lanes of a link need is a single pass that neither
 * allocates per item nor reads a property twice, which no library offers. Output is the shortest form, equal to that of codec.ts.
 *
 * Owns: `bytes[start..pos)`. Does not validate: the caller says what may be written.
 *   W1  nothing before `start` is ever changed, so what was handed out as a view stays as it is.
 *   W2  at most `limit` bytes (plus one item's slack) are taken since `start`; past it TOO_LARGE is thrown.
 */
import { TelosError } from './errors.js';

interface RawBuffer extends Buffer {
  utf8Write(text: string, offset?: number, length?: number): number;
}

const CHUNK = 64 * 1024;
const ROOM = 2048;
const MIN_I64 = -(2n ** 63n);
const MAX_I64 = 2n ** 63n - 1n;
const MAX_U64 = 2n ** 64n - 1n;
/** Longest string written by a loop here; from there on the native call is faster. */
const LOOP_MAX = 24;

export const fits64 = (value: bigint): boolean => value >= MIN_I64 && value <= MAX_U64;

export class Writer {
  bytes: RawBuffer;
  pos = 0;
  start = 0;
  limit = Number.POSITIVE_INFINITY;
  private view: DataView;

  constructor(size = CHUNK) {
    this.bytes = Buffer.allocUnsafeSlow(size) as RawBuffer;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
  }

  /** Begins an item of at most `limit` bytes; takes a fresh chunk when little room is left in this one. */
  begin(limit: number): void {
    if (this.bytes.length - this.pos < ROOM) this.fresh(CHUNK);
    this.start = this.pos;
    this.limit = limit;
  }

  /** A view on what was written since `begin`. It stays valid; the writer goes on behind it. */
  finish(): Buffer {
    const done = this.bytes.subarray(this.start, this.pos);
    this.start = this.pos;
    return done;
  }

  /** What was written since `begin`, as a copy; the room is used again. */
  finishCopy(): Uint8Array {
    const { bytes, start } = this;
    const length = this.pos - start;
    const copy = new Uint8Array(length);
    if (length <= 64) for (let i = 0; i < length; i++) copy[i] = bytes[start + i] as number;
    else copy.set(bytes.subarray(start, this.pos));
    this.pos = start;
    return copy;
  }

  abandon(): void {
    this.pos = this.start;
  }

  /** Forgets all but the first `length` bytes of the item. */
  rollback(length: number): void {
    this.pos = this.start + length;
  }

  get length(): number {
    return this.pos - this.start;
  }

  reserve(count: number): void {
    if (this.pos + count > this.bytes.length) this.grow(count);
  }

  nil(): void {
    this.reserve(1);
    this.bytes[this.pos++] = 0xc0;
  }

  bool(value: boolean): void {
    this.reserve(1);
    this.bytes[this.pos++] = value ? 0xc3 : 0xc2;
  }

  /** Integers of up to 32 bits in their shortest form (−0 as 0), all else as float64. */
  number(value: number): void {
    if (this.pos + 9 > this.bytes.length) this.grow(9);
    const { bytes } = this;
    if ((value | 0) === value) {
      if (value >= 0) {
        if (value < 0x80) {
          bytes[this.pos++] = value;
          return;
        }
        this.unsigned(value);
      } else this.negative(value);
    } else if (value >>> 0 === value) this.unsigned(value);
    else {
      bytes[this.pos] = 0xcb;
      this.view.setFloat64(this.pos + 1, value);
      this.pos += 9;
    }
  }

  /** @throws RangeError when it does not fit: ask `fits64` before */
  bigint(value: bigint): void {
    if (!fits64(value)) throw new RangeError(`${value} has more than 64 bits`);
    this.reserve(9);
    const signed = value <= MAX_I64;
    this.bytes[this.pos] = signed ? 0xd3 : 0xcf;
    if (signed) this.view.setBigInt64(this.pos + 1, value);
    else this.view.setBigUint64(this.pos + 1, value);
    this.pos += 9;
  }

  string(text: string): void {
    const length = text.length;
    const room = length * 3 + 5;
    if (this.pos + room > this.bytes.length) this.grow(room);
    if (length > LOOP_MAX || !this.ascii(text, length)) this.utf8(text, length);
  }

  bin(data: Uint8Array): void {
    const length = data.length;
    this.reserve(length + 5);
    this.header(length, 0, 0, 0xc4, 0xc5, 0xc6);
    const { bytes, pos } = this;
    if (length <= 48) for (let i = 0; i < length; i++) bytes[pos + i] = data[i] as number;
    else bytes.set(data, pos);
    this.pos = pos + length;
  }

  arrayHeader(count: number): void {
    this.reserve(5);
    this.header(count, 0x90, 16, 0, 0xdc, 0xdd);
  }

  mapHeader(count: number): void {
    this.reserve(5);
    this.header(count, 0x80, 16, 0, 0xde, 0xdf);
  }

  /** Plain data that this program itself made: undefined is nil, a Set or class instance has no meaning here. */
  any(value: unknown): void {
    switch (typeof value) {
      case 'number':
        return this.number(value);
      case 'string':
        return this.string(value);
      case 'boolean':
        return this.bool(value);
      case 'bigint':
        return this.bigint(value);
      case 'object':
        return this.object(value);
      default:
        return this.nil();
    }
  }

  private object(value: object | null): void {
    if (value === null) return this.nil();
    if (Array.isArray(value)) return this.array(value);
    if (value instanceof Uint8Array) return this.bin(value);
    const keys = Object.keys(value);
    this.mapHeader(keys.length);
    for (const key of keys) {
      this.string(key);
      this.any((value as Record<string, unknown>)[key]);
    }
  }

  private array(value: readonly unknown[]): void {
    const count = value.length;
    if (count < 16) {
      this.reserve(1);
      this.bytes[this.pos++] = 0x90 | count;
    } else this.arrayHeader(count);
    for (let i = 0; i < count; i++) this.any(value[i]);
  }

  private ascii(text: string, length: number): boolean {
    const { bytes } = this;
    const at = this.pos + 1;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) return false;
      bytes[at + i] = code;
    }
    bytes[this.pos] = 0xa0 | length;
    this.pos = at + length;
    return true;
  }

  /** Guesses the header from the length in UTF-16 units, and moves the text when the guess was too small. */
  private utf8(text: string, length: number): void {
    const guess = length < 32 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : 5;
    const written = this.bytes.utf8Write(text, this.pos + guess, length * 3);
    const needed = written < 32 ? 1 : written < 0x100 ? 2 : written < 0x10000 ? 3 : 5;
    if (needed !== guess) this.bytes.copyWithin(this.pos + needed, this.pos + guess, this.pos + guess + written);
    this.header(written, 0xa0, 32, 0xd9, 0xda, 0xdb);
    this.pos += written;
  }

  private header(count: number, fix: number, fixMax: number, one: number, two: number, four: number): void {
    const { bytes } = this;
    if (count < fixMax) bytes[this.pos++] = fix | count;
    else if (count < 0x100 && one !== 0) {
      bytes[this.pos++] = one;
      bytes[this.pos++] = count;
    } else if (count < 0x10000) {
      bytes[this.pos++] = two;
      this.view.setUint16(this.pos, count);
      this.pos += 2;
    } else {
      bytes[this.pos++] = four;
      this.view.setUint32(this.pos, count);
      this.pos += 4;
    }
  }

  private unsigned(value: number): void {
    this.header(value, 0, 0x80, 0xcc, 0xcd, 0xce);
  }

  private negative(value: number): void {
    const { bytes } = this;
    if (value >= -0x20) bytes[this.pos++] = value + 0x100;
    else if (value >= -0x80) {
      bytes[this.pos++] = 0xd0;
      bytes[this.pos++] = value + 0x100;
    } else if (value >= -0x8000) {
      bytes[this.pos++] = 0xd1;
      this.view.setInt16(this.pos, value);
      this.pos += 2;
    } else {
      bytes[this.pos++] = 0xd2;
      this.view.setInt32(this.pos, value);
      this.pos += 4;
    }
  }

  private grow(count: number): void {
    if (this.length > this.limit || count / 3 - 5 > this.limit) {
      const details = Math.max(this.length, Math.ceil(this.length + count / 3 - 5));
      throw new TelosError('TOO_LARGE', `more than ${this.limit} bytes`, { details });
    }
    this.fresh(Math.max(CHUNK, (this.length + count) * 2));
  }

  /** A new buffer that begins with what was written since `start`; the old one stays with those who hold views on it. */
  private fresh(size: number): void {
    const old = this.bytes.subarray(this.start, this.pos);
    this.bytes = Buffer.allocUnsafeSlow(size) as RawBuffer;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, size);
    this.bytes.set(old, 0);
    this.start = 0;
    this.pos = old.length;
  }
}

const plainWriter = new Writer();

/** Plain data that this program itself made, as `readPlain` reads it: a view on a larger buffer that is never written again. */
export function writePlain(value: unknown): Buffer {
  plainWriter.begin(Number.POSITIVE_INFINITY);
  plainWriter.any(value);
  return plainWriter.finish();
}
