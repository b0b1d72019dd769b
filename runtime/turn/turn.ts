/**
 * One try at one message. Owns: its read set, drafts, created objects and departures, its budget, and its end. Doesn't own: the state that it
 * reads (the host's cache), what becomes true (the kernel).
 *
 *   U1  Nothing leaves a turn but its commit and its requests to services.
 *   U2  Every look at shared state is a read of the commit, also what was absent (view.ts).
 *   U3  A turn ends once; from then on everything that it gave to method code is dead.
 *   U4  It ends by itself: method code that neither runs nor waits for load or service is STALLED.
 *   U5  Running time, fuel and growth are bounded (compartment/meter.ts), the host's work for the turn included; who catches the error fails
 *       all the same. Where the host's own state is changed, and where the turn ends, nothing is charged: nothing may throw there.
 */
import {
  type Attempt,
  type CommitBody,
  type ErrorCode,
  type NameRead,
  type Oid,
  type TelosError,
  type WireError,
} from '../../protocol/index.js';
import { leaveMethods, makeDate, makeMath, type CompiledMethod } from '../compartment/index.js';
import { WireArgs } from './args.js';
import { contentOf, type Carried } from './carried.js';
import type { Cell } from './cell.js';
import { Codec } from './codec.js';
import { buildCommit, NO_WRITES, type TurnWrites } from './commit.js';
import { IdSource, seededRandom } from './determinism.js';
import type { Creation, Departure } from './effects.js';
import type { Engine } from './engine.js';
import { failure, failureOf, toFailure, toWire } from './failure.js';
import { Frame } from './frame.js';
import { Lookup } from './lookup.js';
import type { Outcome, RecordedAnswer, ServiceRequest, TurnLimits, TurnMessage } from './ports.js';
import { TurnMeter, type MeteredTurn } from './turn-meter.js';
import { NameView, ObjectView, type ViewOwner } from './view.js';

const MAX_LOG_LINES = 1000;

export class Turn implements ViewOwner, MeteredTurn {
  readonly views = new Map<Oid, ObjectView>();
  readonly names = new Map<string, NameView>();
  readonly creations: Creation[] = [];
  readonly departures: Departure[] = [];
  readonly logged: string[] = [];
  readonly lookup = new Lookup(this);
  readonly codec: Codec;
  readonly meter: TurnMeter;
  readonly limits: TurnLimits;
  /** Frames that hold working copies: looked at once more before the commit. */
  readonly framesWithCopies: Frame[] = [];
  over = false;
  /** Waits for loads and services that are under way. */
  waits = 0;
  writesLeft: number;
  sendsLeft: number;
  /** Sends of this turn that failed: its end then waits for rejections that nobody handles. */
  failedSends = 0;
  /** A content was made that holds a name where an oid has to stand. */
  hasNames = false;
  /** What it would leave behind; filled when its commit is built. */
  writes: TurnWrites = NO_WRITES;
  /** Bytes of objects that it has pinned. */
  #loaded = 0;
  #ids: IdSource | null = null;
  #date: object | null = null;
  #math: object | null = null;
  /** Rejections with an error of this turn that nobody handles, by promise. The process tells of them. */
  unhandled: Map<object, unknown> | null = null;
  #error: Error | null = null;
  #settle: ((outcome: Outcome) => void) | null = null;

  constructor(
    readonly engine: Engine,
    readonly message: TurnMessage,
    readonly attempt: Attempt,
  ) {
    const { limits } = engine;
    this.limits = limits;
    this.writesLeft = limits.maxWrites;
    this.sendsLeft = limits.maxSends;
    this.codec = new Codec(this);
    this.meter = new TurnMeter(limits, this);
  }

  // ---- life ------------------------------------------------------------------------------------------------------------------

