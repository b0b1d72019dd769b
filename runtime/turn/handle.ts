/**
 * Handles and `self`: the only things in a method's reach that stand for objects. Both are proxies without a prototype, so nothing of the
 * runtime hangs on them, and both die with their turn.
 *
 * `PROBE` is how the runtime recognises its own proxies: asking one for this key notes its target, and gives nothing away. Method code can
 * come by the key (through the trap of a proxy of its own), but nothing can be done with it but ask in turn.
 */
import type { Cell } from './cell.js';
import { failure } from './failure.js';

const PROBE = Symbol('probe');

export interface HandleOwner {
  readonly turn: object;
  /** A function that sends `selector` to the object. */
  sender(id: string, selector: string): (...args: unknown[]) => Promise<unknown>;
}

export class Handle {
  constructor(
    readonly owner: HandleOwner,
    /** oid or name */
    readonly id: string,
  ) {}

  get turn(): object {
    return this.owner.turn;
  }
}

/** What `self` is a window on: a frame. */
export interface SelfTarget {
  readonly id: string;
  readonly turn: object;
  readSlot(slot: string): unknown;
  findSlot(slot: string): Cell | null;
  writeSlot(slot: string, value: unknown): void;
  deleteSlot(slot: string): boolean;
  listSlots(): string[];
  hasOwnSlot(slot: string): boolean;
  /** Shown by `Object.keys` and copied by a spread: neither code nor parents are. */
  isOwnData(slot: string): boolean;
  refuse(what: string): Error;
}

let probed: Handle | SelfTarget | null = null;

/** The handle or frame behind a value, null for everything else. */
export function targetOf(value: object): Handle | SelfTarget | null {
  probed = null;
  Reflect.get(value, PROBE);
  const found = probed as Handle | SelfTarget | null;
  probed = null;
  return found;
}

/** Asked by engines, printers and test tools of everything they meet: never a message. */
export const PROBES: ReadonlySet<string> = new Set(
  (
    'then toJSON toString toLocaleString valueOf inspect constructor prototype __proto__ hasOwnProperty isPrototypeOf ' +
    'propertyIsEnumerable __defineGetter__ __defineSetter__ __lookupGetter__ __lookupSetter__ asymmetricMatch nodeType $$typeof'
  ).split(' '),
);

const refusing = {
  getPrototypeOf: (): null => null,
  setPrototypeOf: (): boolean => false,
  defineProperty: (): boolean => false,
  preventExtensions: (): boolean => false,
};

const handleTraps: ProxyHandler<Handle> = {
  ...refusing,
  get(handle, key) {
    if (key === PROBE) probed = handle;
    if (typeof key === 'symbol' || PROBES.has(key)) return undefined;
    return handle.owner.sender(handle.id, key);
  },
  has: () => false,
  set(handle, key) {
    throw failure('READ_ONLY', `the slot ${String(key)} of ${handle.id} can be changed only by the object itself`);
  },
  deleteProperty: () => false,
  ownKeys: () => [],
  getOwnPropertyDescriptor: () => undefined,
};

const selfTraps: ProxyHandler<SelfTarget> = {
  ...refusing,
  get(frame, key) {
    if (key === PROBE) probed = frame;
    if (typeof key === 'symbol' || key === 'then') return undefined;
    return frame.readSlot(key);
  },
  has: (frame, key) => typeof key === 'string' && key !== 'then' && frame.findSlot(key) !== null,
  set(frame, key, value) {
    if (typeof key === 'symbol') throw frame.refuse('a slot is named by a string, not by a symbol');
    frame.writeSlot(key, value);
    return true;
  },
  deleteProperty: (frame, key) => typeof key === 'string' && frame.deleteSlot(key),
  ownKeys: (frame) => frame.listSlots(),
  getOwnPropertyDescriptor(frame, key) {
    if (typeof key === 'symbol' || !frame.hasOwnSlot(key)) return undefined;
    return { value: frame.readSlot(key), writable: true, enumerable: frame.isOwnData(key), configurable: true };
  },
};

export const makeHandle = (handle: Handle): object => new Proxy(handle, handleTraps);
export const makeSelf = (target: SelfTarget): object => new Proxy(target, selfTraps);
