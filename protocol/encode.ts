/**
 * Values to their wire form, checked in the same pass. Owns two writers; what is written is read from the value exactly once.
 *
 *   E1  what is not of the values in DESIGN section 1 is refused with its path, never dropped or altered (but −0 becomes 0).
 *   E2  user code that runs in between (traps of a proxy) may encode too: a writer in use is never entered again.
 *   E3  depth and size are bounded while writing, so shared and cyclic structures end in an error, not in a hang.
 */
import { types } from 'node:util';
import { Writer, fits64 } from './writer.js';
import { TelosError } from './errors.js';
import type { Bytes, Content } from './envelope.js';

export interface EncodeOptions {
  /** Begins the path in errors: `acct.items`, `argument`. */
  readonly place: string;
  /** The oid (or name) that a handle stands for, undefined for everything that is no handle. */
  refOf(value: object): string | undefined;
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** Functions travel as the string of their source. */
  readonly functionsAsSource?: boolean;
}

const { getPrototypeOf, getOwnPropertyDescriptor, getOwnPropertySymbols, keys, getOwnPropertyNames } = Object;
const { isArray } = Array;
const { isUint8Array } = types;
const OBJECT = Object.prototype as object;
const ARRAY = Array.prototype as object;
const { apply } = Reflect;
const wellFormed = Reflect.get(String.prototype, 'isWellFormed') as (this: string) => boolean;
const isWellFormed = (text: string): boolean => apply(wellFormed, text, []);
const functionToString = Reflect.get(Function.prototype, 'toString');
const sourceOf = (made: unknown): string => apply(functionToString, made, []);
const IDENTIFIER = /^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u;
const SHOWN = 60;
const SHOWN_STEPS = 20;

const quote = (text: string): string => JSON.stringify(text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text);

class Encoder {
  readonly writer = new Writer();
  busy = false;
  private options!: EncodeOptions;
  private depth = 0;
  private list = false;
  private readonly path: (string | number)[] = [];
  private readonly above: object[] = [];

  value(value: unknown, options: EncodeOptions): Uint8Array {
    this.begin(options, false);
    try {
      this.any(value);
      this.checkSize();
      return this.writer.finishCopy();
    } catch (error) {
      throw this.failed(error);
    } finally {
      this.above.length = 0;
      this.busy = false;
    }
  }

  args(values: readonly unknown[], options: EncodeOptions): Uint8Array {
    this.begin(options, true);
    try {
      const count = values.length;
      this.writer.arrayHeader(count);
      for (let i = 0; i < count; i++) {
        this.path[0] = i;
        this.any(values[i]);
      }
      this.checkSize();
      return this.writer.finish();
    } catch (error) {
      throw this.failed(error);
    } finally {
      this.above.length = 0;
      this.busy = false;
    }
  }

  private begin(options: EncodeOptions, list: boolean): void {
    this.busy = true;
    this.options = options;
    this.list = list;
    this.depth = list ? 1 : 0;
    this.writer.begin(options.maxBytes);
  }

  private checkSize(): void {
    if (this.writer.length > this.options.maxBytes)
      throw new TelosError('TOO_LARGE', 'the whole', { details: this.writer.length });
  }

  /** A failure of the writer knows no place: it is given one here. */
  private failed(error: unknown): unknown {
    this.writer.abandon();
    if (!(error instanceof TelosError) || error.code !== 'TOO_LARGE') return error;
    // Writing ended where the limit was passed.
    const what = `${this.options.place}: the value takes at least ${Number(error.details)} bytes; message.max_body_bytes is ${this.options.maxBytes}`;
    return new TelosError('TOO_LARGE', what, {
      remedy: 'split it, or raise message.max_body_bytes in the configuration',
    });
  }

  private any(value: unknown): void {
    switch (typeof value) {
      case 'string':
        if (!isWellFormed(value)) throw this.bad(`the string ${quote(value)} has a lone surrogate`);
        return this.writer.string(value);
      case 'number':
        if (value - value !== 0) throw this.bad(`${value} is no finite number`);
        return this.writer.number(value);
      case 'boolean':
        return this.writer.bool(value);
      case 'object':
        return value === null ? this.writer.nil() : this.object(value);
      case 'bigint':
        if (!fits64(value)) throw this.bad(`the bigint ${quote(String(value))} has more than 64 bits`);
        return this.writer.bigint(value);
      case 'undefined':
        if (this.depth === (this.list ? 1 : 0)) return this.writer.nil();
        throw this.bad('undefined (or a hole of an array) can not be stored; use null or leave the key out');
      case 'function':
        return this.function(value);
      default:
        throw this.bad(`a ${typeof value} can not be stored`);
    }
  }

  private function(value: object & { name?: unknown }): void {
    const ref = this.options.refOf(value);
    if (ref !== undefined) return this.reference(ref);
    if (this.options.functionsAsSource !== true) {
      throw this.bad(`the function ${quote(String(value.name))} can not be stored; a method is set with setMethod`);
    }
    const source = sourceOf(value);
    if (!isWellFormed(source)) throw this.bad('the source of the function has a lone surrogate');
    this.writer.string(source);
  }

  private reference(ref: string): void {
    this.writer.mapHeader(1);
    this.writer.string('$ref');
    this.writer.string(ref);
  }

  private object(value: object): void {
    const ref = this.options.refOf(value);
    if (ref !== undefined) return this.reference(ref);
    if (isArray(value)) return this.array(value);
    const prototype = getPrototypeOf(value) as object | null;
    if (prototype === OBJECT || prototype === null || isForeign(prototype, 'Object'))
      return this.map(value as Record<string, unknown>);
    if (isUint8Array(value)) return this.writer.bin(value);
    throw this.bad(`${describe(value)} can not be stored; only plain objects, arrays and Uint8Array can`);
  }

