/**
 * `map`, `filter`, `slice` and `concat` of plain arrays, without the look-up of a species: SES's freezing of `Array.prototype.constructor` ends
 * V8's promise that there is none, and the natives then take 20 times as long (measured; see soft-freeze.ts). Holes stay holes.
 */
import { exceed, grow, isObject, listLength, work, type Native } from './caps-common.js';

type Original = (self: unknown, ...args: unknown[]) => unknown;

/** From here on copying natively is quicker again. */
const LONG = 256;

function isPlain(value: unknown): value is unknown[] {
  return Array.isArray(value) && Object.getPrototypeOf(value) === Array.prototype;
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : listLength(value);
}

function callable(f: unknown): Native {
  if (typeof f !== 'function') throw new TypeError(`${typeof f} is not a function`);
  return f as Native;
}

export function mapping(original: Original): Native {
  const holder = {
    map(this: unknown, f?: unknown, thisArg?: unknown): unknown {
      const length = lengthOf(this);
      work(length, 'a list');
      if (length >= LONG) grow(length * 8, 'a list');
      if (!isPlain(this) || length >= LONG) return original(this, f, thisArg);
      const each = callable(f);
      const out = new Array<unknown>(length);
      for (let i = 0; i < length; i++) {
        const item = this[i];
        if (item !== undefined || i in this)
          out[i] = thisArg === undefined ? each(item, i, this) : each.call(thisArg, item, i, this);
      }
      return out;
    },
  };
  return holder.map;
}

export function filtering(original: Original): Native {
  const holder = {
    filter(this: unknown, f?: unknown, thisArg?: unknown): unknown {
      const length = lengthOf(this);
      work(length, 'a list');
      if (length >= LONG) grow(length * 8, 'a list');
      if (!isPlain(this)) return original(this, f, thisArg);
      const each = callable(f);
      const out: unknown[] = [];
      for (let i = 0; i < length; i++) {
        const item = this[i];
        if (item === undefined && !(i in this)) continue;
        if (thisArg === undefined ? each(item, i, this) : each.call(thisArg, item, i, this)) out.push(item);
      }
      return out;
    },
  };
  return holder.filter;
}

export function slicing(original: Original): Native {
  const holder = {
    slice(this: unknown, from?: unknown, to?: unknown): unknown {
      const length = lengthOf(this);
      work(length, 'a list');
      if (length >= LONG) grow(length * 8, 'a list');
      if (!isPlain(this) || length >= LONG) return original(this, from, to);
      const end = to === undefined ? length : place(to, length);
      const start = place(from, length);
      const out: unknown[] = [];
      for (let i = start; i < end; i++) {
        const item = this[i];
        if (item !== undefined || i in this) out.push(item);
        else out.length++;
      }
      return out;
    },
  };
  return holder.slice;
}

/** An index relative to either end, as the built-ins read it. */
function place(at: unknown, length: number): number {
  const n = typeof at === 'number' ? at : Number(at);
  if (!(Math.abs(n) >= 1)) return 0;
  return n < 0 ? Math.max(0, length + Math.trunc(n)) : Math.min(length, Math.trunc(n));
}

export function concatenating(original: Original): Native {
  const holder = {
    concat(this: unknown, ...args: unknown[]): unknown {
      const total = args.reduce((sum: number, item) => sum + spreadLength(item), spreadLength(this));
      work(total, 'a list');
      if (total >= LONG) grow(total * 8, 'a list');
      if (!isPlain(this) || total >= LONG || !args.every((item) => isPlain(item) || !isObject(item)))
        return original(this, ...args);
      const out: unknown[] = [];
      append(out, this);
      for (const item of args) {
        if (Array.isArray(item)) append(out, item);
        else out.push(item);
      }
      return out;
    },
  };
  return holder.concat;
}

/** An object that says by a symbol that it is to be spread could answer with any length. */
function spreadLength(item: unknown): number {
  if (Array.isArray(item)) return item.length;
  if (isObject(item) && Symbol.isConcatSpreadable in item && item[Symbol.isConcatSpreadable] !== undefined)
    throw exceed('Symbol.isConcatSpreadable is not supported');
  return 1;
}

function append(out: unknown[], items: readonly unknown[]): void {
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (item !== undefined || i in items) out.push(item);
    else out.length++;
  }
}
