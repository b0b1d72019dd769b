/**
 * A host in the simulation: cache, conflict retries, grants and pipelining as the protocol asks for them (protocol/envelope.ts), with
 * scripts in place of compiled methods. One life of one process: a restarted host is a new object.
 *
 * Owns: its cache, the messages it was given and has not finished.
 *
 *   H1  Content in the cache is always the content of the attempt that it is marked with; whether that attempt was accepted, the kernel says.
 *   H2  What a refused attempt wrote is dropped, and so is what the verdict names as stale.
 *   H3  A listing stands on decided attempts only: before its own undecided one another host's may come, of which it has not heard.
 *   H4  A turn under a grant sees only what was loaded after the grant was given.
 */
import { decodeScript, type Op } from './script.js';
import { pack } from '../../protocol/codec.js';
import {
  makeAttempt,
  T,
  VERDICT,
  type Attempt,
  type Changed,
  type CommitBody,
  type Content,
  type FromHost,
  type Loaded,
  type Named,
  type Oid,
  type Run,
  type SlotRow,
  type ToHost,
  type Verdict,
} from '../../protocol/envelope.js';
import { TelosError } from '../../protocol/errors.js';
import type { AttemptFact } from './history.js';
import type { Random } from './random.js';
import { Doom, LOBBY, Turn, type CachedName, type CachedObject, type Need } from './turn.js';

export interface HostLimits {
  readonly maxRetries: number;
  readonly grantWidenings: number;
  readonly retryJitterMs: number;
  readonly mailbox: number;
}

export interface HostPorts {
  /** See `View`. */
  readonly lateListing: boolean;
  send(envelope: FromHost): void;
  after(delay: number, run: () => void): void;
  /** The process ends (`poison`) or never runs again (`hang`), because of this message. */
  doom(kind: 'poison' | 'hang', id: string): void;
  /** An attempt as the host knows it, before its commit leaves. */
  note(fact: AttemptFact): void;
  /** An answer of a service, as a turn gets it. */
  effect(message: string, body: string): void;
  readonly random: Random;
}

interface Job {
  readonly run: Run;
  readonly ops: Op[];
  readonly token: string;
  /** Commits refused as conflicts. */
  conflicts: number;
  widenings: number;
  /** All keys that its attempts touched. */
  readonly touched: Set<string>;
  readonly recorded: Map<string, Content>;
  /** Under a grant: what was loaded for it alone. */
  granted: { objects: Map<string, CachedObject>; names: Map<string, CachedName> } | null;
  /** The kernel's word about its own target counts once; afterwards the cache does. */
  targetKnown: boolean;
  turn: Turn | null;
  steps: Generator<Need, CommitBody, string> | null;
  stopped: boolean;
}

const idOf = (session: number, no: number): string => `${session}:${no}`;

export class ModelHost {
  readonly #objects = new Map<string, CachedObject>();
  readonly #names = new Map<string, CachedName>();
  readonly #jobs = new Map<string, Job>();
  /** Attempts whose verdict is awaited. */
  readonly #judged = new Map<number, { job: Job; turn: Turn }>();
  readonly #loads = new Map<number, { job: Job; turn: Turn | null; private: boolean }>();
  readonly #services = new Map<number, { job: Job; turn: Turn | null; key: string }>();
  #attempts = 0;
  #requests = 0;
  #dead = false;

  constructor(
    readonly incarnation: number,
    private readonly limits: HostLimits,
    private readonly ports: HostPorts,
  ) {}

  get running(): number {
    return this.#jobs.size;
  }

