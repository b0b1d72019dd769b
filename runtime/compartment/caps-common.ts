/** How a built-in is replaced, and how its work is charged to the running turn. */
import { types } from 'node:util';

import { MAX_STRING } from './helpers.js';
import { running } from './meter.js';

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

/** The conversion that operators and built-ins do: unlike String, it throws for a symbol. */
export function textOf(value: unknown): string {
  return `${value as number}`;
}

/** Integer as the built-ins convert it; NaN is 0. */
export function integer(value: unknown): number {
  const n = Math.trunc(Number(value));
  return Number.isNaN(n) ? 0 : n;
}

/**
 * The length that a generic method will read of something that is no array. It has to be a property of its own with a value, or that of a string
 * or typed array: a getter could answer differently the second time.
 */
export function listLength(self: unknown): number {
  if (typeof self === 'string') return self.length;
  if (!isObject(self)) return 0;
  const own = types.isProxy(self) ? undefined : Object.getOwnPropertyDescriptor(self, 'length');
  if (own && 'value' in own && (typeof own.value === 'number' || own.value === undefined))
    return Math.max(0, Math.min(Number(own.value) || 0, Number.MAX_SAFE_INTEGER));
  if (own === undefined && (ArrayBuffer.isView(self) || self instanceof String))
    return (self as unknown as { length?: number }).length ?? 0;
  if (own === undefined && !types.isProxy(self) && !('length' in self)) return 0;
  if (running.meter === null) return 0;
  throw new TypeError('a list method works on a list, a string, or an object whose own length is a number');
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
