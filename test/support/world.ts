/**
 * A host and a kernel in miniature, for tests of the turn engine: objects in a map, loads answered in a later turn of the event loop, commits
 * applied when `apply` is called. Code is compiled without a compartment, with fuel at the entry only.
 */
import {
  decodeContent,
  encodeArgs,
  encodeContent,
  makeAttempt,
  makeSession,
  methodContent,
  pack,
  type Attempt,
  type CommitBody,
  type Content,
  type NameState,
  type Oid,
  type ObjectState,
} from '../../protocol/index.js';
import {
  CachedObject,
  Engine,
  standardPrimitives,
  type Outcome,
  type Primitive,
  type RecordedAnswer,
  type ServiceRequest,
  type Turn,
  type TurnLimits,
  type TurnPorts,
} from '../../runtime/turn/index.js';
import type { CompiledMethod } from '../../runtime/compartment/index.js';
import { genesisObjects } from '../../runtime/genesis/index.js';

export const limits: TurnLimits = {
  runTimeMs: 1000,
  fuel: 1_000_000,
  maxGrowBytes: 64 << 20,
  maxSends: 10_000,
  maxDepth: 256,
  maxWrites: 10_000,
  maxLoadedBytes: 256 << 20,
  maxBodyBytes: 8 << 20,
  maxValueDepth: 64,
};

/** A method by its source, where it needs `image`, `Date` or `Math`. */
export class Method {
  constructor(readonly source: string) {}
}
export const method = (source: string): Method => new Method(source);

export class RefTo {
  constructor(readonly id: string) {}
}
export const ref = (id: string): RefTo => new RefTo(id);

const options = {
  place: 'test',
  maxBytes: 8 << 20,
  maxDepth: 64,
  refOf: (value: object) => (value instanceof RefTo ? value.id : undefined),
};
export const encode = (value: unknown): Content => encodeContent(value, options);
export const encodeList = (values: readonly unknown[]): Uint8Array => Uint8Array.from(encodeArgs(values, options));
export const decode = (content: Content): unknown => decodeContent(content, { makeRef: ref });

export function compileOpen(source: string): CompiledMethod {
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- this is what the compartment does, without the compartment
  const factory = new Function('context', 'image', 'Date', 'Math', `return (${source})`) as (
    ...powers: unknown[]
  ) => (...args: unknown[]) => unknown;
  return (context) => {
    const method = factory(context, context.image, context.Date, context.Math);
    return (...args) => {
      context.meter.on();
      return method(...args);
    };
  };
}

export class World implements TurnPorts {
  /** What the kernel holds. */
  readonly stored = new Map<string, CachedObject>();
  readonly names = new Map<string, NameState>();
  /** What the host has loaded. */
  readonly cache = new Map<string, CachedObject>();
  readonly knownNames = new Set<string>();
  readonly loads: string[][] = [];
  readonly services: ServiceRequest[] = [];
  readonly engine: Engine;
  answer: (request: ServiceRequest) => RecordedAnswer = () => ({ ok: true, body: null });
  compile = compileOpen;
  #attempts = 0;
  #messages = 0;

  constructor(own: Partial<TurnLimits> = {}, primitives: ReadonlyMap<string, Primitive> = standardPrimitives) {
    this.engine = new Engine(this, { ...limits, ...own }, primitives);
    for (const [oid, slots] of genesisObjects()) this.put(oid, slots);
    this.name('lobby', '#lobby');
    this.name('genesis', '#genesis');
  }

