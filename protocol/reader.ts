/**
 * Reads msgpack by hand from bytes that nobody has checked: every length is compared with what is there before anything is
 * allocated, nesting is bounded, extensions are refused. `bin` and `map` say what byte strings and maps become.
 *
 *   R1  no input makes it throw anything but TelosError, or allocate more than a small multiple of the input's length.
 *   R2  maps get own properties only, whatever their keys (`__proto__`), also where Object.prototype is frozen.
 */
import { TelosError } from './errors.js';

type Slice = (this: Uint8Array, start: number, end: number) => string;

/** Native, and they work on any Uint8Array. */
const utf8Slice = Reflect.get(Buffer.prototype, 'utf8Slice') as Slice;
const latin1Slice = Reflect.get(Buffer.prototype, 'latin1Slice') as Slice;

const NO_BYTES = new Uint8Array(0);
/** For numbers of 8 bytes, and floats of 4. */
const scratch = new DataView(new ArrayBuffer(8));
const CACHE = 1024;
const CACHED_MAX = 24;

const OBJECT_PROTOTYPE = Object.prototype as object;
const define = Object.defineProperty;
const { fromCharCode } = String;

/** Sets an own property, also for keys that assignment would treat in a special way. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key in OBJECT_PROTOTYPE) define(target, key, { value, writable: true, enumerable: true, configurable: true });
  else target[key] = value;
}

export abstract class Reader {
  protected bytes: Uint8Array = NO_BYTES;
  protected pos = 0;
  protected end = 0;
  protected depth = 0;
  protected maxDepth = 0;
  private readonly cache: (string | undefined)[] = new Array<string | undefined>(CACHE).fill(undefined);

  protected abstract bin(start: number, end: number): unknown;
  protected abstract map(count: number): unknown;

  protected open(bytes: Uint8Array, maxDepth: number): void {
    this.bytes = bytes;
    this.pos = 0;
    this.end = bytes.length;
    this.depth = 0;
    this.maxDepth = maxDepth;
  }

  /** Lets go of the input, so that it is not kept alive. */
  protected release(): void {
    this.bytes = NO_BYTES;
  }

  protected malformed(what: string): TelosError {
    const from = Math.max(0, this.pos - 8);
    const near = Buffer.from(this.bytes.subarray(from, from + 16)).toString('hex');
    return new TelosError('MALFORMED', `${what} at byte ${this.pos} of ${this.end} (near ${near})`);
  }

  protected any(): unknown {
    if (this.pos >= this.end) throw this.malformed('the data ends');
    const byte = this.bytes[this.pos++] as number;
    if (byte < 0x80) return byte;
    if (byte >= 0xe0) return byte - 0x100;
    if (byte >= 0xa0 && byte < 0xc0) return this.text(byte & 0x1f);
    if (byte >= 0x90 && byte < 0xa0) return this.array(byte & 0x0f);
    if (byte < 0x90) return this.nestedMap(byte & 0x0f);
    return this.tagged(byte);
  }

  private tagged(byte: number): unknown {
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.blob(this.uint(1));
      case 0xc5:
        return this.blob(this.uint(2));
      case 0xc6:
        return this.blob(this.uint(4));
      case 0xca:
        return this.float(this.wide(4).getFloat32(0));
      case 0xcb:
        return this.float(this.wide(8).getFloat64(0));
      case 0xcc:
        return this.uint(1);
      case 0xcd:
        return this.uint(2);
      case 0xce:
        return this.uint(4);
      case 0xcf:
        return this.wide(8).getBigUint64(0);
      case 0xd0:
        return (this.uint(1) << 24) >> 24;
      case 0xd1:
        return (this.uint(2) << 16) >> 16;
      case 0xd2:
        return this.uint(4) | 0;
      case 0xd3:
        return this.wide(8).getBigInt64(0);
      case 0xd9:
        return this.text(this.uint(1));
      case 0xda:
        return this.text(this.uint(2));
      case 0xdb:
        return this.text(this.uint(4));
      case 0xdc:
        return this.array(this.uint(2));
      case 0xdd:
        return this.array(this.uint(4));
      case 0xde:
        return this.nestedMap(this.uint(2));
      case 0xdf:
        return this.nestedMap(this.uint(4));
      default:
        this.pos--;
        throw this.malformed(`msgpack type 0x${byte.toString(16)} is not used here,`);
    }
  }

  /** Overridden where only finite numbers are allowed. */
  protected float(value: number): number {
    return value;
  }

  private skip(count: number): number {
    const at = this.pos;
    if (at + count > this.end) throw this.malformed('the data ends');
    this.pos = at + count;
    return at;
  }

  private uint(width: 1 | 2 | 4): number {
    const at = this.skip(width);
    let value = 0;
    for (let i = at; i < at + width; i++) value = value * 0x100 + (this.bytes[i] as number);
    return value;
  }

  /** The next bytes, at the beginning of the scratch view. */
  private wide(width: 4 | 8): DataView {
    const at = this.skip(width);
    for (let i = 0; i < width; i++) scratch.setUint8(i, this.bytes[at + i] as number);
    return scratch;
  }

  private blob(length: number): unknown {
    const at = this.skip(length);
    return this.bin(at, at + length);
  }

  private array(count: number): unknown[] {
    this.enter(count);
    const list: unknown[] = [];
    for (let i = 0; i < count; i++) list.push(this.any());
    this.depth--;
    return list;
  }

  private nestedMap(count: number): unknown {
    this.enter(count * 2);
    const map = this.map(count);
    this.depth--;
    return map;
  }

  /** Count of the list that begins here, −1 when none does. */
  protected listHeader(): number {
    const byte = this.pos < this.end ? (this.bytes[this.pos++] as number) : 0;
    const count =
      byte >= 0x90 && byte < 0xa0 ? byte & 0x0f : byte === 0xdc ? this.uint(2) : byte === 0xdd ? this.uint(4) : -1;
    return count > this.end - this.pos ? -1 : count;
  }

  private enter(atLeast: number): void {
    if (atLeast > this.end - this.pos) throw this.malformed('the data ends');
    if (++this.depth > this.maxDepth) throw this.malformed(`nested deeper than ${this.maxDepth}`);
  }

  protected key(): string {
    if (this.pos >= this.end) throw this.malformed('the data ends');
    const byte = this.bytes[this.pos] as number;
    if (byte >= 0xa0 && byte < 0xc0) {
      this.pos++;
      return this.text(byte & 0x1f);
    }
    if (byte !== 0xd9 && byte !== 0xda && byte !== 0xdb) throw this.malformed('a key that is no string');
    return this.any() as string;
  }

  /** Short ASCII texts repeat (keys, names, selectors): a small cache spares making them anew. */
  private text(length: number): string {
    const at = this.skip(length);
    if (length > CACHED_MAX) return utf8Slice.call(this.bytes, at, at + length);
    if (length === 0) return '';
    const { bytes } = this;
    let hash = length;
    for (let i = at; i < at + length; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    const slot = hash & (CACHE - 1);
    const known = this.cache[slot];
    if (known !== undefined && known.length === length && this.same(known, at, length)) return known;
    return this.remember(slot, at, length);
  }

  private same(known: string, at: number, length: number): boolean {
    const { bytes } = this;
    for (let i = 0; i < length; i++) if (known.charCodeAt(i) !== bytes[at + i]) return false;
    return true;
  }

  private remember(slot: number, at: number, length: number): string {
    let ascii = true;
    for (let i = at; i < at + length; i++) if ((this.bytes[i] as number) >= 0x80) ascii = false;
    if (!ascii) return utf8Slice.call(this.bytes, at, at + length);
    const text = length === 1 ? fromCharCode(this.bytes[at] as number) : latin1Slice.call(this.bytes, at, at + length);
    this.cache[slot] = text;
    return text;
  }
}

