/** Object, Reflect, Function, BigInt statics: copies of large objects, and argument lists that lie about their length. */
import { chargeItems, collected, MAX_BIGINT_BITS, plainArray } from './helpers.js';
import { exceed, integer, isObject, remove, replace, work, type Native, listLength } from './caps-common.js';
import { running } from './meter.js';

/** Their work is seen from the size of what they answer. */
const LISTING = ['keys', 'values', 'entries', 'getOwnPropertyNames', 'getOwnPropertySymbols'];
/** Their work is not seen at all: the clock is looked at each time. */
const COPYING = [
  'assign',
  'defineProperties',
  'freeze',
  'seal',
  'isFrozen',
  'isSealed',
  'getOwnPropertyDescriptors',
  'create',
];

/** Arguments of one call; V8 gives up a little later, but only after it has copied them. */
const MAX_ARGUMENTS = 60_000;

type Original = (self: unknown, ...args: unknown[]) => unknown;

export function capObjects(): void {
  for (const name of LISTING) replace(Object, name, (original) => listing(original));
  replace(Reflect, 'ownKeys', (original) => listing(original));
  for (const name of COPYING)
    replace(Object, name, (original) => native((...args) => (running.meter?.look(), original(Object, ...args))));
  replace(Object, 'fromEntries', (original) => native((entries) => original(Object, listed(entries))));
  replace(Reflect, 'apply', (original) =>
    native((f, self, args) => (checkArguments(args), original(Reflect, f, self, args))),
  );
  replace(Reflect, 'construct', (original) => native((...all) => (checkArguments(all[1]), original(Reflect, ...all))));
  replace(Function.prototype, 'apply', (original) => applying(original));
  for (const name of ['asIntN', 'asUintN'])
    replace(BigInt, name, (original) => native((bits, value) => original(BigInt, checkedBits(bits), value)));
  remove(Object, 'groupBy');
  remove(Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object, ...HELPERS);
}

/** Iterator helpers (Node 22). */
const HELPERS = ['map', 'filter', 'take', 'drop', 'flatMap', 'reduce', 'toArray', 'forEach', 'some', 'every', 'find'];

function native(body: (...args: unknown[]) => unknown): Native {
  const holder = {
    method(...args: unknown[]): unknown {
      return body(...args);
    },
  };
  return holder.method;
}

function listing(original: Original): Native {
  return native((value) => {
    if (typeof value === 'string' || ArrayBuffer.isView(value))
      chargeItems(running.meter, (value as { length?: number }).length ?? 0);
    const keys = original(Object, value) as unknown[];
    work(keys.length, 'a list of keys');
    if (keys.length > 64) running.meter?.look();
    return keys;
  });
}

/** An iterable as a list whose iteration nobody can change. */
export function listed(items: unknown): unknown {
  const m = running.meter;
  if (m === null || items === null || items === undefined) return items;
  if (!plainArray(items))
    return isObject(items) || typeof items === 'string' ? collected(m, items as Iterable<unknown>) : items;
  chargeItems(m, items.length);
  return items;
}

function checkArguments(args: unknown): void {
  if (running.meter === null || !isObject(args)) return;
  const count = Array.isArray(args) ? args.length : listLength(args);
  if (count > MAX_ARGUMENTS) throw new RangeError(`${count} arguments; at most ${MAX_ARGUMENTS}`);
}

function applying(original: Original): Native {
  const holder = {
    apply(this: unknown, self: unknown, args: unknown): unknown {
      if (args !== undefined && args !== null) checkArguments(args);
      return original(this, self, args);
    },
  };
  return holder.apply;
}

function checkedBits(bits: unknown): number {
  const count = integer(bits);
  if (count > MAX_BIGINT_BITS && running.meter) throw exceed(`a bigint of ${count} bits; at most ${MAX_BIGINT_BITS}`);
  return count;
}