  nextAttempt(): Attempt {
    return makeAttempt(1, ++this.#attempts);
  }

  put(oid: string, slots: readonly (readonly [string, Content])[]): void {
    const attempt = this.nextAttempt();
    const rows = slots.flatMap(([slot, content]) => [slot, attempt, 1, content]);
    this.stored.set(oid, CachedObject.of([oid, attempt, attempt, rows] as unknown as ObjectState));
  }

  /** An object with data slots, methods (functions and strings that begin with `async`) and `traits` (or `parents`) above it. */
  object(oid: string, slots?: Record<string, unknown>): CachedObject | undefined {
    if (slots === undefined) return this.cache.get(oid);
    const rows: [string, Content][] = 'parent*' in slots ? [] : [['parent*', encode(ref('#traits'))]];
    for (const [slot, value] of Object.entries(slots)) {
      if (value instanceof Method) rows.push([slot, methodContent({ source: value.source })]);
      else if (typeof value === 'function') rows.push([slot, methodContent({ source: String(value) })]);
      else rows.push([slot, encode(value)]);
    }
    this.put(oid, rows);
    return undefined;
  }

  name(name: string, oid?: string): NameState | undefined {
    if (oid !== undefined) this.names.set(name, [name, oid as Oid, this.nextAttempt()]);
    if (!this.knownNames.has(name)) return undefined;
    return this.names.get(name) ?? [name, null, 0 as Attempt];
  }

  load(oids: readonly string[], names: readonly string[], resume: () => void): void {
    this.loads.push([...oids, ...names]);
    setImmediate(() => {
      for (const oid of oids) this.cache.set(oid, this.stored.get(oid) ?? new CachedObject(oid as Oid));
      for (const name of names) this.knownNames.add(name);
      resume();
    });
  }

  service(request: ServiceRequest, resume: (answer: RecordedAnswer) => void): void {
    this.services.push(request);
    const answer = this.answer(request);
    (request.message.recorded as Map<string, RecordedAnswer> | null)?.set(request.key, answer);
    setImmediate(() => resume(answer));
  }

  waiting(): void {
    // One turn at a time.
  }

  defer(task: () => void): void {
    setImmediate(task);
  }

  afterMicrotasks(task: () => void): void {
    queueMicrotask(() => process.nextTick(task));
  }

  turn(
    target: string,
    selector: string,
    args: readonly unknown[] = [],
    recorded = new Map<string, RecordedAnswer>(),
    no = ++this.#messages,
  ): Turn {
    const name = this.names.get(target);
    const oid = (target.startsWith('#') ? target : (name?.[1] ?? null)) as Oid | null;
    const message = {
      session: makeSession(1, 1),
      no,
      target,
      oid: target === '' ? null : oid,
      nameAttempt: name?.[2] ?? (0 as Attempt),
      selector,
      args: encodeList(args),
      time: 1_700_000_000_000,
      origin: 0 as const,
      recorded,
    };
    return this.engine.newTurn(message, this.nextAttempt());
  }

  /** Runs a message to its end; what was missing for synchronous code is loaded, and the message run again. */
  async run(
    target: string,
    selector: string,
    args: readonly unknown[] = [],
  ): Promise<{ turn: Turn; outcome: Outcome }> {
    const recorded = new Map<string, RecordedAnswer>();
    const no = ++this.#messages;
    for (;;) {
      const turn = this.turn(target, selector, args, recorded, no);
      const outcome = await turn.run();
      if (outcome.kind !== 'missing') return { turn, outcome };
      await new Promise<void>((resolve) => this.load(outcome.oids, outcome.names, resolve));
    }
  }

  /** Runs a message, applies its commit, and gives its answer; an error is thrown as its wire form. */
  async send(target: string, selector: string, ...args: unknown[]): Promise<unknown> {
    const { body } = await this.commit(target, selector, args);
    const [ok, answer, error] = body[7];
    if (!ok) throw Object.assign(new Error(error[2]), { code: error[0], errorName: error[1], remedy: error[3] });
    return decode(answer);
  }

  async commit(
    target: string,
    selector: string,
    args: readonly unknown[] = [],
  ): Promise<{ turn: Turn; body: CommitBody }> {
    const { turn, outcome } = await this.run(target, selector, args);
    if (outcome.kind !== 'reply') throw new Error(`the turn ended in ${outcome.kind}`);
    this.apply(turn);
    return { turn, body: outcome.body };
  }

  apply(turn: Turn): void {
    const { creates, slots, names } = turn.writes;
    for (const oid of creates) {
      const object = new CachedObject(oid);
      object.exists = true;
      object.shape = turn.attempt;
      this.stored.set(oid, object);
      this.cache.set(oid, object);
    }
    for (const { oid, slot, content } of slots) {
      const object = this.stored.get(oid) as CachedObject;
      if (content === undefined) object.remove(slot, turn.attempt);
      else object.set(slot, turn.attempt, content);
    }
    for (const [name, oid] of names) this.names.set(name, [name, oid, turn.attempt]);
  }

  /** A data slot as the kernel holds it. */
  slot(oid: string, slot: string): unknown {
    const cell = this.stored.get(oid)?.slots.get(slot);
    return cell === undefined ? undefined : decode(cell.content);
  }

  /** A service's answer. */
  static value(value: unknown): RecordedAnswer {
    return { ok: true, body: pack(value) };
  }
}
