/**
 * The program inside QuickJS: it makes `self` and `image`, locks the realm, runs the draft and tells what it did.
 *
 * `guest` never runs in this realm: its text is what QuickJS evaluates (sandbox.ts), so it may use nothing from outside itself.
 *
 *   G1  All that the guest uses is taken before the draft exists, and the realm is frozen before it runs: a draft finds no state to keep and
 *       can't change what the guest reports with.
 *   G2  The globals are those of a compartment (compartment/globals.ts): what QuickJS has beyond them is removed, `Function` and its kin
 *       can't be reached from a function either.
 *   G3  Values cross as JSON text, each property read once.
 */

/**
 * What is the same for all drafts. `names`: the globals that stay. `assignable`: inherited names that may be assigned, by the global whose
 * prototype has them. `probes`: keys that are never messages.
 */
export interface GuestSetting {
  readonly names: readonly string[];
  readonly assignable: Readonly<Record<string, readonly string[]>>;
  readonly probes: readonly string[];
  readonly maxEffects: number;
}

/** A task as the guest gets it. */
export interface GuestTask {
  readonly self: Record<string, unknown>;
  readonly args: unknown[];
  readonly recordings: {
    to: string;
    selector: string;
    reply?: unknown;
    error?: { name: string; message: string };
  }[];
  readonly time: number;
  readonly seed: number;
}

/** What QuickJS gives back: `prepare` locks the realm, `begin` takes the task, `start` runs the draft, `report` answers JSON text, '' while it still runs. */
export interface Guest {
  prepare(setting: string): void;
  begin(task: string): void;
  start(draft: unknown): void;
  report(stalled: boolean): string;
}

