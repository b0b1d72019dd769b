/**
 * The kernel's process: wires the kernel (a state machine) to journal, sockets, workers and guardian. It decides nothing about messages.
 *
 *   P1  Nobody is let in before the kernel has recovered; workers boot meanwhile.
 *   P2  What a peer sends that is malformed ends that peer's link. An error of our own in the kernel ends this life: the journal is what is true.
 *   P3  When the storage fails nobody is answered any more: this life ends, and the next one opens the journal anew.
 *   P4  Stop: workers first, in order; then what they committed is written; then links and journal are closed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  curveKeyPair,
  LinkServer,
  MAGIC,
  PROTOCOL_VERSION,
  T,
  TelosError,
  type Hello,
  type LinkServerHandlers,
  type PeerId,
  type Welcome,
} from '../../protocol/index.js';
import { genesisCommit } from '../../runtime/genesis/index.js';
import { createKeys, removeEndpoint, writeEndpoint, imagePaths } from '../../runtime/image/index.js';
import { roomAgain } from '../../runtime/journal/index.js';
import { Kernel, type KernelPorts } from '../../runtime/kernel/index.js';
import type { Log, Reports } from '../../runtime/process/index.js';
import { Admission } from './admission.js';
import { steadyNow } from './clock.js';
import { Incarnations } from './incarnations.js';
import { EXIT, type KernelLifeConfig, type KernelReport } from './kernel-life.js';
import { auditLive } from './live-audit.js';
import { admitClients, openStorage } from './opening.js';
import { Peers } from './peers.js';
import { describeStatus, Rates } from './status.js';
import type { Storage } from './storage.js';
import { Workers } from './workers.js';

const TICK_MS = 20;
const LOOK_MS = 1000;
const DRAIN_MS = 5;
const LINK_CLOSE_MS = 500;
const LAST_CLOSE_MS = 1000;

export class KernelProcess {
  readonly #admission = new Admission();
  readonly #workers: Workers;
  readonly #startedAt = steadyNow();
  readonly #rates = new Rates(steadyNow());
  readonly #timers: NodeJS.Timeout[] = [];
  #storage!: Storage;
  #kernel!: Kernel;
  #link!: LinkServer;
  #peers!: Peers;
  #phase: 'starting' | 'serving' | 'stopping' | 'over' = 'starting';
  #readOnly = false;
  #settled: (error: TelosError | null) => void = () => undefined;
  #quarantineBusyAt = 0;

  constructor(
    private readonly settings: KernelLifeConfig,
    private readonly log: Log,
    private readonly reports: Reports,
  ) {
    const { config, imageDir } = settings;
    this.#workers = new Workers({
      imageDir,
      logs: imagePaths(imageDir).logs,
      config,
      admission: this.#admission,
      log,
      hooks: {
        ask: ({ peer }, deadlineMs) => this.#link.sendControl(peer, [T.SHUTDOWN, deadlineMs]),
        gone: (life) => this.#peers.gone(life),
        isBusy: ({ id }) => (this.#kernel.core.router.hosts.get(id)?.messages.size ?? 0) > 0,
        ended: () => void this.#finish(),
        changed: () => this.#lookAtStart(),
      },
    });
  }

  // ---- start -------------------------------------------------------------------------------------------------------------------

  /** @throws TelosError what keeps the image from being served */
  async start(): Promise<void> {
    const { imageDir, config, port } = this.settings;
    const times: Record<string, number> = {};
    const mark = (what: string): void => void (times[what] = Math.round(performance.now()));
    mark('configured');
    const keys = await createKeys(imageDir, curveKeyPair);
    const hostsStarted = new Promise<TelosError | null>((resolve) => (this.#settled = resolve));
    this.#workers.begin();
    this.#storage = await openStorage(this.settings, this.log, (error) => this.#fatal(error));
    this.#readOnly = this.#storage.journal.readOnly;
    mark('opened');
    await admitClients(this.#admission, keys, this.#storage);
    const incarnations = new Incarnations(this.#storage.journal);
    await this.#recover();
    mark('recovered');
    this.#link = await LinkServer.bind(this.#linkOptions(port, keys.server), this.#handlers());
    await writeEndpoint(imageDir, this.#link.endpoint, keys.server.publicKey);
    this.#workers.open({
      endpoint: this.#link.endpoint,
      serverKey: keys.server.publicKey,
      nextIncarnation: () => incarnations.take(),
    });
    this.#timers.push(
      setInterval(() => this.#tick(), TICK_MS),
      setInterval(() => this.#look(), LOOK_MS),
    );
    if (this.#readOnly) this.#timers.push(setInterval(() => void this.#lookForRoom(), config.kernel.readOnlyRetryMs));
    mark('bound');
    this.#report({ type: 'open' });
    const failure = await hostsStarted;
    if (failure && this.settings.restarts === 0) throw failure;
    if (failure) this.log('error', 'no-host', { error: failure });
    if (this.#phase !== 'starting') return;
    this.#phase = 'serving';
    this.#report({ type: 'ready', endpoint: this.#link.endpoint, port: Number(new URL(this.#link.endpoint).port) });
    mark('ready');
    this.log('info', 'ready', { endpoint: this.#link.endpoint, msSinceSpawn: times });
  }

  async #recover(): Promise<void> {
    const { config } = this.settings;
    this.#kernel = new Kernel(config, this.#storage.journal.identity, this.#ports(), {}, this.#readOnly);
    this.#peers = new Peers({
      kernel: this.#kernel,
      workers: this.#workers,
      admission: this.#admission,
      log: this.log,
      welcome: (peer) => this.#welcome(peer, 0, Infinity),
      broken: (error) => this.#fatal(TelosError.from(error)),
    });
    await new Promise<void>((resolve) => this.#kernel.recover(genesisCommit(), steadyNow(), resolve));
  }

  /** The port is there before `peers` is: nothing is called before the bind. */
  #handlers(): LinkServerHandlers {
    const peers = this.#peers;
    return {
      hello: (peer: PeerId, hello: Hello, key: string) => peers.hello(peer, hello, key),
      work: (peer, envelopes) => peers.work(peer, envelopes),
      lost: (peer, why) => peers.lost(peer, why),
      goodbye: (peer) => peers.goodbye(peer),
      unsent: (peer, envelope, error) => peers.unsent(peer, envelope, error),
      log: (level, event, data) => peers.log(level, event, data),
    };
  }

  #linkOptions(port: number, curve: { publicKey: string; secretKey: string }): Parameters<typeof LinkServer.bind>[0] {
    const { link } = this.settings.config;
    return {
      endpoint: `tcp://127.0.0.1:${port === 0 ? '*' : port}`,
      curve,
      admit: (key) => this.#admission.admits(key),
      heartbeatIntervalMs: link.heartbeatIntervalMs,
      liveness: link.liveness,
      maxFrameBytes: link.maxFrameBytes,
      laneLimit: link.laneEnvelopes,
    };
  }

  #lookAtStart(): void {
    if (this.#phase !== 'starting') return;
    const started = this.#workers.started();
    if (started !== false) this.#settled(started === true ? null : started);
  }

  // ---- the kernel's ports ---------------------------------------------------------------------------------------------------------

  #ports(): KernelPorts {
    return {
      toClient: (peer, envelope) => {
        if (!this.#link.send(peer, envelope)) this.#overflow(peer);
      },
      welcome: (peer, session) => this.#welcome(peer, session, this.settings.config.link.laneBytes),
      refuse: (peer, error) => this.#link.refuse(peer, error),
      toHost: (host, envelope) => this.#toWorker(host, (peer) => this.#link.send(peer, envelope)),
      toService: (worker, envelope) => this.#toWorker(worker, (peer) => this.#link.send(peer, envelope)),
      append: (group) =>
        this.#then(
          this.#storage.append(group),
          () => this.#kernel.appended(steadyNow()),
          (error) => this.#kernel.appendFailed(error, steadyNow()),
        ),
      read: (ticket, keys) =>
        this.#then(this.#storage.journal.getMany(keys), (values) => this.#kernel.readDone(ticket, values, steadyNow())),
      page: (ticket, range, limit) =>
        this.#then(this.#storage.journal.page(range, limit), (rows) =>
          this.#kernel.pageDone(ticket, rows, steadyNow()),
        ),
      external: (ticket, op) => this.#external(ticket, op),
      needQuarantine: () => this.#needQuarantine(),
      fatal: (error) => this.#fatal(error),
      log: this.log,
      wallNow: () => Date.now(),
    };
  }

  /** P3: an error of the storage, or of our own while we take its answer, is fatal. */
  #then<R>(
    work: Promise<R>,
    done: (result: R) => void,
    failed: (error: TelosError) => void = (error) => this.#fatal(error),
  ): void {
    const guarded = (step: () => void): void => {
      if (this.#phase === 'over') return;
      try {
        step();
      } catch (error) {
        this.#fatal(TelosError.from(error));
      }
    };
    work.then(
      (result) => guarded(() => done(result)),
      (error: unknown) => guarded(() => failed(TelosError.from(error, 'STORAGE_FAILED'))),
    );
  }

  #toWorker(id: number, send: (peer: PeerId) => boolean): void {
    const life = this.#workers.life(id);
    if (life === undefined || life.peer === 0 || send(life.peer)) return;
    if (life.joined) this.#workers.condemn(id, 'its lane is full');
  }

  /** A client that does not take its answers: it reconnects and gets them again. */
  #overflow(peer: PeerId): void {
    queueMicrotask(() => {
      this.#link.drop(peer);
      this.#peers.forget(peer);
    });
  }

  /** Clients are strangers: what waits for one is bounded in bytes too. What a worker is sent is bounded by what the kernel holds. */
  #welcome(peer: PeerId, session: number, maxLaneBytes: number): void {
    const { link, message } = this.settings.config;
    const { incarnation, imageId } = this.#storage.journal.identity;
    const welcome: Welcome = [
      MAGIC,
      PROTOCOL_VERSION,
      incarnation,
      imageId,
      session,
      link.heartbeatIntervalMs,
      link.liveness,
      link.maxFrameBytes,
      message.maxBodyBytes,
      message.window,
    ];
    this.#link.welcome(peer, welcome, maxLaneBytes);
  }

  #external(ticket: number, op: string): void {
    const done = (error: TelosError | null, value: unknown): void => {
      if (this.#phase === 'over') return;
      const now = steadyNow();
      this.#kernel.externalDone(ticket, error, value, now);
      this.#kernel.flush(now);
    };
    if (op === 'status') return done(null, this.#status());
    if (op === 'shutdown') {
      done(null, true);
      setImmediate(() => this.stop('a client asked for it'));
      return;
    }
    if (op === 'verify') {
      auditLive(this.settings).then(
        (report) => done(null, report),
        (error: unknown) => done(TelosError.from(error), null),
      );
      return;
    }
    done(new TelosError('NOT_UNDERSTOOD', `the kernel does not understand ${JSON.stringify(op)}`), null);
  }

  #status(): Record<string, unknown> {
    const { settings } = this;
    return describeStatus(
      {
        settings,
        endpoint: this.#link.endpoint,
        kernel: this.#kernel,
        journal: this.#storage.journal,
        workers: this.#workers.statuses(),
        rates: this.#rates,
        stopping: this.#phase === 'stopping',
        readOnly: this.#readOnly,
        startedAt: this.#startedAt,
      },
      steadyNow(),
    );
  }

  // ---- time -------------------------------------------------------------------------------------------------------------------------

  #tick(): void {
    try {
      this.#kernel.tick(steadyNow());
    } catch (error) {
      this.#fatal(TelosError.from(error));
    }
  }

  #look(): void {
    const { core } = this.#kernel;
    this.#rates.sample(steadyNow(), core.turnsAccepted, core.readsAnswered);
    const idle = performance.now() - this.#quarantineBusyAt > this.settings.config.supervisor.quarantineIdleMs;
    const quarantine = [...core.router.hosts.values()].find((host) => host.quarantine);
    if (quarantine === undefined) return;
    if (quarantine.messages.size + core.router.suspectCount > 0) this.#quarantineBusyAt = performance.now();
    else if (idle) this.#workers.stopQuarantine();
  }

  #needQuarantine(): void {
    this.#quarantineBusyAt = performance.now();
    if (this.#phase === 'serving' || this.#phase === 'starting') this.#workers.startQuarantine();
  }

  async #lookForRoom(): Promise<void> {
    const { imageDir, config } = this.settings;
    try {
      if (await roomAgain(imageDir, config.journal.writeBufferBytes))
        await this.#end(EXIT.REOPEN, 'there is room on the disk again', true);
    } catch (error) {
      this.log('warn', 'room-check', { error });
    }
  }

  // ---- ends ---------------------------------------------------------------------------------------------------------------------------

  /** P4. Idempotent. */
  stop(why: string): void {
    if (this.#phase === 'stopping' || this.#phase === 'over') return;
    this.log('info', 'stop', { why });
    if (this.#phase === 'starting') return void this.#end(0, why, true);
    this.#phase = 'stopping';
    this.#workers.stop();
  }

  async #finish(): Promise<void> {
    if (this.#phase !== 'stopping') return;
    this.#kernel.flush(steadyNow());
    while (this.#kernel.core.groups.writing) {
      await sleep(DRAIN_MS);
      if (this.#isOver()) return;
      this.#kernel.flush(steadyNow());
    }
    await this.#link.close(LINK_CLOSE_MS);
    removeEndpoint(this.settings.imageDir);
    await this.#end(0, 'stopped in order', true);
  }

  #isOver(): boolean {
    return this.#phase === 'over';
  }

  /** P3 */
  #fatal(error: TelosError): void {
    if (this.#phase === 'over') return;
    this.log('error', 'fatal', { error });
    if (error.code === 'DAMAGED') this.#report({ type: 'failed', error: error.toWire() });
    const code = error.code === 'DAMAGED' ? EXIT.FAILED : error.code === 'INTERNAL' ? EXIT.INTERNAL : EXIT.REOPEN;
    void this.#end(code, error.toDisplay(), false);
  }

  /** Ends this process. What is not durable was not answered, so nothing is lost. */
  async #end(code: number, cause: string, planned: boolean): Promise<void> {
    if (this.#phase === 'over') return;
    this.#phase = 'over';
    for (const timer of this.#timers) clearInterval(timer);
    if (code !== 0) this.#report({ type: 'ending', cause, planned });
    this.#workers.close();
    const closed = this.#storage === undefined ? Promise.resolve() : this.#storage.close();
    await Promise.race([closed.catch((error: unknown) => this.log('error', 'close', { error })), sleep(LAST_CLOSE_MS)]);
    await this.reports.flushed();
    process.exit(code);
  }

  /** A start that failed: what was opened is closed. */
  async abandon(error: TelosError): Promise<void> {
    if (this.#phase === 'over') return;
    this.log('error', 'start-failed', { error });
    this.#report({ type: 'failed', error: error.toWire() });
    await this.#end(EXIT.FAILED, error.toDisplay(), false);
  }

  #report(report: KernelReport): void {
    this.reports.send(report);
  }
}
