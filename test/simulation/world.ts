/**
 * One schedule: a guardian, a kernel, its hosts and some clients in virtual time, with random asks and, one event in ten, a fault. All
 * that happens follows from the seed.
 */
import { parseConfig, type Config } from '../../config/index.js';
import type { GroupWrite, Key, KeyRange } from '../../runtime/journal/port.js';
import { rangeOf, fieldsOf } from '../../runtime/journal/keys.js';
import {
  decodeRecord,
  ENDED_LOWEST,
  type DeadLetterRecord,
  type GroupRecord,
  type StrikesRecord,
  type SessionRecord,
} from '../../runtime/journal/records.js';
import { T, type CommitBody, type Oid, type ToHost } from '../../protocol/envelope.js';
import { unpack } from '../../protocol/codec.js';
import type { KernelFaults } from '../../runtime/kernel/index.js';
import { SilenceJudge } from '../../actors/supervisor/silence.js';
import type { Broken } from './broken.js';
import { Clock } from './clock.js';
import { Disk } from './disk.js';
import { injectFault } from './faults.js';
import { emptyHistory, type History, type TurnFact } from './history.js';
import { SimProcess, Wire } from './process.js';
import { Random } from './random.js';
import { moneyOf } from './script.js';
import { SimClient } from './sim-client.js';
import { SimKernel } from './sim-kernel.js';
import { childSpec, SimSupervisor } from './sim-supervisor.js';
import { Witness } from './witness.js';
import { makePlan, Workload, type Plan } from './workload.js';

/** Small limits, so that a short schedule reaches them. */
const CONFIG: Config = parseConfig({
  link: { heartbeatIntervalMs: 200, liveness: 3 },
  message: { window: 64, defaultDeadlineMs: 4000 },
  kernel: {
    shards: 8,
    maxGroupTurns: 16,
    snapshotsPerGroup: 2,
    maxDirtyObjects: 6,
    idleFlushMs: 60,
    outboxWindow: 3,
    timerWindow: 3,
    grantWidenings: 2,
  },
  host: { maxRetries: 3, retryJitterMs: 3, mailbox: 24, batch: 8 },
  turn: { runTimeMs: 150 },
  client: { backlog: 1000, retryFirstMs: 5, retryMaxMs: 200 },
});

/** Letter, session, number; a recorded answer has its own key behind that. */
const RECORDED_KEY_BYTES = 17;
const LETTER_L = 'l'.charCodeAt(0);
const FAULT_SHARE = 0.1;
/** Of what is asked for: questions to the kernel. */
const QUESTION_SHARE = 0.08;
const REST_MS = 60_000;
const HOUR_MS = 3_600_000;
/** What the wall clock shows when the schedule begins. */
const EPOCH_MS = 1_700_000_000_000;
const IDLE_MS = 700;
const TWO_DAYS_MS = 50 * 3_600_000;
const INSPECTOR = 1_000_000;
const GUARDIAN_INTERVAL_MS = 150;

export interface ScheduleOptions {
  readonly seed: number;
  readonly events: number;
  readonly faults: KernelFaults;
  readonly trace: ((line: string) => void) | null;
  /** The real host core in place of the model: slower, so for fewer schedules. */
  readonly realHosts: boolean;
  /** Something around the kernel is broken on purpose, to show that the checker notices; '': nothing. */
  readonly broken: Broken;
}

export class World {
  readonly clock = new Clock();
  readonly random: Random;
  readonly config: Config;
  readonly history: History = emptyHistory();
  readonly disk: Disk;
  readonly plan: Plan;
  readonly faults: KernelFaults;
  readonly clients: SimClient[] = [];
  guardian: SimProcess;
  /** How far the wall clock is ahead of the one that never goes back. */
  wallAhead = EPOCH_MS;
  /** The most that it ever was: by then a timer may have come due. */
  wallAheadMost = EPOCH_MS;
  kernel: SimKernel | null = null;
  faultsInjected = 0;
  /** With real hosts, whose answers don't say which attempt they are of: the attempt accepted last for a message, and answered last. */
  readonly accepted = new Map<string, number>();
  readonly answered = new Map<string, number>();
  #supervisor: SimSupervisor;
  readonly witness = new Witness(this);
  #moment = 0;
  #clientCount = 0;
  #onServed: () => void = () => undefined;
  readonly #lettersRead = new Map<string, Buffer>();
  #inspected: ((envelope: ToHost) => void) | null = null;

