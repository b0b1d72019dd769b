/** Array buffers and typed arrays: memory outside the heap, counted over the whole turn. */
import { standIn } from './caps-collections.js';
import { exceed, integer, isObject, remove, replace, work, type Native, listLength } from './caps-common.js';
import { chargeItems, collected, plainArray } from './helpers.js';
import { running } from './meter.js';

const TYPED = [
  Uint8Array,
  Uint8ClampedArray,
  Uint16Array,
  Uint32Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];
/** Native loops over the elements. Those that answer a new array make it with the constructor, which charges. */
const LOOPS = [
  'copyWithin',
  'every',
  'fill',
  'filter',
  'find',
  'findIndex',
  'findLast',
  'findLastIndex',
  'forEach',
  'includes',
  'indexOf',
  'lastIndexOf',
  'map',
  'reduce',
  'reduceRight',
  'reverse',
  'slice',
  'some',
  'sort',
];
const COPIES = ['toReversed', 'toSorted', 'with'];
const TEXTS = ['join', 'toLocaleString', 'toString'];

type Original = (self: unknown, ...args: unknown[]) => unknown;
type Constructor = new (...args: unknown[]) => object;
interface Sized {
  readonly length: number;
  readonly byteLength: number;
}

export function capBuffers(): Record<string, unknown> {
  const typed = Object.getPrototypeOf(Uint8Array) as { prototype: object };
  const proto = typed.prototype;
  const sizeOf = sizeReader(proto);
  for (const name of LOOPS)
    replace(proto, name, (original) => looping(original, (self) => work(sizeOf(self).length, 'a typed array')));
  for (const name of COPIES)
    replace(proto, name, (original) => looping(original, (self) => outside(sizeOf(self).byteLength)));
  for (const name of TEXTS)
    replace(proto, name, (original) => looping(original, (self) => checkText(sizeOf(self).length)));
  replace(proto, 'set', (original) => looping(original, (_self, [source]) => checkSource(source)));
  replace(typed, 'from', () => from);
  replace(typed, 'of', () => of);
  remove(Uint8Array.prototype, 'toBase64', 'toHex', 'setFromBase64', 'setFromHex');
  remove(Uint8Array, 'fromBase64', 'fromHex');
  const made: Record<string, unknown> = {};
  for (const original of TYPED)
    made[original.name] = standIn(original as unknown as Constructor, (args) =>
      typedArguments(args, original.BYTES_PER_ELEMENT),
    );
  return { ...made, ArrayBuffer: capArrayBuffer() };
}

function capArrayBuffer(): unknown {
  replace(ArrayBuffer.prototype, 'slice', (original) =>
    looping(original, (self) => outside(self instanceof ArrayBuffer ? self.byteLength : 0)),
  );
  remove(
    ArrayBuffer.prototype,
    'resize',
    'transfer',
    'transferToFixedLength',
    'transferToImmutable',
    'sliceToImmutable',
  );
  return standIn(ArrayBuffer, ([length]) => {
    const bytes = integer(length);
    outside(bytes);
    return [bytes];
  });
}

/** The sizes by the intrinsic getters: an own `length` could say anything. */
function sizeReader(proto: object): (self: unknown) => Sized {
  const getter = (name: string): ((self: unknown) => number) =>
    Function.prototype.call.bind(
      (Object.getOwnPropertyDescriptor(proto, name) as PropertyDescriptor).get as () => number,
    ) as (self: unknown) => number;
  const [length, byteLength] = [getter('length'), getter('byteLength')];
  return (self) => ({ length: length(self), byteLength: byteLength(self) });
}

function outside(bytes: number): void {
  if (bytes > 0) running.meter?.growOutside(bytes, 'array buffers');
}

function looping(original: Original, check: (self: unknown, args: unknown[]) => void): Native {
  const holder = {
    method(this: unknown, ...args: unknown[]): unknown {
      check(this, args);
      return original(this, ...args);
    },
  };
  return holder.method;
}

function checkText(length: number): void {
  work(length, 'a typed array');
  if (length > 4 * 1024 * 1024 && running.meter) throw exceed(`text of a typed array of ${length} elements`);
}

function checkSource(source: unknown): void {
  if (ArrayBuffer.isView(source)) work((source as unknown as Sized).length, 'a typed array');
  else if (isObject(source) || typeof source === 'string')
    work(Array.isArray(source) ? source.length : listLength(source), 'a list');
}

function typedArguments(args: unknown[], bytesPerElement: number): unknown[] {
  const first = args[0];
  if (!isObject(first)) {
    const count = first === undefined ? 0 : integer(first);
    outside(count * bytesPerElement);
    return args.length === 0 ? args : [count];
  }
  if (first instanceof ArrayBuffer) return args;
  const items = ArrayBuffer.isView(first) ? first : toList(first);
  outside((items as unknown as Sized).length * bytesPerElement);
  return [items];
}

/** An iterable or list-like as a plain list. */
function toList(items: unknown): unknown[] {
  const m = running.meter;
  if (plainArray(items)) {
    chargeItems(m, items.length);
    return items;
  }
  const iterator = (items as Partial<Iterable<unknown>>)[Symbol.iterator];
  if (iterator !== undefined && iterator !== null) return collected(m, items as Iterable<unknown>);
  work(listLength(items), 'a list');
  return Array.from(items as ArrayLike<unknown>);
}

const from = {
  from(this: Constructor, items: unknown, f?: (item: unknown, i: number) => unknown, self?: unknown): unknown {
    const list =
      typeof items === 'string' || !ArrayBuffer.isView(items)
        ? toList(items)
        : Array.from(items as unknown as ArrayLike<unknown>);
    return new this(f === undefined ? list : list.map((item, i): unknown => Reflect.apply(f, self, [item, i])));
  },
}.from as unknown as Native;

const of = {
  of(this: Constructor, ...items: unknown[]): unknown {
    return new this(items);
  },
}.of as unknown as Native;
