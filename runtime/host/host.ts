/**
 * The host: runs messages on objects that the kernel gave to it. Pure: state comes and goes through envelopes, time and chance through ports.
 *
 * Owns: the messages on this host, their retries. Doesn't own: what is true (the kernel), the cache (cache.ts, commits.ts), one try (runtime/turn).
 *
 *   H1  Every RUN ends in exactly one of: an accepted commit, DECLINED (retryable), or the kernel's word that nobody wants it (VOID, STOP_RUN).
 *   H2  Every try has an attempt id of its own, never used again.
 *   H3  A conflict is retried on fresh state; after `maxRetries` under a grant; after `grantWidenings` of those DECLINED.
 *   H4  Under a grant a message runs on accepted state only: on objects loaded for it alone.
 *   H5  Mailboxes are bounded: past the bound BUSY, and nothing has happened.
 */
import {
  makeAttempt,
  pack,
  T,
  VERDICT,
  writePlain,
  type Attempt,
  type Bytes,
  type CommitBody,
  type FromHost,
  type Oid,
  type Run,
  type SessionId,
  type TelosError,
  type ToHost,
  type Verdict,
} from '../../protocol/index.js';
import type { Config } from '../../config/index.js';
import { leaveMethods } from '../compartment/index.js';
import {
  Engine,
  firstStaleKey,
  keysOf,
  NO_WRITES,
  standardPrimitives,
  type Outcome,
  type Turn,
  type TurnPorts,
  type TurnWrites,
} from '../turn/index.js';
import { ObjectActors } from './actors.js';
import { ObjectCache } from './cache.js';
import { Commits } from './commits.js';
import { jobId, jobOf, keysIn, MAX_RESTARTS, type Job } from './job.js';
import { Loader } from './loader.js';
import type { HostPorts } from './ports.js';
import { PrivateView } from './private-view.js';
import { commitBytes, errorOnly, mailboxFull, starved, stopping } from './refusals.js';
import { ServiceRequests } from './service-requests.js';
import { Turnstile } from './turnstile.js';

export class Host {
  readonly #cache: ObjectCache;
  readonly #commits: Commits<Job>;
  readonly #loader: Loader;
  readonly #services: ServiceRequests;
  readonly #actors: ObjectActors<Job>;
  readonly #turnstile: Turnstile;
  readonly #turnPorts: TurnPorts;
  readonly #engine: Engine;
  readonly #jobs = new Map<string, Job>();
  #attempts = 0;
  #freeTurns = 0;
  #evicted: Oid[] = [];
  #stopping: (() => void) | null = null;
  readonly #counts = { turns: 0, conflicts: 0, grants: 0, declined: 0, failed: 0 };