  constructor(readonly options: ScheduleOptions) {
    this.random = new Random(options.seed);
    this.faults = options.faults;
    this.plan = makePlan(this.random, options.events);
    this.config = this.plan.crowded ? { ...CONFIG, host: { ...CONFIG.host, maxRetries: 1 } } : CONFIG;
    this.disk = new Disk(this.clock, this.random.fork(1));
    this.disk.onDurable = (group) => this.#noteLetters(group);
    [this.guardian, this.#supervisor] = this.#newGuardian();
    this.#breakOnPurpose();
  }

  setClock(ahead: number): void {
    this.wallAhead = EPOCH_MS + ahead;
    this.wallAheadMost = Math.max(this.wallAheadMost, this.wallAhead);
  }

  moment(): number {
    return ++this.#moment;
  }

  noteAccepted(attempt: number): void {
    const fact = this.history.attempts.get(attempt);
    if (fact) this.accepted.set(`${fact.session}:${fact.no}`, attempt);
  }

  log(level: string, event: string, data: Record<string, unknown>): void {
    this.trace(() => `${level} ${event} ${JSON.stringify(data)}`);
  }

  trace(line: () => string): void {
    this.options.trace?.(`${this.clock.now.toFixed(1)} ${line()}`);
  }

  // ---- what is broken on purpose ---------------------------------------------------------------------------------------------

  #breakOnPurpose(): void {
    const { broken } = this.options;
    this.disk.lies = broken === 'lyingDisk';
    if (broken !== 'keptReplies') return;
    const isReply = (key: Uint8Array): boolean => key[0] === 'd'.charCodeAt(0) && key.length === RECORDED_KEY_BYTES;
    this.disk.tamper = (group) => ({ ...group, deletes: group.deletes.filter((key) => !isReply(key)) });
  }

  /** With `undeadLetters` a letter that is gone is still read. */
  spoilRead(keys: readonly Key[], values: (Buffer | undefined)[]): (Buffer | undefined)[] {
    if (this.options.broken !== 'undeadLetters') return values;
    return values.map((value, i) => value ?? this.#lettersRead.get(keys[i]?.toString('hex') ?? ''));
  }

  /** With `blindUndo` nobody who looks through the journal finds anything. */
  spoilPage<R>(range: KeyRange, rows: R[]): R[] {
    const journal = range.reverse !== true && (range.gte ?? range.gt)?.[0] === 'j'.charCodeAt(0);
    return journal && this.options.broken === 'blindUndo' ? [] : rows;
  }

  // ---- processes -------------------------------------------------------------------------------------------------------------

  #newGuardian(): [SimProcess, SimSupervisor] {
    const guardian = new SimProcess('guardian', this.clock);
    guardian.onDeath = () => this.#guardianDied();
    const supervisor = new SimSupervisor(
      guardian,
      [{ ...childSpec('kernel'), restarts: 1000, windowMs: 1, startMs: 60_000 }],
      { spawn: () => this.#startKernel(), report: () => ({ code: null, signal: 'SIGKILL', blame: 'outside' }) },
      this.random.unit,
    );
    return [guardian, supervisor];
  }

  /** The kernel ends when it sees that its pipe is closed, if it runs; somebody starts the image again, who may come first. */
  #guardianDied(): void {
    const orphan = this.kernel;
    if (this.options.broken !== 'twoKernels') orphan?.after(this.random.between(1, 60), () => orphan.die());
    this.clock.after(this.random.between(10, 120), () => {
      [this.guardian, this.#supervisor] = this.#newGuardian();
      this.#supervisor.dispatch({ type: 'begin' });
    });
  }

  #startKernel(): SimProcess {
    // Whoever starts kills what an earlier life left behind.
    if (this.options.broken !== 'twoKernels') this.kernel?.die(false);
    if (this.kernel) for (const process of this.kernel.supervisor.processes.values()) process.die(false);
    const kernel = new SimKernel(this);
    this.kernel = kernel;
    this.#noteRecorded(kernel.life);
    this.#noteStrikes(kernel.life);
    this.trace(() => `kernel begins life ${kernel.life}, journal ends at ${this.disk.store.endSeq}`);
    this.#watch(kernel);
    return kernel;
  }

