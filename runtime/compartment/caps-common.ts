/** How a built-in is replaced, and how its work is charged to the running turn. */
import { MAX_STRING } from './helpers.js';
import { running, type Meter } from './meter.js';

export type Native = (this: unknown, ...args: unknown[]) => unknown;

/** Items that one list may have for a native loop over it. */
export const MAX_ITEMS = 32 * 1024 * 1024;

/** Below this a native loop costs no more than the call. */
const FEW = 64;

/** From here on the clock is looked at after each call. */
const MANY = 16_384;

/** Replaces `target[name]`, keeping its name, length and attributes. `make` gets the original, callable as `original(self, ...args)`. */
export function replace(
  target: object,
  name: PropertyKey,
  make: (original: (self: unknown, ...args: unknown[]) => unknown) => Native,
): void {
  const descriptor = Object.getOwnPropertyDescriptor(target, name);
  const native = descriptor && ('value' in descriptor ? (descriptor.value as unknown) : undefined);
  if (!descriptor || typeof native !== 'function') return;
  const original = Function.prototype.call.bind(native) as (self: unknown, ...args: unknown[]) => unknown;
  const capped = make(original);
  Object.defineProperties(capped, {
    name: { value: native.name, configurable: true },
    length: { value: native.length, configurable: true },
  });
  Object.defineProperty(target, name, { ...descriptor, value: capped });
}

/** Removes what Node 20 does not have, or what methods do without. */
export function remove(target: object | undefined, ...names: PropertyKey[]): void {
  if (target) for (const name of names) Reflect.deleteProperty(target, name);
}

/** A native loop over `items` items is about to run. */
export function work(items: number, what: string): void {
  const m = running.meter;
  if (m === null) return orphan();
  if (items < FEW) {
    if (--m.left < 0) m.check();
    return;
  }
  if (items > MAX_ITEMS) throw m.exceed(`${what} of ${items} items; at most ${MAX_ITEMS}`, '');
  m.charge(items >>> 3);
  if (items > MANY) m.check();
}

/** A built-in is about to add about `bytes` bytes to the heap. */
export function grow(bytes: number, what: string): void {
  if (bytes > 4096) running.meter?.grow(bytes, what);
}

/** A string of `length` characters is about to be made. */
export function growText(length: number, what: string): void {
  if (!(length > 4096)) return;
  const m = running.meter;
  if (m === null) return;
  if (length > MAX_STRING) throw m.exceed(`${what} of ${length} characters; at most ${MAX_STRING}`, '');
  m.grow(length, what);
}

/** Ends the running turn; an error without one. */
export function exceed(why: string): Error {
  return running.meter ? running.meter.exceed(why, '') : new RangeError(why);
}

export function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** Integer as the built-ins convert it; NaN is 0. */
export function integer(value: unknown): number {
  const n = Math.trunc(Number(value));
  return Number.isNaN(n) ? 0 : n;
}

/**
 * Work that no turn is charged for, in one go of the event loop: a chain of thenables can call built-ins for ever in microtasks, with no code
 * of a method in between.
 */
const ORPHANS = 200_000;
const ORPHAN_MS = 1500;
let orphans = 0;
let orphansSince = 0;

function orphan(): void {
  if (++orphans === 1) {
    orphansSince = performance.now();
    setImmediate(() => (orphans = 0));
  } else if (orphans > ORPHANS && (orphans & 1023) === 0 && performance.now() - orphansSince > ORPHAN_MS) {
    throw new RangeError('microtasks without end');
  }
}

export type { Meter };