  /** Runs the message to the turn's end. Never rejects. */
  run(): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.engine.entered(this);
      const main = this.#main();
      leaveMethods();
      main.catch((thrown: unknown) => {
        leaveMethods();
        this.end({ kind: 'reply', ok: false, body: buildCommit(this, toWire(thrown), false) });
      });
    });
  }

  async #main(): Promise<void> {
    let carried: Carried = null;
    let failed: WireError | null = null;
    try {
      carried = await this.#handle();
      if (this.failedSends > 0) await this.drained();
      if (this.meter.error) throw this.meter.error;
      for (const lost of this.unhandled?.values() ?? []) throw toFailure(lost, this);
      for (const frame of this.framesWithCopies) frame.checkCopies();
      if (this.hasNames) await this.#loadNames(carried);
    } catch (thrown) {
      leaveMethods();
      failed = this.meter.error?.toWire() ?? toWire(thrown);
    }
    this.#reply(carried, failed);
  }

  #handle(): Promise<Carried> {
    const { target, oid, selector, args, nameAttempt } = this.message;
    const root = new Frame(this, null, null, null, selector, 0);
    if (target === '') return root.runSource(new WireArgs(args));
    if (target.charCodeAt(0) !== 0x23) this.names.set(target, NameView.read(target, oid, nameAttempt));
    if (oid === null)
      return Promise.reject(this.failure('UNKNOWN_NAME', `no object is named ${JSON.stringify(target)}`));
    return root.perform(oid, selector, new WireArgs(args), null, root.nextPosition());
  }

  #reply(carried: Carried, failed: WireError | null): void {
    leaveMethods();
    if (this.over) return;
    let outcome: Outcome;
    try {
      outcome = {
        kind: 'reply',
        ok: failed === null,
        body: buildCommit(this, failed ?? contentOf(this.codec.withoutNames(carried)), failed === null),
      };
    } catch (thrown) {
      if (this.over) return;
      outcome = { kind: 'reply', ok: false, body: buildCommit(this, toWire(thrown), false) };
    }
    this.end(outcome);
  }

  /** Ends the turn now, whatever its code does. */
  end(outcome: Outcome): void {
    if (this.over) return;
    this.over = true;
    this.meter.stop();
    leaveMethods();
    for (const view of this.views.values()) view.object?.unpin();
    this.#settle?.(outcome);
  }

  /** The commit that takes the place of one that can not be sent. */
  failedCommit(error: WireError): CommitBody {
    return buildCommit(this, error, false);
  }

  /** The host does not want it any more. */
  abandon(): void {
    this.end({ kind: 'abandoned' });
  }

  /** Ends the turn with this error. The answer is what to throw. */
  fatal(code: ErrorCode, message: string): Error {
    leaveMethods();
    if (!this.over) {
      const error = this.failure(code, message);
      this.#error = error;
      this.end({ kind: 'reply', ok: false, body: buildCommit(this, toWire(error), false) });
    }
    return this.error();
  }

  conflict(key: string): Error {
    leaveMethods();
    this.end({ kind: 'conflict', key });
    return this.error();
  }

  /** Synchronous code needs what is not loaded: the turn starts again with it. */
  missing(oids: readonly Oid[], names: readonly string[]): Error {
    leaveMethods();
    this.end({ kind: 'missing', oids, names });
    return this.error();
  }

  /** What code of an ended turn gets. */
  error(): Error {
    return (this.#error ??= this.failure(
      'REVOKED',
      `the turn of ${this.message.target || 'this function'}.${this.message.selector} has ended`,
    ));
  }

  failure(code: ErrorCode, message: string, remedy?: string): Error {
    return failure(code, message, remedy === undefined ? { turn: this } : { turn: this, remedy });
  }

  alive(): void {
    if (this.over) throw this.error();
  }

  /** Called when the event loop has come round: code that neither ran to its end nor waits will never do. */
  checkProgress(): void {
    if (this.over || this.waits > 0) return;
    if (this.meter.error) {
      this.fatal('BUDGET', this.meter.error.message);
      return;
    }
    this.fatal(
      'STALLED',
      `${this.message.target || 'the function'}.${this.message.selector} waits for a promise that nothing can settle`,
    );
  }

  // ---- budget ------------------------------------------------------------------------------------------------------------------

  countSend(depth: number): void {
    if (--this.sendsLeft < 0)
      throw this.fatal('BUDGET', `the turn sent more than ${this.limits.maxSends} messages (turn.max_sends)`);
    if (depth > this.limits.maxDepth) {
      throw this.failure('TOO_DEEP', `sends are nested deeper than ${this.limits.maxDepth} (turn.max_depth)`);
    }
    this.meter.on();
  }

  countWrite(): void {
    if (--this.writesLeft < 0)
      throw this.fatal('BUDGET', `the turn wrote more than ${this.limits.maxWrites} slots (turn.max_writes)`);
  }

  // ---- waiting -----------------------------------------------------------------------------------------------------------------

  /** Waits, off the clock, for what `begin` starts. */
  #wait<T>(begin: (resume: (value: T) => void) => void): Promise<T> {
    this.waits++;
    leaveMethods();
    return new Promise((resolve) => {
      begin((value) => {
        this.waits--;
        if (this.over) return;
        this.engine.entered(this);
        resolve(value);
      });
    });
  }

  /** @throws why one of them can't be loaded, as method code may see it */
  async load(oids: readonly Oid[], names: readonly string[]): Promise<void> {
    const refused = await this.#wait<TelosError | undefined>((resume) => {
      this.engine.ports.load(oids, names, resume);
    });
    if (refused !== undefined) throw this.failureOf(refused.toWire());
  }

  /** Waits until all microtasks have run. */
  drained(): Promise<undefined> {
    return this.#wait<undefined>((resume) => {
      this.engine.ports.defer(() => resume(undefined));
    });
  }

  async service(request: Omit<ServiceRequest, 'message'>): Promise<RecordedAnswer> {
    const { message } = this;
    const known = message.recorded?.get(request.key);
    if (known !== undefined) return known;
    return this.#wait<RecordedAnswer>((resume) => {
      this.engine.ports.service({ message, ...request }, resume);
      if (request.service !== 'kernel') this.engine.ports.waiting(message);
    });
  }

  // ---- objects and names ---------------------------------------------------------------------------------------------------------

  view(oid: Oid): ObjectView | undefined {
    const known = this.views.get(oid);
    if (known !== undefined) return known;
    const object = this.engine.ports.object(oid);
    if (object === undefined) return undefined;
    const view = new ObjectView(this, oid, object);
    this.views.set(oid, view);
    object.pins++;
    this.#loaded += object.memory;
    const { maxLoadedBytes: most } = this.limits;
    if (this.#loaded > most)
      throw this.fatal('BUDGET', `the turn looked at objects of more than ${most} bytes (turn.max_loaded_bytes)`);
    return view;
  }

  /** The object, for synchronous code. */
  needView(oid: Oid): ObjectView {
    const view = this.view(oid);
    if (view === undefined) throw this.missing([oid], []);
    return view;
  }

  nameView(name: string): NameView | undefined {
    const known = this.names.get(name);
    if (known !== undefined) return known;
    const state = this.engine.ports.name(name);
    if (state === undefined) return undefined;
    const view = new NameView(name, state[1], state[2]);
    this.names.set(name, view);
    return view;
  }

  /** The name, loaded if need be. */
  async findName(name: string): Promise<NameView> {
    for (;;) {
      const view = this.nameView(name);
      if (view !== undefined) return view;
      await this.load([], [name]);
    }
  }

  /** The name, for synchronous code. */
  needName(name: string): NameView {
    const view = this.nameView(name);
    if (view === undefined) throw this.missing([], [name]);
    return view;
  }

  lineageChanged(): void {
    this.lookup.lineageChanged();
  }

  /** An oid as it is, a name as what it names. @throws UNKNOWN_NAME */
  resolveNow = (id: string): string => {
    if (id.charCodeAt(0) === 0x23) return id;
    const { oid } = this.needName(id);
    if (oid === null) throw this.failure('UNKNOWN_NAME', `no object is named ${JSON.stringify(id)}`);
    return oid;
  };

  /** The object behind an oid or name, with all its ancestors loaded. @throws UNKNOWN_NAME, UNKNOWN_OBJECT */
  async find(id: string): Promise<ObjectView> {
    const view = this.lookup.ready(id) ?? (await this.lookup.prepare(id));
    if (!view.exists) throw this.failure('UNKNOWN_OBJECT', `there is no object ${id}`);
    return view;
  }

  /** How an object is called in messages for people. */
  label(oid: Oid): string {
    if (oid === this.message.oid && this.message.target !== '') return this.message.target;
    for (const view of this.names.values()) if (view.committed === oid) return view.name;
    return oid;
  }

  /** No effect of it stands or ever stood. */
  get writesNothing(): boolean {
    return this.writesLeft === this.limits.maxWrites;
  }

  nameReads(): NameRead[] {
    const reads: NameRead[] = [];
    for (const view of this.names.values()) if (view.wasRead) reads.push([view.name, view.attempt]);
    return reads;
  }

  async #loadNames(carried: Carried): Promise<void> {
    const names = this.codec.namesLeft(carried);
    for (const name of names) await this.findName(name);
  }

  // ---- what code gets --------------------------------------------------------------------------------------------------------------

  /** The code of a method slot. @throws BAD_SOURCE */
  code(cell: Cell): CompiledMethod {
    return (cell.compiled ??= this.compile(cell.text)) as CompiledMethod;
  }

  compile(source: string): CompiledMethod {
    return this.engine.ports.compile(source);
  }

  get ids(): IdSource {
    return (this.#ids ??= new IdSource(this.message.session, this.message.no));
  }

  get date(): object {
    return (this.#date ??= makeDate(this.message.time));
  }

  get math(): object {
    return (this.#math ??= makeMath(seededRandom(this.message.session, this.message.no)));
  }

  log(line: string): void {
    if (this.logged.length < MAX_LOG_LINES) this.logged.push(line);
  }

  /** An error of the wire as method code may see it. */
  failureOf(wire: WireError): Error {
    return failureOf(wire, this);
  }
}