const FRAME_DEPTH = 256;
/** Byte strings up to this are copied: cheaper than a view, and the frame can go. */
const COPIED_MAX = 64;

/** Decodes frames: byte strings are copies when small, else views on the input; maps are plain objects. */
class PlainReader extends Reader {
  /** The number of the WORK frame read last. */
  frame = 0;

  /** [frame number, envelope, …]: the envelopes; the number goes to `frame`. */
  work(bytes: Uint8Array): unknown[] {
    this.open(bytes, FRAME_DEPTH);
    try {
      const count = this.listHeader();
      if (count < 1) throw this.malformed('a frame without a number');
      const frame = this.any();
      this.frame = typeof frame === 'bigint' ? Number(frame) : typeof frame === 'number' ? frame : -1;
      const envelopes: unknown[] = [];
      for (let i = 1; i < count; i++) envelopes.push(this.any());
      if (this.pos !== this.end) throw this.malformed('bytes are left over');
      return envelopes;
    } finally {
      this.release();
    }
  }

  read(bytes: Uint8Array): unknown {
    this.open(bytes, FRAME_DEPTH);
    try {
      const value = this.any();
      if (this.pos !== this.end) throw this.malformed('bytes are left over');
      return value;
    } finally {
      this.release();
    }
  }

  protected bin(start: number, end: number): Uint8Array {
    const length = end - start;
    if (length > COPIED_MAX) return this.bytes.subarray(start, end);
    const copy = new Uint8Array(length);
    for (let i = 0; i < length; i++) copy[i] = this.bytes[start + i] as number;
    return copy;
  }

  protected map(count: number): unknown {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.key();
      setOwn(map, key, this.any());
    }
    return map;
  }
}

const reader = new PlainReader();

/** One msgpack value from the wire. Byte strings in it may be views on `bytes`. @throws TelosError MALFORMED */
export const readPlain = (bytes: Uint8Array): unknown => reader.read(bytes);

/** The body of a WORK frame: hands number and envelopes over. @throws TelosError MALFORMED */
export function readWork(bytes: Uint8Array): { readonly no: number; readonly envelopes: unknown[] } {
  const envelopes = reader.work(bytes);
  return { no: reader.frame, envelopes };
}
