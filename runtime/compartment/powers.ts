/** `Date` and `Math` as methods see them: the same for every run of one message. Made after lockdown and frozen: no state to keep. */

/** A `Date` whose now is `now` (milliseconds since 1970): `Date.now()`, `new Date()` and `Date()` all answer it. */
export function makeDate(now: number): DateConstructor {
  const TelosDate = function (...args: unknown[]): unknown {
    if (new.target === undefined) return String(new Date(now));
    return Reflect.construct(Date, args.length === 0 ? [now] : args);
  };
  Object.defineProperties(TelosDate, {
    name: { value: 'Date' },
    prototype: { value: Date.prototype, writable: false },
    now: { value: Object.freeze(() => now) },
    parse: { value: Date.parse },
    UTC: { value: Date.UTC },
  });
  return Object.freeze(TelosDate) as unknown as DateConstructor;
}

/** All but `random`, as the parent of every `Math`: as a prototype it stays quick to read, and making another one is cheap. */
let shared: object | undefined;

/** A `Math` whose `random` is the given one (0 ≤ x < 1). */
export function makeMath(random: () => number): Math {
  shared ??= Object.freeze(Object.create(Object.prototype, withoutRandom()) as object);
  return Object.freeze(Object.create(shared, { random: { value: Object.freeze(() => random()) } })) as Math;
}

function withoutRandom(): PropertyDescriptorMap {
  return { ...Object.getOwnPropertyDescriptors(Math), random: {} };
}
