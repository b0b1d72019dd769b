/**
 * The one importer of ses: hardens this process's realm and makes the compartment in which methods are evaluated.
 *
 * Only host processes call it, once, after their libraries are loaded. Order: SES repairs the intrinsics, our caps replace the
 * built-ins that grow data or loop natively, then all is frozen.
 */
import { createRequire } from 'node:module';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { TelosError } from '../../protocol/index.js';
import { installCaps } from './caps.js';
import { ASSIGNABLE, GLOBAL_NAMES } from './globals.js';
import { helpers } from './helpers.js';
import { Meter, running, setMeterPorts } from './meter.js';
import { withUnmarkedFreeze } from './soft-freeze.js';

/** What SES adds to the global object. */
interface SesGlobals {
  repairIntrinsics(options: object): void;
  hardenIntrinsics(): void;
  harden<T>(value: T): T;
  Compartment: new (options: object) => {
    readonly globalThis: Record<string, unknown>;
    evaluate(source: string, options?: object): unknown;
  };
}

export interface LockdownOptions {
  /** Part of the heap limit that methods may fill before they are stopped with BUDGET. */
  readonly heapShare?: number;
}

export interface MethodCompartment {
  readonly globals: Readonly<Record<string, unknown>>;
  evaluate(text: string): unknown;
}

let made: MethodCompartment | undefined;

/** The compartment of this process. @throws INTERNAL before lockdownRealm */
export function compartment(): MethodCompartment {
  if (!made) throw new TelosError('INTERNAL', 'a method was compiled before lockdownRealm()');
  return made;
}

/** Locks this realm down; the second call does nothing. Libraries that patch built-ins must be loaded before. */
export function lockdownRealm(options: LockdownOptions = {}): void {
  if (made) return;
  const feralError = Error;
  const heapFull = heapWatch(options.heapShare ?? 0.6);
  const ses = loadSes();
  ses.repairIntrinsics(LOCKDOWN);
  const replaced = installCaps();
  enableOverrides();
  ses.hardenIntrinsics();
  hardenOwn(ses, feralError);
  setMeterPorts({ now: () => performance.now(), heapFull });
  made = makeCompartment(ses, replaced);
}

/** SES adds immutable buffers as properties that can't be capped or removed any more, unless it finds some. They are removed later. */
function loadSes(): SesGlobals {
  Object.defineProperty(ArrayBuffer.prototype, 'sliceToImmutable', { value: () => undefined, configurable: true });
  withUnmarkedFreeze(() => void createRequire(import.meta.url)('ses'));
  return globalThis as unknown as SesGlobals;
}

/**
 * `errorTaming: safe` keeps stacks (which name the host's files) from methods; messages and names of errors are untouched.
 * Rejections and uncaught errors stay the host's business.
 */
const LOCKDOWN = {
  errorTaming: 'safe',
  errorTrapping: 'none',
  unhandledRejectionTrapping: 'none',
  consoleTaming: 'unsafe',
  localeTaming: 'safe',
  overrideTaming: 'min',
  stackFiltering: 'concise',
  domainTaming: 'unsafe',
  reporting: 'none',
};

/**
 * Names that are assigned on what inherits them: frozen data properties would refuse that, so they become accessors that define an own
 * property. SES's own wider choice covers the iterator of arrays, which makes `[...list]` 40 times slower (measured).
 */
function enableOverrides(): void {
  const owners = globalThis as unknown as Record<string, { readonly prototype: object }>;
  for (const [owner, names] of Object.entries(ASSIGNABLE))
    for (const name of names) enableOverride(owners[owner]!.prototype, name);
}

function enableOverride(owner: object, name: string): void {
  const descriptor = Object.getOwnPropertyDescriptor(owner, name);
  if (!descriptor?.configurable || !('value' in descriptor)) return;
  const { value } = descriptor as { value: unknown };
  Object.defineProperty(owner, name, {
    configurable: true,
    enumerable: descriptor.enumerable ?? false,
    get: () => value,
    set(this: object, given: unknown) {
      if (this === owner) throw new TypeError(`Cannot assign to read only property '${name}'`);
      if (Object.hasOwn(this, name)) Reflect.set(this, name, given);
      else Object.defineProperty(this, name, { value: given, writable: true, enumerable: true, configurable: true });
    },
  });
}

/** Host objects that can be met in a method: TelosErrors. And the original Error, whose statics show stack frames. */
function hardenOwn(ses: SesGlobals, feralError: ErrorConstructor): void {
  Object.setPrototypeOf(TelosError, Error.prototype.constructor);
  ses.harden(TelosError);
  ses.harden(Meter);
  Object.freeze(helpers);
  Object.seal(running);
  Object.freeze(feralError);
}

function makeCompartment(ses: SesGlobals, replaced: Readonly<Record<string, unknown>>): MethodCompartment {
  const inner = new ses.Compartment({ __options__: true, name: 'methods' });
  const globals = inner.globalThis;
  for (const name of Reflect.ownKeys(globals))
    if (typeof name === 'symbol' || !GLOBAL_NAMES.has(name)) Reflect.deleteProperty(globals, name);
  for (const [name, value] of Object.entries(replaced)) {
    if (GLOBAL_NAMES.has(name)) Object.defineProperty(globals, name, { value: ses.harden(value) });
  }
  Object.freeze(globals);
  return Object.freeze({
    globals,
    evaluate: (text: string) => inner.evaluate(text, { __rejectSomeDirectEvalExpressions__: false }),
  });
}

/** True when more than `share` of the heap limit is used, also after a garbage collection. */
function heapWatch(share: number): () => boolean {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  const full = (): boolean => {
    const { used_heap_size: used, heap_size_limit: limit, external_memory: external } = getHeapStatistics();
    return used + external > limit * share;
  };
  return () => {
    if (!full()) return false;
    collect();
    return full();
  };
}
