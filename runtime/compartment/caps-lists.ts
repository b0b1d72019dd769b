/** Array and the iteration of it. */
import { chargeItems, collected, MAX_STRING, plainArray } from './helpers.js';
import {
  exceed,
  grow,
  growText,
  isObject,
  listLength,
  remove,
  replace,
  textOf,
  work,
  type Native,
} from './caps-common.js';
import { concatenating, filtering, mapping, slicing } from './caps-copies.js';
import { running } from './meter.js';

/** Methods that take at most two arguments, for which `undefined` is the same as none. */
const READERS = [
  'every',
  'find',
  'findIndex',
  'findLast',
  'findLastIndex',
  'forEach',
  'includes',
  'indexOf',
  'some',
  'toSorted',
  'sort',
];
const OTHERS = [
  'copyWithin',
  'fill',
  'lastIndexOf',
  'reduce',
  'reduceRight',
  'reverse',
  'shift',
  'splice',
  'unshift',
  'toReversed',
  'toSpliced',
  'with',
];
const COPYING = new Set(['toSorted', 'toReversed', 'toSpliced', 'with']);

export function capLists(): void {
  const proto = Array.prototype as unknown as Record<string, unknown>;
  for (const name of READERS) replace(proto, name, (original) => reader(name, original));
  for (const name of OTHERS) replace(proto, name, (original) => other(name, original));
  replace(proto, 'map', mapping);
  replace(proto, 'filter', filtering);
  replace(proto, 'slice', slicing);
  replace(proto, 'concat', concatenating);
  replace(proto, 'join', () => method('join', (self, separator) => join(self, separator)));
  replace(proto, 'toString', () =>
    method('toString', (self) =>
      isObject(self) && typeof self['join'] === 'function' && !Array.isArray(self)
        ? Reflect.apply(self['join'] as Native, self, [])
        : join(self, undefined),
    ),
  );
  replace(proto, 'toLocaleString', () => method('toLocaleString', (self) => join(self, undefined)));
  replace(proto, 'flat', () => method('flat', (self, depth) => flat(self, depth === undefined ? 1 : Number(depth))));
  replace(proto, 'flatMap', () =>
    method('flatMap', (self, f, thisArg) => flat((Array.prototype.map as Native).call(self, f, thisArg), 1)),
  );
  replace(Array, 'from', (original) => method('from', (_self, items, f, thisArg) => from(original, items, f, thisArg)));
  replace(Array, 'of', () => method('of', (_self, ...items) => items));
  remove(Array, 'fromAsync');
}

function method(name: string, body: (self: unknown, ...args: unknown[]) => unknown): Native {
  const holder = {
    [name](this: unknown, ...args: unknown[]): unknown {
      return body(this, ...args);
    },
  };
  return holder[name] as Native;
}

function reader(name: string, original: (self: unknown, ...args: unknown[]) => unknown): Native {
  const copies = COPYING.has(name);
  const holder = {
    [name](this: unknown, a?: unknown, b?: unknown): unknown {
      const length = Array.isArray(this) ? this.length : listLength(this);
      if (length > 63) {
        work(length, 'a list');
        if (copies) grow(length * 8, 'a list');
      } else work(length, 'a list');
      return original(this, a, b);
    },
  };
  return holder[name] as Native;
}

function other(name: string, original: (self: unknown, ...args: unknown[]) => unknown): Native {
  const copies = COPYING.has(name);
  const moves = name === 'shift' || name === 'unshift';
  const holder = {
    [name](this: unknown, ...args: unknown[]): unknown {
      const length = Array.isArray(this) ? this.length : listLength(this);
      work(moves && Array.isArray(this) && !sparse(this) ? length >>> 6 : length, 'a list');
      if (copies) grow(length * 8, 'a list');
      switch (args.length) {
        case 1:
          return original(this, args[0]);
        case 2:
          return original(this, args[0], args[1]);
        default:
          return original(this, ...args);
      }
    },
  };
  return holder[name] as Native;
}

/** Lists beyond this length are dictionaries in V8, or near enough: shifting them loops over every index. */
function sparse(list: readonly unknown[]): boolean {
  return list.length > 16 * 1024 * 1024;
}

/** A list that is being joined is empty inside itself. */
const joining = new Set<unknown>();

function join(self: unknown, separator: unknown): string {
  if (self === null || self === undefined) throw new TypeError('Array.prototype.join called on null or undefined');
  const length = Array.isArray(self) ? self.length : listLength(self);
  work(length, 'a list');
  const between = separator === undefined ? ',' : textOf(separator);
  growText(between.length * length, 'a joined string');
  if (joining.has(self)) return '';
  joining.add(self);
  try {
    return joined(self as ArrayLike<unknown>, length, between);
  } finally {
    joining.delete(self);
  }
}

function joined(list: ArrayLike<unknown>, length: number, between: string): string {
  let text = '';
  const m = running.meter;
  for (let i = 0; i < length; i++) {
    const item = list[i];
    if (i > 0) text += between;
    if (item !== null && item !== undefined) text += textOf(item);
    if (m && (i & 15) === 15 && --m.left < 0) m.check();
    if (text.length > MAX_STRING && m) throw exceed(`a joined string of more than ${MAX_STRING} characters`);
  }
  growText(text.length, 'a joined string');
  return text;
}

function flat(self: unknown, depth: number): unknown[] {
  const out: unknown[] = [];
  flatInto(out, self as ArrayLike<unknown>, depth);
  return out;
}

function flatInto(out: unknown[], list: ArrayLike<unknown>, depth: number): void {
  const length = Array.isArray(list) ? list.length : listLength(list);
  const m = running.meter;
  work(length, 'a list');
  for (let i = 0; i < length; i++) {
    if (!(i in list)) continue;
    if (m && --m.left < 0) m.check();
    const item = list[i];
    if (depth >= 1 && Array.isArray(item)) flatInto(out, item, depth - 1);
    else out.push(item);
  }
}

function from(
  original: (self: unknown, ...args: unknown[]) => unknown,
  items: unknown,
  f: unknown,
  thisArg: unknown,
): unknown {
  if (items === null || items === undefined) throw new TypeError(`${items as undefined} is not iterable`);
  const m = running.meter;
  if (typeof items === 'number' || typeof items === 'boolean') return [];
  if (plainArray(items)) {
    chargeItems(m, items.length);
    return original(Array, items, f, thisArg);
  }
  const iterator = (items as Partial<Iterable<unknown>>)[Symbol.iterator];
  if (iterator !== undefined && iterator !== null)
    return mapped(collected(m, items as Iterable<unknown>), original, f, thisArg);
  const length = listLength(items);
  work(length, 'a list');
  grow(length * 8, 'a list');
  return mapped(Array.prototype.slice.call(items as unknown[]), original, f, thisArg, length);
}

function mapped(
  list: unknown[],
  original: (self: unknown, ...args: unknown[]) => unknown,
  f: unknown,
  thisArg: unknown,
  length = list.length,
): unknown {
  if (list.length !== length) list.length = length;
  return f === undefined ? filled(list) : original(Array, list, f, thisArg);
}

/** Array.from has no holes. */
function filled(list: unknown[]): unknown[] {
  for (let i = 0; i < list.length; i++) if (!(i in list)) list[i] = undefined;
  return list;
}
