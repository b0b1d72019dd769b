/**
 * What instrumented code calls where a plain operator could grow without bound: `$telos.add(a + b)`, `$telos.list(m, iterable)` …
 *
 * 1. Frozen; not nameable from a method (its name is reserved), so it can take anything apart without being imitated.
 * 2. Results are those of the plain operator, or BUDGET.
 * 3. The operator itself stays at its place in the source where it can, so that V8 keeps its type feedback by site.
 */
import { running, type Meter } from './meter.js';

/** Characters of a string that an operator may make. */
export const MAX_STRING = 32 * 1024 * 1024;

/** Bits of a bigint that an operator may make (about 9,800 digits). */
export const MAX_BIGINT_BITS = 32_768;

const BIG = 1n << BigInt(MAX_BIGINT_BITS);
const LONG_STRING = 4096;

/** Up to this length V8 makes room for every element of a new list at once (32 Mi elements). */
const MAX_FAST_LENGTH = 32 * 1024 * 1024;

export interface Helpers {
  readonly running: typeof running;
  add<T>(result: T): T;
  text(m: Meter, result: string): string;
  times<T>(result: T): T;
  power(a: unknown, b: unknown): unknown;
  left(a: unknown, b: unknown): unknown;
  right(a: unknown, b: unknown): unknown;
  list(m: Meter, iterable: unknown): unknown;
  fields(m: Meter, value: unknown): unknown;
  key(value: unknown): PropertyKey;
  /** A name that no method has: any property of it is a ReferenceError. */
  readonly free: object;
  size(m: Meter, count: unknown): unknown;
  caught(m: Meter, error: unknown): void;
}

export const helpers: Helpers = Object.freeze({
  running,
  add<T>(result: T): T {
    if (typeof result === 'string') {
      if (result.length > LONG_STRING) longString(result.length);
    } else if (typeof result === 'bigint') checkBig(result);
    return result;
  },
  text(_m: Meter, result: string): string {
    if (result.length > LONG_STRING) longString(result.length);
    return result;
  },
  times<T>(result: T): T {
    if (typeof result === 'bigint') checkBig(result);
    return result;
  },
  power(a: unknown, b: unknown): unknown {
    if (typeof a === 'number' && typeof b === 'number') return a ** b;
    const [x, y] = numeric(a, b);
    if (typeof x === 'bigint' && typeof y === 'bigint' && y > 0n) checkBits(bits(x) * clampedNumber(y));
    return (x as number) ** (y as number);
  },
  left(a: unknown, b: unknown): unknown {
    if (typeof a === 'number' && typeof b === 'number') return a << b;
    const [x, y] = numeric(a, b);
    if (typeof x === 'bigint' && typeof y === 'bigint' && y > 0n && x !== 0n) checkBits(bits(x) + clampedNumber(y));
    return (x as number) << (y as number);
  },
  right(a: unknown, b: unknown): unknown {
    if (typeof a === 'number' && typeof b === 'number') return a >> b;
    const [x, y] = numeric(a, b);
    if (typeof x === 'bigint' && typeof y === 'bigint' && y < 0n && x !== 0n) checkBits(bits(x) + clampedNumber(-y));
    return (x as number) >> (y as number);
  },
  list(m: Meter, iterable: unknown): unknown {
    if (plainArray(iterable)) {
      chargeItems(m, iterable.length);
      return iterable;
    }
    if (
      iterable === null ||
      iterable === undefined ||
      typeof (iterable as Iterable<unknown>)[Symbol.iterator] !== 'function'
    ) {
      throw new TypeError(`${iterable === null ? 'null' : typeof iterable} is not iterable`);
    }
    return collected(m, iterable as Iterable<unknown>);
  },
  fields(m: Meter, value: unknown): unknown {
    if (typeof value === 'string' || Array.isArray(value) || ArrayBuffer.isView(value))
      chargeItems(m, (value as { length?: number }).length ?? 0);
    else if (value !== null && value !== undefined) m.look();
    return value;
  },
  size(m: Meter, count: unknown): unknown {
    if (typeof count === 'number' && count > 64 && count <= MAX_FAST_LENGTH) m.grow(count * 8, 'a list');
    return count;
  },
  key(value: unknown): PropertyKey {
    return typeof value === 'object' || typeof value === 'function'
      ? (toPrimitive(value, 'string') as PropertyKey)
      : (value as PropertyKey);
  },
  free: new Proxy(
    {},
    {
      get(_target, name) {
        throw new ReferenceError(`${String(name)} is not defined`);
      },
    },
  ),
  caught(m: Meter, error: unknown): void {
    m.on();
    if (error instanceof RangeError && error.message === 'Maximum call stack size exceeded')
      throw m.exceed('calls nested too deeply (stack overflow)', 'turn.max_depth');
  },
});

/** An array whose native iteration nobody has changed; intrinsics are frozen, so only its own keys and parents matter. */
export function plainArray(value: unknown): value is unknown[] {
  return (
    Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype && !Object.hasOwn(value, Symbol.iterator)
  );
}

/** All items of any iterable, each charged; in place of the native loops that a native `next` could keep for ever. */
export function collected(m: Meter | null, iterable: Iterable<unknown>): unknown[] {
  const all: unknown[] = [];
  for (const item of iterable) {
    if (m && --m.left < 0) m.check();
    all.push(item);
  }
  return all;
}

export function chargeItems(m: Meter | null, count: number): void {
  if (m === null || count < 64) return;
  m.grow(count * 8, 'a list');
}

function longString(length: number): void {
  const m = running.meter;
  if (length > MAX_STRING)
    throw m
      ? m.exceed(`a string of ${length} characters; at most ${MAX_STRING}`, 'turn.max_grow_bytes')
      : new RangeError('Invalid string length');
  if (m) m.charge(4);
}

function checkBig(value: bigint): void {
  if (value >= BIG || value <= -BIG) checkBits(MAX_BIGINT_BITS + 1);
}

function checkBits(count: number): void {
  if (count <= MAX_BIGINT_BITS) return;
  const why = `a bigint of more than ${MAX_BIGINT_BITS} bits`;
  throw running.meter ? running.meter.exceed(why, '') : new RangeError(why);
}

/** The length in bits, or more than enough where it is over the cap. */
export function bits(value: bigint): number {
  const abs = value < 0n ? -value : value;
  return abs >= BIG ? MAX_BIGINT_BITS + 1 : abs < 2n ? Number(abs) : abs.toString(2).length - 1;
}

function clampedNumber(value: bigint): number {
  return value > BIG ? Number.POSITIVE_INFINITY : Number(value);
}

function numeric(a: unknown, b: unknown): [unknown, unknown] {
  const x = toNumeric(a);
  return [x, toNumeric(b)];
}

function toNumeric(value: unknown): unknown {
  const primitive = toPrimitive(value, 'number');
  if (typeof primitive === 'symbol') throw new TypeError('Cannot convert a Symbol value to a number');
  return typeof primitive === 'bigint' ? primitive : Number(primitive);
}

function toPrimitive(value: unknown, hint: 'number' | 'string'): unknown {
  if (!isObject(value)) return value;
  const exotic = value[Symbol.toPrimitive];
  const own = exotic !== undefined && exotic !== null;
  const order = own ? [Symbol.toPrimitive] : hint === 'number' ? ['valueOf', 'toString'] : ['toString', 'valueOf'];
  for (const key of order) {
    const convert = value[key];
    if (typeof convert !== 'function') continue;
    const result: unknown = Reflect.apply(convert, value, own ? [hint] : []);
    if (!isObject(result)) return result;
  }
  throw new TypeError('Cannot convert object to primitive value');
}

function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}
