/**
 * Regular expressions. V8 goes over to a linear engine after much backtracking (runtime/process/host-flags.ts), but only for expressions without flags `i`, `u`,
 * `v`, without look-around and back references, and large counted repetitions keep that engine busy as well (tried: minutes). So what is not
 * surely cheap runs under a deadline, which costs about 0.1 ms.
 */
import { types } from 'node:util';
import { Script } from 'node:vm';

import { MAX_STRING } from './helpers.js';
import { exceed, isObject, remove, replace, work, type Native, textOf } from './caps-common.js';
import { running } from './meter.js';
import { regExpCost, type RegExpCost } from './regexp-cost.js';

/** Steps of a backtracking matcher that need no deadline: about 2 ms. */
const CHEAP_STEPS = 1_000_000;

/** Sources whose cost is remembered. */
const REMEMBERED = 2000;

/** Characters of an expression made at run time. */
const MAX_PATTERN = 32_768;

let costs = new Map<string, RegExpCost>();

export function capRegExp(): void {
  const proto = RegExp.prototype as unknown as Record<PropertyKey, unknown>;
  replace(proto, 'exec', (original) => exec(original));
  for (const key of [Symbol.match, Symbol.matchAll, Symbol.replace, Symbol.search, Symbol.split])
    replace(proto, key, (original) => protocol(original));
  replace(proto, 'toString', (original) => plain((self) => (genuine(self), original(self))));
  remove(proto, 'compile');
  remove(RegExp, 'escape');
}

function plain(body: (self: unknown, ...args: unknown[]) => unknown): Native {
  const holder = {
    method(this: unknown, ...args: unknown[]): unknown {
      return body(this, ...args);
    },
  };
  return holder.method;
}

/** Every match of every method of strings and expressions goes through `exec`, because it is not V8's own any more. */
function exec(original: (self: unknown, ...args: unknown[]) => unknown): Native {
  const holder = {
    exec(this: unknown, subject: unknown): unknown {
      const text = typeof subject === 'string' ? subject : textOf(subject);
      work((text.length >>> 4) + 1, 'a string');
      if (running.meter === null || !types.isRegExp(this) || cheap(this, text.length)) return original(this, text);
      return underDeadline(() => original(this, text));
    },
  };
  return holder.exec;
}

/** The source is read through the intrinsic getter: an own property of the instance could say anything. */
const sourceOf = Function.prototype.call.bind(
  (Object.getOwnPropertyDescriptor(RegExp.prototype, 'source') as PropertyDescriptor).get as () => string,
) as (self: unknown) => string;

function cheap(self: RegExp, length: number): boolean {
  const { nested, loops, size } = costOf(sourceOf(self));
  if (nested) return length < 12 && size < 1000;
  return size * (length + 1) ** (loops + 1) < CHEAP_STEPS || (loops === 0 && size < 100);
}

function costOf(source: string): RegExpCost {
  let cost = costs.get(source);
  if (cost === undefined) {
    if (source.length > MAX_PATTERN)
      throw exceed(`a regular expression of ${source.length} characters; at most ${MAX_PATTERN}`);
    cost = regExpCost(source);
    if (costs.size >= REMEMBERED) costs = new Map();
    costs.set(source, cost);
  }
  return cost;
}

/** In this realm, so that no error of another realm (whose `Function` is not tamed) can come out of it. Methods don't see this global. */
const RUN = '$telosUnderDeadline';
const script = new Script(`globalThis.${RUN}()`);
const slot = globalThis as unknown as Record<string, (() => unknown) | undefined>;
let guarded = false;

function underDeadline<T>(run: () => T): T {
  const m = running.meter;
  if (m === null || guarded) return run();
  guarded = true;
  slot[RUN] = run;
  try {
    return script.runInThisContext({ timeout: Math.max(1, Math.ceil(m.msLeft())) }) as T;
  } catch (error) {
    if (isObject(error) && error['code'] === 'ERR_SCRIPT_EXECUTION_TIMEOUT')
      throw exceed('a regular expression ran too long');
    throw error;
  } finally {
    guarded = false;
    slot[RUN] = undefined;
  }
}

/** An `exec`, `flags` or `constructor` of the instance's own could keep the native loop over matches for ever. */
function genuine(self: unknown): void {
  if (running.meter === null) return;
  if (types.isRegExp(self) && Object.getPrototypeOf(self) === RegExp.prototype && Reflect.ownKeys(self).length === 1)
    return;
  throw new TypeError('a regular expression with properties of its own is not supported');
}

function protocol(original: (self: unknown, ...args: unknown[]) => unknown): Native {
  return plain((self, subject, ...args) => {
    genuine(self);
    const text = typeof subject === 'string' ? subject : textOf(subject);
    work(text.length >>> 4, 'a string');
    const result = original(self, text, ...args);
    if (typeof result === 'string' && result.length > MAX_STRING && running.meter)
      throw exceed(`a string of ${result.length} characters; at most ${MAX_STRING}`);
    return result;
  });
}