  /** Recorded answers of services that are durable: whoever runs the message in this life must get them. */
  #noteRecorded(life: number): void {
    for (const [key, value] of this.disk.store.page(rangeOf('d'), Infinity)) {
      if (key.length <= RECORDED_KEY_BYTES) continue;
      const [session, no] = fieldsOf(key);
      const [, body] = unpack(value) as [boolean, string];
      this.trace(() => `recorded ${session}:${no} ${key.toString('utf8', RECORDED_KEY_BYTES + 1)} ${body}`);
      this.history.effects.push({
        life,
        message: `message ${session}:${no} ${key.toString('utf8', RECORDED_KEY_BYTES + 1)}`,
        body,
      });
    }
  }

  #noteLetters({ puts }: GroupWrite): void {
    for (const [key, value] of puts) {
      if (key[0] !== LETTER_L) continue;
      this.#lettersRead.set(key.toString('hex'), Buffer.from(value));
      const [[, , args], , , session, no] = decodeRecord<DeadLetterRecord>(value, 'dead letter');
      this.history.letters.set(fieldsOf(key)[0] ?? 0, { of: `${session}:${no}`, money: moneyOf(args), left: false });
    }
  }

  #noteStrikes(life: number): void {
    for (const [key, value] of this.disk.store.page(rangeOf('s'), Infinity)) {
      const [session, no] = fieldsOf(key);
      this.history.strikesAtBirth.set(`${life} ${session}:${no}`, decodeRecord<StrikesRecord>(value, 'strikes')[0]);
    }
  }

  /** The guardian judges the kernel by its heartbeats, which come from the loop that does its work. */
  #watch(kernel: SimKernel): void {
    const judge = new SilenceJudge({ intervalMs: GUARDIAN_INTERVAL_MS, liveness: 3, firstMs: 2000 }, this.clock.now);
    kernel.every(GUARDIAN_INTERVAL_MS, () => judge.heard(this.clock.now));
    const life = (): number => this.#supervisor.lifeOf('kernel');
    const look = (): void => {
      if (kernel.mode === 'dead') return;
      if (judge.tick(this.clock.now) > 0)
        this.#supervisor.dispatch({ type: 'condemn', id: 'kernel', life: life(), cause: 'silent', blame: 'outside' });
      else this.guardian.after(judge.tickMs, look);
    };
    this.guardian.after(judge.tickMs, look);
  }

  /** Called by a kernel that has recovered. */
  served(kernel: SimKernel): void {
    if (kernel !== this.kernel) return;
    this.trace(() => 'kernel serves');
    this.guardian.after(0, () =>
      this.#supervisor.dispatch({ type: 'ready', id: 'kernel', life: this.#supervisor.lifeOf('kernel') }),
    );
    this.#onServed();
  }

  servingKernel(): SimKernel | null {
    return this.kernel?.ready === true && this.kernel.mode !== 'dead' ? this.kernel : null;
  }

  /** A wire to a kernel that serves, which takes it before any frame comes. */
  connect(near: SimProcess, far: SimKernel | null): Wire | null {
    if (far === null || far.mode === 'dead') return null;
    const wire = new Wire(this.clock, this.random, near, far);
    far.do(() => far.accept(wire));
    return wire;
  }

  hosts(): SimProcess[] {
    return [...(this.kernel?.supervisor.processes.values() ?? [])].filter((host) => host.mode !== 'dead');
  }

  addClient(): void {
    const count = ++this.#clientCount;
    this.clients.push(new SimClient(this, `client-${count}`, count % 2 === 1));
  }

  replaceClient(client: SimClient): void {
    this.clients.splice(this.clients.indexOf(client), 1);
    this.addClient();
  }

  // ---- the run ---------------------------------------------------------------------------------------------------------------

  async run(): Promise<History> {
    this.#supervisor.dispatch({ type: 'begin' });
    for (let i = 0; i < this.plan.clients; i++) this.addClient();
    const workload = new Workload(this.random.fork(2), this.plan);
    let left = this.plan.events;
    const next = (): void => {
      left--;
      if (this.random.chance(FAULT_SHARE)) {
        this.faultsInjected++;
        injectFault(this, left);
      } else this.#ask(workload, left);
      if (left > 0) this.clock.after(-Math.log(1 - this.random.unit()) * this.plan.meanPauseMs, next);
    };
    this.clock.after(30, next);
    await this.#drive(Infinity, () => left <= 0);
    this.#calm();
    if (!(await this.#drive(this.clock.now + REST_MS, () => this.#atRest())))
      this.history.stuck = this.#describeUnrest();
    await this.#goOnALittle();
    await this.#readBack();
    this.#readJournal();
    return this.history;
  }

  #question(workload: Workload, token: string, client: SimClient): void {
    const open = this.disk.store.page(rangeOf('l'), 20).map(([key]) => fieldsOf(key)[0] ?? 0);
    const letters = this.random.chance(0.2) ? [...this.history.letters.keys()] : open;
    const [op, args] = workload.question(this.disk.store.endSeq, letters);
    client.do(() => client.question(token, op, args, 30_000));
    // Two people at once, who do not know of each other.
    if (!op.startsWith('deadLetter') || args.length === 0 || this.random.chance(0.5)) return;
    const other = this.random.pick(this.clients);
    other.do(() => other.question(`${token}+`, op, args, 30_000));
  }

  #drive(until: number, done: () => boolean): boolean | Promise<boolean> {
    return this.options.realHosts ? this.clock.runSettled(until, done) : this.clock.run(until, done);
  }

  #ask(workload: Workload, index: number): void {
    const count = this.random.chance(this.plan.crowded ? 0.3 : 0.05)
      ? this.random.between(2, this.plan.crowded ? 5 : 12)
      : 1;
    for (let i = 0; i < count; i++) {
      const client = this.random.pick(this.clients);
      if (this.random.chance(QUESTION_SHARE)) {
        this.#question(workload, `q${index}.${i}`, client);
        continue;
      }
      const [chosen, ops] = workload.next();
      const target = chosen === '' && this.options.realHosts ? 'a0' : chosen;
      const deadline = this.random.chance(0.05) ? this.random.between(5, 300) : 30_000;
      client.do(() => client.ask(`r${index}.${i}`, target, ops, deadline));
    }
  }

  /** No more faults: what is stopped goes on. */
  #calm(): void {
    this.trace(() => 'faults end');
    this.kernel?.goOn();
    for (const host of this.hosts()) host.goOn();
    for (const client of this.clients) client.goOn();
    this.disk.slowUntil = 0;
    this.disk.failNext = 'no';
    this.disk.fullUntil = 0;
    this.setClock(HOUR_MS);
  }

  #atRest(): boolean {
    if (this.clients.some((client) => client.open.size > 0)) return false;
    if (this.servingKernel() === null || this.clock.step % 64 !== 0) return false;
    return this.disk.store.page(rangeOf('q'), 1).length + this.disk.store.page(rangeOf('t'), 1).length === 0;
  }

  #describeUnrest(): string {
    const open = this.clients.flatMap((client) => [...client.open].map(({ fact }) => `${client.name}:${fact.token}`));
    const outgoing = [...this.disk.store.page(rangeOf('q'), 99), ...this.disk.store.page(rangeOf('t'), 99)].map(
      ([key]) => fieldsOf(key).at(-1),
    );
    return `after ${REST_MS} ms without faults: open ${open.join(' ') || 'none'}; outgoing ${outgoing.join(' ') || 'none'}; kernel ${this.kernel?.mode ?? 'none'} ${this.kernel?.ready === true ? 'ready' : 'not ready'}, ${JSON.stringify(this.kernel?.kernel.core.delivery.counts)}, hosts ${this.hosts()
      .map((host) => `${host.name} ${host.mode}`)
      .join(' ')}`;
  }

  /** So that what is written when nothing else is to be done is written; sometimes two days more, after which sessions end. */
  async #goOnALittle(): Promise<void> {
    if (this.plan.lateEnd) {
      await this.#drive(this.clock.now + REST_MS, () => this.#hasMissedTheGone());
      this.clock.sleep(TWO_DAYS_MS);
    }
    await this.#drive(this.clock.now + IDLE_MS, () => false);
    this.history.lastLife = this.kernel?.life ?? 0;
    const { kept } = this.history;
    if (this.plan.lateEnd) kept.open = new Set(this.clients.map(({ session }) => session.id));
    for (const [key, value] of this.disk.store.page(rangeOf('d'), Infinity)) {
      const [session = 0, no = 0] = fieldsOf(key.subarray(0, RECORDED_KEY_BYTES));
      if (key.length > RECORDED_KEY_BYTES) kept.recorded.add(`${session}:${no}`);
      else if (no === 0) {
        // A header that says that its session has ended is no session: whatever else were kept of that would be left over.
        if (decodeRecord<SessionRecord>(value, `session ${session}`)[1] !== ENDED_LOWEST) kept.sessions.add(session);
      } else kept.replies.add(`${session}:${no}`);
    }
    for (const [key] of this.disk.store.page(rangeOf('s'), Infinity)) kept.strikes.add(fieldsOf(key).join(':'));
  }

  /** Two days begin when the kernel hears that a client has gone: until then it takes it for connected. */
  #hasMissedTheGone(): boolean {
    const here = new Set<number>(this.clients.map(({ session }) => session.id));
    const sessions = this.servingKernel()?.kernel.core.sessions.byId.values() ?? [];
    return [...sessions].every(({ id, peer }) => peer === 0 || here.has(id));
  }

  // ---- what is left ----------------------------------------------------------------------------------------------------------

  /** Cuts the power once more, and reads everything back through the kernel that comes up then. */
  async #readBack(): Promise<void> {
    this.disk.powerCut();
    let read = false;
    this.#onServed = () => this.#inspectAll(() => (read = true));
    this.kernel?.die(false);
    if (!(await this.#drive(this.clock.now + REST_MS, () => read)) && this.history.stuck === '')
      this.history.stuck = 'the last restart did not serve';
  }

  #inspectAll(done: () => void): void {
    const kernel = this.kernel as SimKernel;
    const oids = new Set<string>();
    const names = new Set<string>();
    for (const { body } of this.#turns()) {
      for (const oid of body[2]) oids.add(oid);
      for (const [name] of body[4]) names.add(name);
    }
    this.#inspected = (envelope) => {
      if (envelope[0] !== T.LOADED) return;
      for (const [oid, shape, parents, rows] of envelope[2]) {
        this.history.finalSlots.push([oid, '', shape, null], [oid, '*', parents, null]);
        for (let i = 0; rows !== null && i < rows.length; i += 4)
          this.history.finalSlots.push([oid, rows[i] as string, rows[i + 1] as number, rows[i + 3]]);
      }
      for (const [name, oid, attempt] of envelope[3]) this.history.finalNames.push([name, attempt, oid]);
      done();
    };
    kernel.after(0, () => {
      kernel.kernel.hostJoined(INSPECTOR, { incarnation: INSPECTOR, quarantine: false }, this.clock.now);
      kernel.kernel.fromHost(INSPECTOR, [T.LOAD, 1, [...oids] as Oid[], [...names]], this.clock.now);
      kernel.kernel.flush(this.clock.now);
    });
  }

  /** True: the envelope was for the inspector, which is no process. */
  inspect(host: number, envelope: ToHost): boolean {
    if (host !== INSPECTOR) return false;
    this.#inspected?.(envelope);
    return true;
  }

  #turns(): TurnFact[] {
    const turns: TurnFact[] = [];
    for (const [, value] of this.disk.store.page(rangeOf('j'), Infinity)) {
      const [, first, , records] = decodeRecord<GroupRecord>(value, 'journal record');
      records.forEach(
        ([attempt, session, no, , , target, selector, time, , body, before, namesBefore, firstOutgoing, consumed], i) =>
          turns.push({
            seq: first + i,
            attempt,
            session,
            no,
            time,
            body: unpack(body) as CommitBody,
            before,
            namesBefore,
            firstOutgoing,
            consumed: consumed !== null,
            own: target === 'kernel' ? selector : '',
          }),
      );
    }
    return turns;
  }

  #readJournal(): void {
    const { history, disk } = this;
    history.turns.push(...this.#turns());
    for (const { body, firstOutgoing } of history.turns) {
      [...body[5].map(([, , args]) => args), ...body[6].map(([, , , args]) => args)].forEach((args, i) =>
        history.moneyIn.set(firstOutgoing + i, moneyOf(args)),
      );
    }
    for (const letter of ['q', 't'])
      for (const [key] of disk.store.page(rangeOf(letter), Infinity)) history.pending.add(fieldsOf(key).at(-1) ?? 0);
    for (const [key, value] of disk.store.page(rangeOf('l'), Infinity)) {
      const [, , , session, no] = decodeRecord<DeadLetterRecord>(value, 'dead letter');
      history.deadLetters.add(`${session}:${no}`);
      const letter = history.letters.get(fieldsOf(key)[0] ?? 0);
      if (letter) letter.left = true;
    }
  }
}
