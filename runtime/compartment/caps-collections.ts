/** Constructors that take an iterable, and BigInt: methods see these instead of the originals, also through `constructor`. */
import { listed } from './caps-objects.js';
import { exceed, remove, work, type Native } from './caps-common.js';
import { MAX_BIGINT_BITS } from './helpers.js';
import { running } from './meter.js';

/** Set methods of Node 22: their loops are native, over a `keys` of the argument's choice. */
const SET_METHODS = [
  'union',
  'intersection',
  'difference',
  'symmetricDifference',
  'isSubsetOf',
  'isSupersetOf',
  'isDisjointFrom',
];

/** Decimal digits of a bigint that text may give. */
const MAX_DIGITS = Math.floor(MAX_BIGINT_BITS * Math.log10(2));

type Constructor = new (...args: unknown[]) => object;

export function capCollections(): Record<string, unknown> {
  remove(Set.prototype, ...SET_METHODS);
  remove(Map, 'groupBy');
  const made: Record<string, unknown> = {};
  for (const original of [Map, Set, WeakMap, WeakSet])
    made[original.name] = standIn(original as unknown as Constructor, (args) =>
      args.map((items, i) => (i === 0 ? listed(items) : items)),
    );
  made['AggregateError'] = standIn(
    AggregateError as unknown as Constructor,
    (args) => args.map((items, i) => (i === 0 ? listed(items) : items)),
    true,
  );
  made['BigInt'] = bigint();
  for (const kind of [Map, Set]) forEach(kind.prototype as unknown as Record<string, unknown>);
  return made;
}

/** A constructor that makes the original's instances from checked arguments. */
export function standIn(original: Constructor, check: (args: unknown[]) => unknown[], callable = false): Constructor {
  const Made = function (...args: unknown[]): object {
    if (new.target === undefined && !callable) throw new TypeError(`Constructor ${original.name} requires 'new'`);
    return Reflect.construct(
      original,
      check(args),
      new.target === undefined || (new.target as unknown) === Made ? original : new.target,
    ) as object;
  } as unknown as Constructor;
  take(Made, original);
  return Made;
}

/** The statics, prototype and place of the original. */
function take(made: object, original: { readonly prototype: object }): void {
  for (const key of Reflect.ownKeys(original)) {
    if (key === 'prototype') continue;
    Object.defineProperty(made, key, Object.getOwnPropertyDescriptor(original, key) as PropertyDescriptor);
  }
  Object.defineProperty(made, 'prototype', { value: original.prototype, writable: false });
  Object.setPrototypeOf(made, Object.getPrototypeOf(original) as object);
  Object.defineProperty(original.prototype, 'constructor', {
    value: made,
    writable: true,
    configurable: true,
    enumerable: false,
  });
}

function bigint(): unknown {
  const original = BigInt;
  const made = {
    BigInt(value: unknown): bigint {
      const text = typeof value === 'object' && value !== null ? primitive(value) : value;
      if (typeof text === 'string' && text.length > MAX_DIGITS && running.meter)
        throw exceed(`a bigint of ${text.length} digits; at most ${MAX_DIGITS}`);
      return original(text as string);
    },
  }.BigInt;
  take(made, original);
  return made;
}

function primitive(value: object): unknown {
  const convert = (value as Record<PropertyKey, unknown>)[Symbol.toPrimitive];
  if (typeof convert === 'function') return Reflect.apply(convert, value, ['number']) as unknown;
  const plain = (value as { valueOf(): unknown }).valueOf();
  return typeof plain === 'object' || typeof plain === 'function'
    ? (value as { toString(): unknown }).toString()
    : plain;
}

function forEach(proto: Record<string, unknown>): void {
  const original = Function.prototype.call.bind(proto['forEach'] as Native) as (
    self: unknown,
    ...args: unknown[]
  ) => unknown;
  const sized = Function.prototype.call.bind(
    (Object.getOwnPropertyDescriptor(proto, 'size') as PropertyDescriptor).get as () => number,
  ) as (self: unknown) => number;
  Object.defineProperty(proto, 'forEach', {
    value: {
      forEach(this: unknown, f: unknown, self?: unknown): unknown {
        work(sized(this), 'a collection');
        return original(this, f, self);
      },
    }.forEach,
  });
}