  private array(value: readonly unknown[]): void {
    const prototype = getPrototypeOf(value) as object | null;
    if (prototype !== ARRAY && !isForeign(prototype, 'Array')) throw this.bad(`${describe(value)} is no plain array`);
    const count = value.length;
    this.enter(value);
    const { depth, writer } = this;
    writer.arrayHeader(count);
    for (let i = 0; i < count; i++) {
      this.path[depth - 1] = i;
      this.any(value[i]);
    }
    this.leave();
    this.checkExtras(value, count);
  }

  private checkExtras(value: readonly unknown[], count: number): void {
    const own = keys(value);
    if (own.length === count && (count === 0 || own[count - 1] === String(count - 1))) return;
    const extra = own.find((key, index) => key !== String(index));
    throw this.bad(
      extra === undefined
        ? 'an array with holes can not be stored'
        : `an array with the property ${quote(extra)} can not be stored`,
    );
  }

  private map(value: Record<string, unknown>): void {
    const own = getOwnPropertyNames(value);
    this.enter(value);
    const { depth, writer } = this;
    writer.mapHeader(own.length);
    for (let i = 0; i < own.length; i++) {
      const key = own[i] as string;
      this.path[depth - 1] = key;
      const property = getOwnPropertyDescriptor(value, key);
      if (property === undefined || property.get !== undefined || property.set !== undefined) {
        throw this.bad('an accessor can not be stored');
      }
      if (property.enumerable !== true) throw this.bad('a property that is not enumerable can not be stored');
      this.key(key);
      this.any(property.value);
    }
    this.leave();
    if (getOwnPropertySymbols(value).length > 0) throw this.bad('a property whose key is a symbol can not be stored');
  }

  private key(key: string): void {
    if (!isWellFormed(key)) throw this.bad('a key with a lone surrogate can not be stored');
    this.writer.string(key.charCodeAt(0) === 0x24 ? `$${key}` : key);
  }

  private enter(value: object): void {
    const allowed = this.options.maxDepth + (this.list ? 1 : 0);
    if (this.depth >= allowed) {
      this.above[this.depth + 1] = value;
      throw this.bad(
        this.repeatedAt() === undefined
          ? `it is nested deeper than ${this.options.maxDepth}`
          : 'a cycle can not be stored',
      );
    }
    this.above[++this.depth] = value;
    this.checkSize();
  }

  private leave(): void {
    this.depth--;
  }

  private bad(why: string): TelosError {
    return new TelosError('BAD_VALUE', `${this.pathTo(this.repeatedAt() ?? this.depth)}: ${why}`);
  }

  /** In a cycle, the depth at which it closes for the first time: the rest of the path is only its repetition. */
  private repeatedAt(): number | undefined {
    for (let depth = 1; depth <= this.depth + 1; depth++) {
      const value = this.above[depth];
      if (value !== undefined && this.above.indexOf(value) < depth) return depth - 1;
    }
    return undefined;
  }

  private pathTo(depth: number): string {
    let path = this.options.place;
    if (depth > SHOWN_STEPS) return `${path}… (${depth} levels down)`;
    for (let i = 0; i < depth; i++) {
      const step = this.path[i] as string | number;
      if (typeof step === 'number') path += `[${step}]`;
      else path += IDENTIFIER.test(step) ? `.${step}` : `[${quote(step)}]`;
    }
    return path;
  }
}

/** The prototype of plain objects (arrays) of another realm, such as the one of a REPL's context. */
function isForeign(prototype: object | null, name: 'Object' | 'Array'): boolean {
  if (prototype === null) return false;
  const above = getPrototypeOf(prototype) as object | null;
  if (name === 'Object' ? above !== null : above === null || getPrototypeOf(above) !== null) return false;
  const maker: unknown = getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  return typeof maker === 'function' && maker.name === name && sourceOf(maker).includes('[native code]');
}

function describe(value: object): string {
  const prototype = getPrototypeOf(value) as object | null;
  const maker: unknown = prototype === null ? undefined : getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  return typeof maker === 'function' && maker.name !== ''
    ? `an object of class ${maker.name}`
    : 'an object with a prototype of its own';
}

const encoders = [new Encoder()];

function acquire(): Encoder {
  for (const encoder of encoders) if (!encoder.busy) return encoder;
  const more = new Encoder();
  if (encoders.length < 8) encoders.push(more);
  return more;
}

/** Content of a slot or answer. undefined becomes null. @throws TelosError BAD_VALUE, TOO_LARGE with the place and path */
export function encodeContent(value: unknown, options: EncodeOptions): Content {
  switch (typeof value) {
    case 'number':
      if (value - value === 0) return value + 0;
      break;
    case 'boolean':
      return value;
    case 'undefined':
      return null;
    case 'string':
      if (value.length * 3 > options.maxBytes || !isWellFormed(value)) break;
      return value;
    case 'bigint':
      if (fits64(value)) return value;
      break;
    case 'object':
      if (value === null) return null;
      break;
    default:
  }
  const bytes = acquire().value(value, options);
  if (typeof value === 'string') return value;
  return typeof value === 'function' && options.refOf(value) === undefined ? sourceOf(value) : bytes;
}

/** msgpack list of the wire forms of `values`: the arguments of a message. @throws TelosError BAD_VALUE, TOO_LARGE */
export function encodeArgs(values: readonly unknown[], options: EncodeOptions): Bytes {
  return acquire().args(values, options);
}
