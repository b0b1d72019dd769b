/**
 * Handles: what stands for an object of the image in this program. A handle is a Proxy without state: every property is a selector
 * that sends when it is called.
 *
 * It has no `then` (so it can be awaited, returned and passed), no symbols, and three local probes that send nothing: `toJSON`,
 * `toString` and `constructor`. A selector of one of these names is reached with `image.send(handle, selector, …)`.
 */
import { inspect } from 'node:util';
import { TelosError, isName, isOid } from '../../protocol/index.js';

/**
 * Objects of the image have the slots that they have now, which no static type knows: sends are dynamically typed, as everything that
 * comes back from them. Give `image.actor<YourInterface>()` a type of your own where you have one.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Handle = any;

/** An object of the image, by whatever names it: a handle, a name, or an oid. */
export type Ref = string | object;

export type Send = (target: string, selector: string, args: unknown[]) => unknown;

/** How a name or oid is shown to people. */
export type ShowRef = (target: string) => string;

const references = new WeakMap<object, Reference>();

/** The name or oid that a handle stands for, undefined for everything that is no handle. */
export function targetOf(value: unknown): string | undefined {
  return typeof value === 'object' && value !== null ? references.get(value)?.target : undefined;
}

/** The name or oid that `x` stands for. @throws TelosError BAD_NAME */
export function targetFor(x: Ref): string {
  const target = typeof x === 'string' ? x : targetOf(x);
  if (target !== undefined && (isOid(target) || isName(target))) return target;
  const shown = typeof x === 'string' ? JSON.stringify(x) : `a value of type ${x === null ? 'null' : typeof x}`;
  throw new TelosError('BAD_NAME', `${shown} names no object`, {
    remedy: 'give a name (a JavaScript identifier), an oid (`#…`) or a handle',
  });
}

/** What the Proxy stands on: seen by `util.inspect` only. */
class Reference {
  constructor(
    readonly target: string,
    readonly send: Send,
    readonly show: ShowRef,
  ) {}

  /** Called on the handle, not on what it stands on. */
  [inspect.custom](_depth: number, options: { stylize(text: string, style: string): string }): string {
    const { show, target } = references.get(this) ?? this;
    return options.stylize(show(target), 'special');
  }
}

const refuse = (what: string) => (base: Reference, key: string | symbol) => {
  throw new TelosError('READ_ONLY', `${what} ${base.target}.${String(key)}: a handle holds nothing itself`, {
    remedy: `send a message: await ${base.show(base.target)}.setSlot(${JSON.stringify(String(key))}, value)`,
  });
};

const traps: ProxyHandler<Reference> = {
  get(base, key) {
    if (typeof key === 'symbol') return undefined;
    if (key === 'then' || key === 'constructor') return undefined;
    const { target } = base;
    if (key === 'toJSON') return () => ({ $ref: target });
    if (key === 'toString') return () => target;
    return (...args: unknown[]) => base.send(target, key, args);
  },
  set: refuse('set'),
  defineProperty: refuse('define'),
  deleteProperty: refuse('delete'),
  setPrototypeOf: () => false,
  getPrototypeOf: () => null,
  has: () => false,
  ownKeys: () => [],
  getOwnPropertyDescriptor: () => undefined,
};

/** @param target name or oid @param show how a person reads it (a name where there is one) */
export function makeHandle(target: string, send: Send, show: ShowRef = String): Handle {
  const reference = new Reference(target, send, show);
  const handle = new Proxy(reference, traps);
  references.set(handle, reference);
  return handle;
}