  receive(envelope: ToHost): void {
    switch (envelope[0]) {
      case T.RUN:
        return this.#begin(envelope);
      case T.LOADED:
        return this.#loaded(envelope);
      case T.VERDICT:
        return this.#verdict(envelope);
      case T.CHANGED:
        return this.#changed(envelope);
      case T.NAMED:
        return this.#named(envelope);
      case T.GRANT:
        return this.#granted(this.#jobs.get(idOf(envelope[1], envelope[2])));
      case T.RETRY:
        return this.#again(this.#jobs.get(idOf(envelope[1], envelope[2])));
      case T.STOP_RUN:
        return this.#stop(idOf(envelope[1], envelope[2]));
      case T.SERVICE_ANSWER:
        return this.#served(envelope[1], envelope[2], envelope[3]);
      case T.SHUTDOWN:
        return;
    }
  }

  // ---- running -------------------------------------------------------------------------------------------------------------

  #begin(run: Run): void {
    const [, session, no] = run;
    if (this.#jobs.size >= this.limits.mailbox) {
      this.ports.send([
        T.DECLINED,
        session,
        no,
        new TelosError('BUSY', `the mailbox holds ${this.limits.mailbox}`).toWire(),
      ]);
      return;
    }
    const [token, ops] = decodeScript(run[7]);
    const recorded = new Map((run[12] ?? []).map(([key, , body]) => [key, body]));
    const job: Job = {
      run,
      ops,
      token,
      conflicts: 0,
      widenings: 0,
      touched: new Set(),
      recorded,
      granted: null,
      targetKnown: true,
      turn: null,
      steps: null,
      stopped: false,
    };
    this.#jobs.set(idOf(session, no), job);
    this.#start(job);
  }

  #start(job: Job): void {
    const attempt = makeAttempt(this.incarnation, ++this.#attempts);
    const view = {
      object: (oid: string) => (job.granted ? job.granted.objects : this.#objects).get(oid),
      name: (name: string) => this.#nameFor(job, name),
      lateListing: this.ports.lateListing,
      undecided: (attempt: number) => this.#judged.has(attempt),
    };
    const first = job.conflicts === 0 && this.#attempts % 2 === 1;
    job.turn = new Turn(attempt, job.token, view, first);
    job.steps = job.turn.run(this.#opsOf(job));
    this.#step(job, '');
  }

  /** The receiver's name is a read of the turn like any other. */
  #opsOf(job: Job): Op[] {
    const target = job.run[3];
    return target === '' || target.startsWith('#') ? job.ops : [['get', target, 'hits'], ...job.ops];
  }

  #nameFor(job: Job, name: string): CachedName | undefined {
    if (job.granted) return job.granted.names.get(name);
    if (name === job.run[3] && job.targetKnown) return { oid: job.run[4], attempt: job.run[5] };
    return this.#names.get(name);
  }

  /** Runs the turn up to where it needs something. */
  #step(job: Job, input: string): void {
    if (this.#dead || job.stopped || job.steps === null || job.turn === null) return;
    try {
      const next = job.steps.next(input);
      if (next.done === true) this.#commit(job, job.turn, next.value);
      else this.#need(job, next.value);
    } catch (error) {
      if (!(error instanceof Doom)) throw error;
      this.#dead = true;
      this.ports.doom(error.kind, idOf(job.run[1], job.run[2]));
    }
  }

  #need(job: Job, need: Need): void {
    if ('service' in need) return this.#askService(job, need);
    if ('names' in need) return this.#askNames(job);
    const request = ++this.#requests;
    this.#loads.set(request, { job, turn: job.turn, private: job.granted !== null });
    this.ports.send([T.LOAD, request, 'object' in need ? [need.object as Oid] : [], 'name' in need ? [need.name] : []]);
  }

  #commit(job: Job, turn: Turn, body: CommitBody): void {
    const [, session, no] = job.run;
    for (const key of turn.touched()) job.touched.add(key);
    const reads = [...turn.reads.values()];
    this.ports.note({
      attempt: turn.attempt,
      session,
      no,
      reads,
      names: [...turn.names.values()],
      wrote: body[7][0] && turn.wrote,
      reply: body[7],
      fenced: false,
    });
    this.#show(turn);
    this.#judged.set(turn.attempt, { job, turn });
    this.ports.send([T.COMMIT, turn.attempt, session, no, pack(body)]);
    if (this.ports.random.chance(0.03)) this.#evict();
  }

  /** Makes drafts visible to the turns that come next: they stand, or fall, with this one. */
  #show(turn: Turn): void {
    for (const oid of turn.drafts.keys()) this.#showObject(turn, oid);
    for (const [name, oid] of turn.nameWrites) {
      this.#names.set(name, { oid, attempt: oid === null ? 0 : turn.attempt });
      const lobby = this.#objects.get(LOBBY);
      if (lobby) lobby.shape = turn.attempt;
    }
  }

  #showObject(turn: Turn, oid: string): void {
    const draft = turn.drafts.get(oid);
    if (draft === undefined) return;
    if (draft.creates) this.#objects.set(oid, { exists: true, shape: turn.attempt, parents: 0, slots: new Map() });
    const object = this.#objects.get(oid);
    if (object === undefined) return;
    for (const [slot, content] of draft.contents) {
      if (!draft.writes.has(slot)) continue;
      const known = object.slots.has(slot);
      if (content === undefined) object.slots.delete(slot);
      else object.slots.set(slot, { attempt: turn.attempt, content });
      if (content === undefined || !known) object.shape = turn.attempt;
      if (slot.endsWith('*')) object.parents = turn.attempt;
    }
  }

  #hide(turn: Turn): void {
    for (const oid of turn.drafts.keys()) this.#drop(oid);
    for (const name of turn.nameWrites.keys()) this.#names.delete(name);
    if (turn.nameWrites.size > 0) this.#drop(LOBBY);
  }

  #drop(oid: string): void {
    if (this.#objects.delete(oid)) this.ports.send([T.DROPPED, [oid as Oid]]);
  }

  /** The cache is bounded: anything may go at any time. */
  #evict(): void {
    const oids = [...this.#objects.keys()];
    if (oids.length > 0) this.#drop(this.ports.random.pick(oids));
  }

  // ---- what the kernel says --------------------------------------------------------------------------------------------------

  #verdict([, attempt, verdict, stale]: Verdict): void {
    const judged = this.#judged.get(attempt);
    if (judged === undefined) return;
    this.#judged.delete(attempt);
    const { job, turn } = judged;
    if (verdict === VERDICT.ACCEPTED) return this.#finish(job);
    this.#hide(turn);
    for (const key of stale) this.#forget(job, key);
    if (verdict === VERDICT.VOID) return this.#finish(job);
    if (verdict === VERDICT.GRANTED) return;
    job.conflicts++;
    if (job.conflicts < this.limits.maxRetries)
      return this.ports.after(this.ports.random.below(this.limits.retryJitterMs + 1), () => this.#again(job));
    if (job.granted !== null && ++job.widenings > this.limits.grantWidenings) return this.#decline(job);
    job.granted = null;
    this.ports.send([T.GRANT_REQUEST, job.run[1], job.run[2], [...job.touched]]);
  }

  #forget(job: Job, key: string): void {
    if (!key.startsWith('=')) return this.#drop(key);
    this.#names.delete(key.slice(1));
    if (key.slice(1) === job.run[3]) job.targetKnown = false;
  }

  #finish(job: Job): void {
    job.stopped = true;
    this.#jobs.delete(idOf(job.run[1], job.run[2]));
  }

  #decline(job: Job): void {
    this.ports.send([T.DECLINED, job.run[1], job.run[2], new TelosError('CONFLICT', 'too many conflicts').toWire()]);
    this.#finish(job);
  }

  #again(job: Job | undefined): void {
    if (job === undefined || job.stopped || this.#dead) return;
    this.#start(job);
  }

  #granted(job: Job | undefined): void {
    if (job === undefined) return;
    job.granted = { objects: new Map(), names: new Map() };
    this.#again(job);
  }

  #stop(id: string): void {
    const job = this.#jobs.get(id);
    if (job) this.#finish(job);
  }

  #loaded([, request, objects, names]: Loaded): void {
    const load = this.#loads.get(request);
    this.#loads.delete(request);
    for (const [oid, shape, parents, rows] of objects) {
      const object = objectOf(shape, parents, rows);
      if (load?.private === true) load.job.granted?.objects.set(oid, object);
      if (this.#objects.has(oid)) continue;
      this.#objects.set(oid, object.exists || load?.private !== true ? copyOf(object) : object);
      // What it has committed and the kernel had not seen when it answered belongs on top (H1).
      for (const { turn } of this.#judged.values()) this.#showObject(turn, oid);
    }
    for (const [name, oid, attempt] of names) {
      if (load?.private === true) load.job.granted?.names.set(name, { oid, attempt });
      else if (!this.#names.has(name)) this.#names.set(name, { oid, attempt });
    }
    // What an earlier try of the message asked for is of no concern to the present one.
    if (load && load.turn === load.job.turn) this.#step(load.job, '');
  }

  #changed([, oid, shape, parents, changes]: Changed): void {
    const object = this.#objects.get(oid);
    if (object === undefined) return;
    object.exists = true;
    // With what it has itself added or removed on top the listing is not the one that the kernel speaks of.
    if (!this.#judged.has(object.shape)) object.shape = shape;
    if (!this.#judged.has(object.parents)) object.parents = parents;
    for (const [slot, attempt, , removed, content] of changes) {
      if (removed) object.slots.delete(slot);
      else object.slots.set(slot, { attempt, content: keep(content) });
    }
  }

  #named([, name, oid, attempt]: Named): void {
    if (this.#names.has(name)) this.#names.set(name, { oid, attempt });
  }

  // ---- services ------------------------------------------------------------------------------------------------------------

  #askNames(job: Job): void {
    const [, session, no] = job.run;
    const request = ++this.#requests;
    this.#services.set(request, { job, turn: job.turn, key: '' });
    this.ports.send([T.SERVICE, request, session, no, `names|${request}`, 'kernel', 'names', pack([])]);
  }

  #askService(job: Job, { service, question, key }: { service: string; question: string; key: string }): void {
    const [, session, no] = job.run;
    const known = job.recorded.get(key);
    if (known !== undefined) return this.#giveEffect(job, key, known);
    const request = ++this.#requests;
    this.#services.set(request, { job, turn: job.turn, key });
    this.ports.send([T.SERVICE, request, session, no, key, service, 'ask', pack([question])]);
  }

  #served(request: number, ok: boolean, body: Content): void {
    const waiting = this.#services.get(request);
    if (waiting === undefined) return;
    this.#services.delete(request);
    const { job, turn, key } = waiting;
    if (job.stopped || turn !== job.turn) return;
    if (key === '') return this.#step(job, Buffer.from(body as Uint8Array).toString('latin1'));
    if (!ok) return this.#step(job, 'unavailable');
    job.recorded.set(key, keep(body));
    this.#giveEffect(job, key, body);
  }

  #giveEffect(job: Job, key: string, body: Content): void {
    const text = body instanceof Uint8Array ? Buffer.from(body).toString('hex') : String(body);
    this.ports.effect(`message ${idOf(job.run[1], job.run[2])} ${key}`, text);
    this.#step(job, text);
  }
}

const keep = (content: Content): Content => (content instanceof Uint8Array ? Uint8Array.from(content) : content);
const copyOf = (object: CachedObject): CachedObject => ({ ...object, slots: new Map(object.slots) });

function objectOf(shape: Attempt, parents: Attempt, rows: SlotRow[] | null): CachedObject {
  const object: CachedObject = { exists: rows !== null, shape, parents, slots: new Map() };
  for (let i = 0; rows !== null && i < rows.length; i += 4) {
    object.slots.set(rows[i] as string, { attempt: rows[i + 1] as number, content: keep(rows[i + 3] as Content) });
  }
  return object;
}
