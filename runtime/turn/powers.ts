/** `image` in method code: what a method may do besides sending. Made for each frame that uses it. */
import { isOid, isName } from '../../protocol/index.js';
import { encodePlainArgs } from './args.js';
import { plain, refContent } from './carried.js';
import { createObject } from './creating.js';
import { Departure } from './effects.js';
import { toFailure } from './failure.js';
import type { Frame } from './frame.js';
import { targetOf, PROBES } from './handle.js';
import { logText } from './log-text.js';
import { PARENT_SLOT, TRAITS } from './wellknown.js';

const MAX_TIMER_MS = 100 * 365 * 86_400_000;

export function makePowers(frame: Frame): object {
  const powers = {
    ref: (target: unknown) => checked(frame, () => frame.handle(idOf(frame, target))),
    actor: (target: unknown) => checked(frame, () => frame.handle(idOf(frame, target))),
    get: (target: unknown) => promised(frame, () => find(frame, target)),
    create: (slots: unknown) => promised(frame, () => create(frame, slots)),
    tell: (target: unknown, selector: unknown, ...args: unknown[]) =>
      checked(frame, () => depart(frame, null, target, selector, args)),
    after: (delay: unknown, target: unknown, selector: unknown, ...args: unknown[]) =>
      checked(frame, () => depart(frame, delayOf(frame, delay), target, selector, args)),
    log: (...values: unknown[]) =>
      checked(frame, () => frame.turn.log(values.map((value) => logText(value)).join(' '))),
    newId: () => checked(frame, () => frame.turn.ids.next()),
    resend: resender(frame),
  };
  for (const power of Object.values(powers)) Object.freeze(power);
  return Object.freeze(Object.assign(Object.create(null) as object, powers));
}

function checked<R>(frame: Frame, act: () => R): R {
  try {
    frame.alive();
    return act();
  } catch (thrown) {
    throw toFailure(thrown, frame.turn);
  }
}

async function promised<R>(frame: Frame, act: () => Promise<R>): Promise<R> {
  try {
    frame.alive();
    return await act();
  } catch (thrown) {
    throw toFailure(thrown, frame.turn);
  }
}

/** The oid (or name that was not yet looked up) of what code named. */
function idOf(frame: Frame, target: unknown): string {
  if ((typeof target === 'object' && target !== null) || typeof target === 'function') {
    const found = targetOf(target);
    if (found !== null) return frame.turn.codec.refOf(target) as string;
  }
  if (typeof target !== 'string' || !(isOid(target) || isName(target))) {
    const shown = typeof target === 'string' ? JSON.stringify(target.slice(0, 100)) : typeof target;
    throw frame.turn.failure('BAD_ARGUMENT', `${shown} is neither a name, an oid, nor a reference`);
  }
  if (target.charCodeAt(0) === 0x23) return target;
  return frame.turn.nameView(target)?.oid ?? target;
}

async function find(frame: Frame, target: unknown): Promise<object | undefined> {
  const id = idOf(frame, target);
  let oid = id;
  if (id.charCodeAt(0) !== 0x23) {
    const named = (await frame.turn.findName(id)).oid;
    if (named === null) return undefined;
    oid = named;
  }
  const view = await frame.turn.lookup.prepare(oid);
  frame.alive();
  if (!view.exists) return undefined;
  view.parents();
  return frame.handle(oid);
}

async function create(frame: Frame, slots: unknown): Promise<object> {
  const carried = frame.turn.codec.carry(slots ?? {}, 'the slots of image.create');
  const given = plain(carried);
  if (typeof given !== 'object' || given === null || Array.isArray(given) || given instanceof Uint8Array) {
    throw frame.turn.failure('BAD_ARGUMENT', 'image.create takes an object of slots, such as {balance: 0}');
  }
  const oid = await createObject(frame, [[PARENT_SLOT, refContent(TRAITS)]], given as Record<string, unknown>);
  return frame.handle(oid);
}

function delayOf(frame: Frame, delay: unknown): number {
  if (typeof delay === 'number' && delay >= 0 && delay <= MAX_TIMER_MS) return Math.ceil(delay);
  throw frame.turn.failure(
    'BAD_ARGUMENT',
    `image.after takes a number of ms from 0 to ${MAX_TIMER_MS}, not ${String(delay).slice(0, 40)}`,
  );
}

function depart(
  frame: Frame,
  delay: number | null,
  target: unknown,
  selector: unknown,
  args: readonly unknown[],
): void {
  const { turn } = frame;
  if (typeof selector !== 'string' || selector === '')
    throw turn.failure('BAD_ARGUMENT', `a selector is a string, not ${typeof selector}`);
  const id = idOf(frame, target);
  const named = id.charCodeAt(0) !== 0x23;
  turn.hasNames ||= named;
  let sawName = named;
  const carried = args.map((value, index) => {
    const one = turn.codec.carry(value, `argument ${index + 1} of ${selector}`);
    sawName ||= turn.codec.sawName;
    return plain(one);
  });
  const bytes = encodePlainArgs(
    carried,
    `arguments of ${selector}`,
    turn.limits.maxBodyBytes,
    turn.limits.maxValueDepth,
  );
  const departure = new Departure(id, selector, bytes, delay, sawName);
  frame.effect(departure);
  turn.departures.push(departure);
}

/** `image.resend.selector(…)`: look-up begins in the parents of the object that holds the running method, with the same self. */
function resender(frame: Frame): object {
  return new Proxy(Object.freeze(Object.create(null) as object), {
    get(_target, key) {
      if (typeof key === 'symbol' || PROBES.has(key)) return undefined;
      return (...args: unknown[]) => {
        if (frame.receiver === null)
          return Promise.reject(frame.turn.failure('BAD_ARGUMENT', 'a free-standing turn has no parents to resend to'));
        return frame.send(frame.receiver.oid, key, args, frame.holder);
      };
    },
    set: () => false,
    defineProperty: () => false,
  });
}