  constructor(
    private readonly config: Config,
    private readonly incarnation: number,
    private readonly ports: HostPorts,
  ) {
    const { mailbox, batch, maxCachedObjects, maxCachedBytes } = config.host;
    this.#turnstile = new Turnstile(ports);
    this.#actors = new ObjectActors({
      mailbox,
      batch,
      handle: (job) => this.#handle(job),
      full: () => this.#turnstile.full(),
      failed: (oid, error) => ports.log('error', 'actor.failed', { oid, error: String(error) }),
    });
    const limits = { objects: maxCachedObjects, bytes: maxCachedBytes };
    this.#cache = new ObjectCache(limits, (oid) => this.#passivate(oid));
    this.#commits = new Commits(this.#cache, (oid) => this.#actors.retire(oid), this.#defer);
    const paced = { send: (envelope: FromHost) => ports.send(envelope), defer: this.#defer };
    this.#loader = new Loader(paced, (objects, names) => this.#commits.adopt(objects, names));
    this.#services = new ServiceRequests(paced, (session, no) => this.#jobs.get(jobId(session, no)));
    this.#turnPorts = {
      object: (oid) => this.#cache.use(oid),
      name: (name) => this.#cache.name(name),
      load: (oids, names, resume) => this.#loader.load(oids, names, resume),
      service: (request, resume) => this.#services.ask(request, resume),
      waiting: ({ session, no }) => this.#waits(session, no),
      compile: (source) => ports.compile(source),
      defer: (task) => ports.defer(task),
      afterMicrotasks: (task) => ports.afterMicrotasks(task),
    };
    this.#engine = this.#engineOn(this.#turnPorts);
  }

  /** For what may begin or go on with a turn. */
  readonly #defer = (task: () => void): void => this.#turnstile.defer(task);

  #engineOn(ports: TurnPorts): Engine {
    const { turn, message } = this.config;
    return new Engine(
      ports,
      { ...turn, maxBodyBytes: message.maxBodyBytes, maxValueDepth: message.maxDepth },
      standardPrimitives,
    );
  }

  // ---- from the kernel -----------------------------------------------------------------------------------------------------------

  receive(envelope: ToHost): void {
    switch (envelope[0]) {
      case T.RUN:
        return this.#run(envelope);
      case T.VERDICT:
        return this.#verdict(envelope);
      case T.LOADED:
        return this.#loader.loaded(envelope);
      case T.CHANGED:
        return this.#commits.changed(envelope);
      case T.NAMED:
        return this.#commits.named(envelope[1], envelope[2], envelope[3]);
      case T.GRANT:
        return this.#granted(envelope[1], envelope[2]);
      case T.RETRY:
        return this.#unblocked(envelope[1], envelope[2]);
      case T.STOP_RUN:
        return this.#stopRun(envelope[1], envelope[2]);
      case T.SERVICE_ANSWER:
        return this.#services.answered(envelope);
      case T.SHUTDOWN:
        return undefined;
    }
  }

  #run(run: Run): void {
    const job = jobOf(run);
    if (this.#stopping !== null) return this.#decline(job, stopping());
    if (this.#jobs.has(job.id)) {
      this.ports.log('warn', 'run.repeated', { id: job.id });
      return;
    }
    if (!this.#enqueue(job)) return this.#decline(job, mailboxFull(job, this.config.host.mailbox));
    this.#jobs.set(job.id, job);
  }

  #enqueue(job: Job): boolean {
    const { oid } = job;
    if (oid === null) {
      if (this.#freeTurns >= this.config.host.mailbox) return false;
      this.#freeTurns++;
      this.#defer(() => void this.#handle(job));
      return true;
    }
    if (this.#cache.peek(oid) === undefined) this.#loader.ahead(oid);
    return this.#actors.tell(oid, job);
  }

  #again(job: Job): void {
    if (job.state === 'done') return;
    job.state = 'queued';
    if (job.oid === null) this.#defer(() => void this.#handle(job));
    else this.#actors.again(job.oid, job);
  }

  #passivate(oid: Oid): void {
    this.#actors.retire(oid);
    this.#evicted.push(oid);
    if (this.#evicted.length === 1) this.ports.defer(() => this.ports.send([T.DROPPED, this.#evicted.splice(0)]));
  }

  // ---- one try -------------------------------------------------------------------------------------------------------------------

  /** Runs the message once. Settles when its object may go on: the turn has ended, or waits for a service. */
  #handle(job: Job): Promise<void> {
    if (job.state === 'done') return Promise.resolve();
    return new Promise((resolve) => {
      job.release = resolve;
      if (job.granted) void this.#tryGranted(job);
      else this.#try(job, this.#engine);
    });
  }

  #release(job: Job): void {
    job.release?.();
    job.release = null;
  }

  async #tryGranted(job: Job): Promise<void> {
    const view = new PrivateView(this.#loader, this.#turnPorts);
    const refused = await view.load([...job.keys]);
    if (job.state === 'done') return;
    if (refused) {
      this.#fail(job, refused);
      this.#release(job);
    } else this.#try(job, this.#engineOn(view.ports));
  }

  #try(job: Job, engine: Engine): void {
    job.state = 'running';
    const turn = engine.newTurn(job, this.#nextAttempt());
    job.turn = turn;
    void turn.run().then((outcome) => this.#ended(job, turn, outcome));
  }

  #nextAttempt(): Attempt {
    return makeAttempt(this.incarnation, ++this.#attempts);
  }

  #ended(job: Job, turn: Turn, outcome: Outcome): void {
    leaveMethods();
    const commits = job.state === 'running' && outcome.kind === 'reply' && !job.granted;
    if (commits && this.#commits.awaits(turn, () => this.#ended(job, turn, outcome))) return;
    job.turn = null;
    this.#counts.turns++;
    if (job.state === 'running') {
      if (outcome.kind === 'reply') this.#commit(job, turn, outcome.body);
      else if (outcome.kind === 'conflict') this.#conflict(job, [outcome.key, ...keysOf(turn)]);
      else if (outcome.kind === 'missing') this.#restart(job, turn, outcome);
    }
    this.#release(job);
  }

  /** Synchronous code needs what is not loaded. */
  #restart(job: Job, turn: Turn, { oids, names }: Extract<Outcome, { kind: 'missing' }>): void {
    const keys = [...keysOf(turn), ...oids, ...names.map((name) => `=${name}`)];
    if (++job.restarts > MAX_RESTARTS) {
      job.restarts = 0;
      this.#conflict(job, keys);
      return;
    }
    for (const key of keys) job.keys.add(key);
    job.state = 'queued';
    if (job.granted) this.#again(job);
    else this.#loader.load(oids, names, (refused) => (refused ? this.#fail(job, refused) : this.#again(job)));
  }

  /** The turn waits for a service: its object may handle other messages meanwhile. */
  #waits(session: SessionId, no: number): void {
    const job = this.#jobs.get(jobId(session, no));
    if (job !== undefined) this.#release(job);
  }

  // ---- commit and verdict -----------------------------------------------------------------------------------------------------------

  #commit(job: Job, turn: Turn, body: CommitBody): void {
    if (!job.granted && firstStaleKey(turn) !== undefined) return this.#conflict(job, keysOf(turn));
    const bytes = commitBytes(job, turn, body, this.config.link.maxFrameBytes);
    job.committed = body;
    if (turn.logged.length > 0) job.logged = turn.logged;
    this.#sendCommit(job, turn.attempt, turn.writes, bytes);
  }

  #sendCommit(job: Job, attempt: Attempt, writes: TurnWrites, bytes: Bytes): void {
    job.state = 'committed';
    this.#commits.add(attempt, job, writes, !job.granted);
    this.ports.send([T.COMMIT, attempt, job.session, job.no, bytes]);
  }

  /** Ends the message with an error that hangs on nothing that it read. */
  #fail(job: Job, error: TelosError): void {
    if (job.state === 'done') return;
    const body = errorOnly(error);
    job.committed = body;
    this.#sendCommit(job, this.#nextAttempt(), NO_WRITES, writePlain(body));
  }

  /** An envelope of this host fits no frame: whoever waits for it is told. A commit is measured before. */
  unsent(envelope: FromHost, error: TelosError): void {
    switch (envelope[0]) {
      case T.LOAD:
        return this.#loader.unsent(envelope, error);
      case T.SERVICE:
        return this.#services.answered([T.SERVICE_ANSWER, envelope[1], false, pack(error.toWire())]);
      case T.GRANT_REQUEST: {
        const job = this.#jobs.get(jobId(envelope[1], envelope[2]));
        return job === undefined ? undefined : this.#fail(job, error);
      }
      default:
        this.ports.log('error', 'envelope.unsent', { type: envelope[0], error: error.message });
    }
  }

  #verdict([, attempt, verdict, stale]: Verdict): void {
    const job = this.#commits.close(attempt, verdict === VERDICT.ACCEPTED);
    if (job === undefined) return;
    const wanted = job.state === 'committed';
    switch (verdict) {
      case VERDICT.ACCEPTED:
      case VERDICT.VOID:
        if (verdict === VERDICT.ACCEPTED) this.#log(job);
        if (wanted) this.#done(job);
        return;
      case VERDICT.GRANTED:
        if (wanted) job.state = 'blocked';
        return;
      case VERDICT.CONFLICT:
        this.#commits.dropStale(stale);
        if (wanted) this.#conflict(job, job.committed === null ? stale : [...stale, ...keysIn(job.committed)]);
        return;
    }
  }

  /** What methods said with image.log, once their turn counts. */
  #log({ logged, target, selector }: Job): void {
    if (logged.length > 0) this.ports.log('info', 'method.log', { target, selector, lines: logged });
  }

  #conflict(job: Job, keys: readonly string[]): void {
    this.#counts.conflicts++;
    for (const key of keys) job.keys.add(key);
    job.committed = null;
    job.conflicts++;
    const { maxRetries, retryJitterMs } = this.config.host;
    if (job.granted || job.conflicts > maxRetries) return this.#askGrant(job);
    job.state = 'queued';
    if (job.conflicts === 1) this.#again(job);
    else this.ports.later(this.ports.random() * retryJitterMs * job.conflicts, () => this.#again(job));
  }

  // ---- grants ------------------------------------------------------------------------------------------------------------------------

  #askGrant(job: Job): void {
    job.granted = false;
    if (job.grants > this.config.kernel.grantWidenings) return this.#decline(job, starved(job));
    job.grants++;
    this.#counts.grants++;
    job.state = 'asking';
    this.ports.send([T.GRANT_REQUEST, job.session, job.no, [...job.keys]]);
  }

  #granted(session: SessionId, no: number): void {
    const job = this.#jobs.get(jobId(session, no));
    if (job?.state !== 'asking') return;
    job.granted = true;
    this.#again(job);
  }

  #unblocked(session: SessionId, no: number): void {
    const job = this.#jobs.get(jobId(session, no));
    if (job?.state === 'blocked') this.#again(job);
  }

  // ---- ends ----------------------------------------------------------------------------------------------------------------------------

  #stopRun(session: SessionId, no: number): void {
    const job = this.#jobs.get(jobId(session, no));
    if (job === undefined) return;
    this.#done(job);
    job.turn?.abandon();
  }

  #decline(job: Job, error: TelosError): void {
    this.#counts.declined++;
    this.ports.send([T.DECLINED, job.session, job.no, error.toWire()]);
    this.#done(job);
  }

  #done(job: Job): void {
    job.state = 'done';
    if (!this.#jobs.delete(job.id)) return;
    if (job.oid === null) this.#freeTurns--;
    if (this.#stopping !== null && this.#jobs.size === 0) this.#stopping();
  }

  /** Takes no more messages; `idle` is called when the last one has ended. */
  stop(idle: () => void): void {
    this.#stopping = idle;
    if (this.#jobs.size === 0) idle();
  }

  // ---- what the process sees -------------------------------------------------------------------------------------------------------------

  stats(): Record<string, number> {
    return {
      objects: this.#cache.size,
      bytes: this.#cache.bytes,
      actors: this.#actors.count,
      messages: this.#jobs.size,
      commits: this.#commits.size,
      ...this.#counts,
    };
  }

  /** A promise was rejected and nobody listens: if it is a send of a running turn, the turn fails. */
  rejectionUnhandled(promise: object, reason: unknown): boolean {
    return this.#engine.rejectionUnhandled(promise, reason);
  }

  rejectionHandled(promise: object): void {
    this.#engine.rejectionHandled(promise);
  }
}