/* eslint-disable @typescript-eslint/unbound-method -- taken before the realm is locked, called through `apply` */
export function guest(): Guest {
  type Json = Record<string, unknown>;
  const { apply, construct, ownKeys, getOwnPropertyDescriptor, defineProperty, getPrototypeOf, deleteProperty, set } =
    Reflect;
  const { freeze, create, isFrozen, getOwnPropertyDescriptors } = Object;
  const plainPrototype = Object.prototype;
  const { isArray } = Array;
  const { parse, stringify } = JSON;
  const { then } = Promise.prototype;
  const { imul } = Math;
  const [P, E, Wrong, D, M, Bytes, Big, Text, Mathematics, ProxyOf] = [
    ...([Promise, Error, TypeError, Date, Map, Uint8Array, BigInt, String, Math, Proxy] as const),
  ];
  const { get: mapGet, set: mapSet } = Map.prototype;
  const { get: weakGet, set: weakSet } = WeakMap.prototype;
  const { push } = Array.prototype;
  const realm = globalThis as unknown as Json;

  // ---- values ------------------------------------------------------------------------------------------------------------------------

  const refs = new WeakMap<object, string>();
  const refOf = (value: object): string | undefined => apply(weakGet, refs, [value]) as string | undefined;
  const isObject = (value: unknown): value is object =>
    (typeof value === 'object' && value !== null) || typeof value === 'function';
  const own = (target: object, key: string, value: unknown): void => {
    defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  };
  const add = (list: unknown[], item: unknown): void => void apply(push, list, [item]);
  const special = (key: string): boolean => /^\$+(?:bytes|int|ref)$/.test(key);
  const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

  const bytesOf = (text: string): Uint8Array => {
    const codes: number[] = [];
    let bits = 0;
    let held = 0;
    for (let i = 0; i < text.length; i++) {
      const at = ALPHABET.indexOf(text[i]!);
      if (at < 0) break;
      held = ((held << 6) | at) & 0xffff;
      bits += 6;
      if (bits < 8) continue;
      bits -= 8;
      add(codes, (held >> bits) & 255);
    }
    return new Bytes(codes);
  };
  const textOf = (bytes: Uint8Array): string => {
    let text = '';
    for (let i = 0; i < bytes.length; i += 3) {
      const a = bytes[i]!;
      const b = bytes[i + 1];
      const c = bytes[i + 2];
      text += ALPHABET[a >> 2]! + ALPHABET[((a & 3) << 4) | ((b ?? 0) >> 4)]!;
      text += b === undefined ? '=' : ALPHABET[((b & 15) << 2) | ((c ?? 0) >> 6)]!;
      text += c === undefined ? '=' : ALPHABET[c & 63]!;
    }
    return text;
  };

  const revive = (json: unknown): unknown => {
    if (typeof json !== 'object' || json === null) return json;
    if (isArray(json)) {
      const list: unknown[] = [];
      for (let i = 0; i < json.length; i++) add(list, revive(json[i]));
      return list;
    }
    const keys = ownKeys(json) as string[];
    const first = keys[0];
    if (keys.length === 1 && first !== undefined && first[1] !== '$' && special(first)) {
      const text = (json as Json)[first] as string;
      if (first === '$bytes') return bytesOf(text);
      return first === '$int' ? Big(text) : handle(text);
    }
    const map: Json = {};
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      own(map, special(key) && key[1] === '$' ? key.slice(1) : key, revive((json as Json)[key]));
    }
    return map;
  };

  const number = (value: number, loose: boolean): unknown => {
    if (value - value === 0) return value === 0 ? 0 : value;
    if (loose) return Text(value);
    throw new E(`${value} is no finite number`);
  };
  const int = (value: bigint): unknown => {
    if (Big.asIntN(64, value) !== value && Big.asUintN(64, value) !== value)
      throw new E('a bigint of more than 64 bits is no value of a slot');
    return { $int: Text(value) };
  };

  /**
   * A value as a slot may hold it, as JSON: a copy, so that what is handed out later is what was looked at. `loose`: for a line of the log, which
   * may show what can't be stored.
   */
  const plain = (value: unknown, depth: number, loose = false): unknown => {
    if (depth > 64) throw new E('the value is nested deeper than 64');
    switch (typeof value) {
      case 'number':
        return number(value, loose);
      case 'bigint':
        return loose ? { $int: Text(value) } : int(value);
      case 'undefined':
        if (loose) return null;
        throw new E('undefined (or a hole of a list) is no value of a slot');
      case 'string':
      case 'boolean':
        return value;
      default:
    }
    if (value === null) return null;
    const ref = isObject(value) ? refOf(value) : undefined;
    if (ref !== undefined) return { $ref: ref };
    if (typeof value !== 'object') throw new E(`a ${typeof value} is no value of a slot`);
    if (value instanceof Bytes) return { $bytes: textOf(value) };
    return isArray(value) ? plainList(value, depth, loose) : plainMap(value, depth, loose);
  };
  const plainList = (value: readonly unknown[], depth: number, loose: boolean): unknown[] => {
    const list: unknown[] = [];
    const { length } = value;
    for (let i = 0; i < length; i++) add(list, plain(value[i], depth + 1, loose));
    return list;
  };
  const plainMap = (value: object, depth: number, loose: boolean): Json => {
    const prototype = getPrototypeOf(value);
    if (prototype !== plainPrototype && prototype !== null)
      throw new E('only plain objects, lists and bytes are values');
    const map = create(null) as Json;
    const keys = ownKeys(value);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if (typeof key !== 'string') throw new E('a symbol is no key of a value');
      const found = getOwnPropertyDescriptor(value, key);
      if (!found?.enumerable) continue;
      if (found.get !== undefined || found.set !== undefined) throw new E('an accessor is no value of a slot');
      own(map, special(key) ? `$${key}` : key, plain(found.value, depth + 1, loose));
    }
    return map;
  };
  /** A whole value: only inside one is `undefined` refused. */
  const content = (value: unknown): unknown => (value === undefined ? null : plain(value, 0));
  const contents = (values: readonly unknown[]): unknown[] => {
    const list: unknown[] = [];
    for (let i = 0; i < values.length; i++) add(list, content(values[i]));
    return list;
  };

  // ---- what the draft does -------------------------------------------------------------------------------------------------------------

  let setting: GuestSetting;
  let task: GuestTask;
  const slots = new M<string, unknown>();
  const effects = {
    writes: create(null) as Json,
    removed: create(null) as Json,
    reads: create(null) as Json,
    sends: [] as unknown[],
    tells: [] as unknown[],
    timers: [] as unknown[],
    creates: [] as unknown[],
    logs: [] as unknown[],
  };
  /** Why the draft can't be tried here, whatever it makes of it. */
  let refused: string | null = null;
  let done: { verdict: string; value: unknown; error: unknown } | null = null;

  const refuse = (why: string): Error => {
    refused ??= why;
    return new E(why);
  };
  const note = (list: unknown[], entry: unknown): void => {
    if (list.length >= setting.maxEffects) throw refuse(`it tried more than ${setting.maxEffects} effects of one kind`);
    add(list, entry);
  };
  const isProbe = (key: string | symbol): key is symbol => typeof key === 'symbol' || setting.probes.includes(key);
  const idOf = (target: unknown): string => {
    const ref = isObject(target) ? refOf(target) : undefined;
    if (ref !== undefined) return ref;
    if (typeof target !== 'string' || target === '') throw new E('a target is a name, an oid or a reference');
    return target;
  };
  const named = (name: string, message: string): Error => {
    const error = new E(message);
    defineProperty(error, 'name', { value: name });
    return error;
  };
  const send = async (to: string, selector: string, args: readonly unknown[]): Promise<unknown> => {
    note(effects.sends, { to, selector, args: contents(args) });
    for (let i = 0; i < task.recordings.length; i++) {
      const known = task.recordings[i]!;
      if (known.to !== to || known.selector !== selector) continue;
      task.recordings.splice(i, 1);
      if (known.error !== undefined) throw named(known.error.name, known.error.message);
      return revive(known.reply ?? null);
    }
    throw refuse(`${to}.${selector} has no recorded answer`);
  };

  const refusing = {
    getPrototypeOf: () => null,
    setPrototypeOf: () => false,
    defineProperty: () => false,
    preventExtensions: () => false,
  };
  /** A proxy, known to the guest as a reference: it is not walked into, and can't lose its traps to `freeze`. */
  const windowOn = (id: string, traps: object): object => {
    const made = new ProxyOf(create(null) as object, freeze({ ...refusing, ...traps }));
    apply(weakSet, refs, [made, id]);
    return made;
  };
  function handle(id: string): object {
    return windowOn(id, {
      get: (_target: object, key: string | symbol) =>
        isProbe(key) ? undefined : (...args: unknown[]) => send(id, key, args),
      has: () => false,
      set: () => {
        throw new E(`the slots of ${id} can be changed only by itself`);
      },
      deleteProperty: () => false,
      ownKeys: () => [],
      getOwnPropertyDescriptor: () => undefined,
    });
  }

  const read = (key: string): unknown => {
    own(effects.reads, key, true);
    return apply(mapGet, slots, [key]);
  };
  const write = (key: string | symbol, value: unknown): boolean => {
    if (typeof key === 'symbol' || key.endsWith('*')) throw new E(`${Text(key)} is no data slot`);
    content(value);
    own(effects.writes, key, true);
    deleteProperty(effects.removed, key);
    apply(mapSet, slots, [key, value === undefined ? null : value]);
    return true;
  };
  const remove = (key: string | symbol): boolean => {
    if (typeof key === 'symbol' || key.endsWith('*')) return false;
    if (read(key) === undefined) return true;
    deleteProperty(effects.writes, key);
    own(effects.removed, key, true);
    apply(mapSet, slots, [key, undefined]);
    return true;
  };
  const present = (): string[] => {
    const keys: string[] = [];
    slots.forEach((value, key) => {
      if (value !== undefined) add(keys, key);
    });
    return keys;
  };
  const makeSelf = (): object =>
    windowOn('self', {
      get: (_t: object, key: string | symbol) => (typeof key === 'symbol' || key === 'then' ? undefined : read(key)),
      has: (_t: object, key: string | symbol) => typeof key === 'string' && key !== 'then' && read(key) !== undefined,
      set: (_t: object, key: string | symbol, value: unknown) => write(key, value),
      deleteProperty: (_t: object, key: string | symbol) => remove(key),
      ownKeys: present,
      getOwnPropertyDescriptor: (_t: object, key: string | symbol) => {
        const value = typeof key === 'symbol' ? undefined : read(key);
        return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true };
      },
    });

  // ---- powers ------------------------------------------------------------------------------------------------------------------------------

  let counter = 0;
  const depart = (
    list: unknown[],
    target: unknown,
    selector: unknown,
    args: readonly unknown[],
    more: object,
  ): void => {
    if (typeof selector !== 'string' || selector === '') throw new E('a selector is a string');
    note(list, { to: idOf(target), selector, args: contents(args), ...more });
  };
  const createObject = async (given: unknown): Promise<object> => {
    const shown = plain(given ?? {}, 0);
    if (!isObject(shown) || isArray(shown)) throw new E('image.create takes an object of slots');
    note(effects.creates, shown);
    return handle(`#created.${++counter}`);
  };
  const logLine = (values: readonly unknown[]): string => {
    let line = '';
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      line += `${i === 0 ? '' : ' '}${typeof value === 'string' ? value : stringify(plain(value, 0, true))}`;
    }
    return line.slice(0, 4096);
  };
  const makePowers = (): object =>
    freeze({
      ref: (target: unknown) => handle(idOf(target)),
      actor: (target: unknown) => handle(idOf(target)),
      get: async (target: unknown) => handle(idOf(target)),
      create: createObject,
      tell: (target: unknown, selector: unknown, ...args: unknown[]) =>
        depart(effects.tells, target, selector, args, {}),
      after: (ms: unknown, target: unknown, selector: unknown, ...args: unknown[]) => {
        if (typeof ms !== 'number' || !(ms >= 0)) throw new E('image.after takes a number of ms');
        depart(effects.timers, target, selector, args, { ms });
      },
      log: (...values: unknown[]) => note(effects.logs, logLine(values)),
      newId: () => `sandbox.${++counter}`,
      resend: windowOn('resend', {
        get: (_t: object, key: string | symbol) =>
          isProbe(key) ? undefined : (...args: unknown[]) => send('resend', key, args),
        set: () => false,
      }),
    });

  // ---- the realm -----------------------------------------------------------------------------------------------------------------------------

  const makeDate = (): unknown => {
    const Fixed = function (this: unknown, ...args: unknown[]): unknown {
      if (new.target === undefined) return Text(new D(task.time));
      return construct(D, args.length === 0 ? [task.time] : args);
    };
    const values = { prototype: D.prototype, now: freeze(() => task.time), parse: D.parse, UTC: D.UTC, name: 'Date' };
    for (const [key, value] of Object.entries(values)) defineProperty(Fixed, key, { value });
    defineProperty(D.prototype, 'constructor', { value: Fixed });
    return freeze(Fixed);
  };
  let state = 0;
  const makeMath = (): unknown => {
    const random = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = imul(state ^ (state >>> 16), 0x21f0aaad);
      mixed = imul(mixed ^ (mixed >>> 15), 0x735a2d97);
      return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
    };
    const shared = getOwnPropertyDescriptors(Mathematics) as Record<string, PropertyDescriptor>;
    shared['random'] = { value: freeze(random) };
    return freeze(create(plainPrototype, shared));
  };
  /** What no name leads to: prototypes of iterators and of the kinds of functions, by a sample of each. */
  const hidden = (): object[] => [
    ...[[][Symbol.iterator](), new M()[Symbol.iterator](), new Set()[Symbol.iterator](), ''[Symbol.iterator]()],
    ...[''.matchAll(/a/g), () => 0, async () => 0, function* () {}, async function* () {}, Bytes],
  ];
  const makers = (): object[] => [() => 0, async () => 0, function* () {}, async function* () {}];

  /** Takes away what makes code, where every function leads to it. */
  const disarm = (): void => {
    for (const maker of makers()) defineProperty(getPrototypeOf(maker) as object, 'constructor', { value: undefined });
  };
  /** As in the compartment (enableOverrides): a frozen name of a prototype can be assigned on what inherits it. */
  const enableOverride = (owner: object, name: string): void => {
    const found = getOwnPropertyDescriptor(owner, name);
    if (found === undefined || !('value' in found)) return;
    const { value, enumerable } = found as { value: unknown; enumerable: boolean };
    defineProperty(owner, name, {
      configurable: true,
      enumerable,
      get: () => value,
      set(this: object, given: unknown) {
        if (this === owner) throw new Wrong(`Cannot assign to read only property '${name}'`);
        if (getOwnPropertyDescriptor(this, name) === undefined) own(this, name, given);
        else set(this, name, given);
      },
    });
  };
  const enableOverrides = (): void => {
    for (const [owner, names] of Object.entries(setting.assignable))
      for (const name of names) enableOverride((realm[owner] as { prototype: object }).prototype, name);
  };
  /** The globals of a compartment, and no other. */
  const onlyNames = (): void => {
    for (const name of ownKeys(realm) as string[]) if (!setting.names.includes(name)) deleteProperty(realm, name);
  };
  const lock = (root: unknown): void => {
    const seen = new Set<unknown>();
    const open: unknown[] = [root];
    while (open.length > 0) {
      const at = open.pop();
      if (!isObject(at) || seen.has(at) || refOf(at) !== undefined) continue;
      seen.add(at);
      open.push(getPrototypeOf(at));
      for (const key of ownKeys(at)) {
        const found = getOwnPropertyDescriptor(at, key) as PropertyDescriptor;
        open.push(found.value, found.get, found.set);
      }
      if (!isFrozen(at)) freeze(at);
    }
  };

  // ---- the end -------------------------------------------------------------------------------------------------------------------------------

  const shownError = (thrown: unknown): { name: string; message: string } => {
    try {
      if (!isObject(thrown) || !(thrown instanceof E))
        return { name: 'Error', message: `it threw a ${thrown === null ? 'null' : typeof thrown}` };
      const { name, message } = thrown;
      return {
        name: typeof name === 'string' ? name.slice(0, 100) : 'Error',
        message: typeof message === 'string' ? message.slice(0, 1000) : '',
      };
    } catch {
      return { name: 'Error', message: 'it threw what cannot be shown' };
    }
  };
  const ended = (verdict: string, value: unknown, error: unknown): void => {
    done ??= { verdict, value, error };
  };
  const failed = (thrown: unknown): void => ended('failed', null, shownError(thrown));
  const answered = (value: unknown): void => {
    try {
      ended('answered', content(value), null);
    } catch (thrown) {
      failed(thrown);
    }
  };
  const error = (message: string): object => ({ name: 'Error', message });
  const stall = (): void => ended('stalled', null, error('it waits for a promise that nothing can settle'));

  /** The slots as the draft left them: what it wrote may have changed since, and so may the inside of what it only read. */
  const writesLeft = (): Json => {
    const writes = create(null) as Json;
    for (const key of ownKeys(effects.writes) as string[]) own(writes, key, content(apply(mapGet, slots, [key])));
    for (const key of ownKeys(effects.reads) as string[]) {
      const value: unknown = apply(mapGet, slots, [key]);
      const settled = getOwnPropertyDescriptor(effects.writes, key) ?? getOwnPropertyDescriptor(effects.removed, key);
      if (settled !== undefined || !isObject(value)) continue;
      const left = plain(value, 0);
      if (stringify(left) !== stringify(plain(revive(task.self[key]), 0))) own(writes, key, left);
    }
    return writes;
  };
  const whole = (): object => {
    let end = done as object;
    let writes = create(null) as Json;
    try {
      writes = writesLeft();
    } catch (thrown) {
      end = { verdict: 'failed', value: null, error: shownError(thrown) };
    }
    if (refused !== null) end = { verdict: 'refused', value: null, error: error(refused) };
    return {
      ...end,
      effects: { ...effects, writes, removed: ownKeys(effects.removed), reads: ownKeys(effects.reads) },
    };
  };

  return {
    prepare(text) {
      setting = parse(text) as GuestSetting;
      disarm();
      enableOverrides();
      onlyNames();
      own(realm, 'Date', makeDate());
      own(realm, 'Math', makeMath());
      own(realm, 'image', makePowers());
      for (const root of hidden()) lock(root);
      lock(realm);
    },
    begin(text) {
      task = parse(text) as GuestTask;
      state = task.seed | 0;
      for (const name of ownKeys(task.self) as string[]) apply(mapSet, slots, [name, revive(task.self[name])]);
    },
    start(draft) {
      try {
        if (typeof draft !== 'function') throw new E('the source is no function');
        const result: unknown = apply(draft as () => unknown, undefined, [
          makeSelf(),
          ...(revive(task.args) as unknown[]),
        ]);
        // Only a promise of this realm's own making is waited for: a thenable holds a function, and is no value.
        if (result instanceof P) void apply(then, result, [answered, failed]);
        else answered(result);
      } catch (thrown) {
        failed(thrown);
      }
    },
    report(stalled) {
      if (stalled) stall();
      return done === null ? '' : stringify(whole());
    },
  };
}
/* eslint-enable @typescript-eslint/unbound-method */
