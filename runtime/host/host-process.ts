/**
 * A host as a process: its link to the kernel, its compartment, its end. Started by host-main.ts.
 *
 * Lives and dies with its kernel: it ends when its life line closes, when the link is lost (the kernel has given it up by then), when it is
 * refused, and when another incarnation of the kernel greets it.
 */
import {
  checkToHost,
  LinkClient,
  MAGIC,
  PROTOCOL_VERSION,
  reconnectTimes,
  T,
  TelosError,
  type FromHost,
  type Hello,
  type ToHost,
  type Welcome,
} from '../../protocol/index.js';
import { Compiler, lockdownRealm } from '../compartment/index.js';
import { createLog, type Log, type WorkerConfig } from '../process/index.js';
import { Host } from './host.js';

/** Where the lane to the kernel is full, envelopes wait here and go out at this pace. */
const RESOLVED = Promise.resolve();
const RESEND_MS = 2;
/** Time for the last frames to leave. */
const LAST_WORDS_MS = 200;
const STATS_MS = 1000;

export class HostProcess {
  readonly #host: Host;
  readonly #link: LinkClient;
  readonly #log: Log;
  #kernelIncarnation = 0;
  #waiting: FromHost[] = [];
  #ending = false;

  constructor(private readonly worker: WorkerConfig) {
    const { config, name, incarnation, endpoint, serverKey, publicKey, secretKey } = worker;
    this.#log = createLog(name);
    const compiler = new Compiler({ cacheEntries: config.host.methodCache });
    this.#host = new Host(config, incarnation, {
      send: (envelope) => this.#send(envelope),
      compile: (source) => compiler.compile(source),
      clock: () => performance.now(),
      random: Math.random,
      defer: (task) => void setImmediate(task),
      // Not queueMicrotask: it makes an AsyncResource each time.
      afterMicrotasks: (task) => void RESOLVED.then(() => process.nextTick(task)),
      later: (ms, task) => void setTimeout(task, ms),
      log: this.#log,
    });
    this.#link = new LinkClient(
      {
        endpoint,
        curve: serverKey === '' ? null : { serverKey, publicKey, secretKey },
        hello: () => this.#hello(),
        kind: 'worker',
        reconnect: reconnectTimes('worker', config.link),
        heartbeatIntervalMs: config.link.heartbeatIntervalMs,
        liveness: config.link.liveness,
        maxFrameBytes: config.link.maxFrameBytes,
        laneLimit: config.link.laneEnvelopes,
      },
      {
        welcomed: (welcome) => this.#welcomed(welcome),
        work: (envelopes) => this.#work(envelopes),
        lost: (why) => this.end(1, `link lost: ${why}`),
        refused: (error) => this.end(1, `refused: ${error[0]} ${error[2]}`),
        unsent: (envelope, error) => this.#host.unsent(envelope as FromHost, error),
        log: (level, event, data) => this.#log(level, event, data as Record<string, unknown>),
      },
    );
  }

  /** Libraries are loaded: from here on the realm is locked, and the kernel may send messages. */
  start(): void {
    lockdownRealm();
    process.on('unhandledRejection', (reason, promise) => {
      if (!this.#host.rejectionUnhandled(promise, reason))
        this.#log('warn', 'rejection.unhandled', { error: String(reason) });
    });
    process.on('rejectionHandled', (promise) => this.#host.rejectionHandled(promise));
    this.#link.open();
    setInterval(() => this.#tellStats(), STATS_MS).unref();
  }

  #hello(): Hello {
    const { role, incarnation, publicKey, token, name } = this.worker;
    return [MAGIC, PROTOCOL_VERSION, role, incarnation, publicKey, token, 0, name, []];
  }

  #welcomed(welcome: Welcome): void {
    const incarnation = welcome[2];
    if (this.#kernelIncarnation !== 0 && this.#kernelIncarnation !== incarnation)
      this.end(1, `kernel ${incarnation} greets, mine was ${this.#kernelIncarnation}`);
    this.#kernelIncarnation = incarnation;
  }

  #work(envelopes: readonly unknown[]): void {
    for (const envelope of envelopes) this.#receive(checkToHost(envelope));
  }

  #receive(envelope: ToHost): void {
    if (envelope[0] === T.SHUTDOWN) this.#shutdown(envelope[1]);
    else this.#host.receive(envelope);
  }

  #shutdown(deadlineMs: number): void {
    const late = setTimeout(() => this.end(0, 'stopped at the deadline'), Math.max(0, deadlineMs - LAST_WORDS_MS));
    late.unref();
    this.#host.stop(() => this.end(0, 'stopped in order'));
  }

  /** Not worth a place among those that wait. */
  #tellStats(): void {
    if (this.#waiting.length === 0)
      this.#link.send([T.HOST_STATS, { ...this.#host.stats(), rss: process.memoryUsage.rss() }]);
  }

  #send(envelope: FromHost): void {
    if (this.#waiting.length === 0 && this.#link.send(envelope)) return;
    if (!this.#link.connected || this.#ending) return;
    const most = this.worker.config.link.laneEnvelopes;
    if (this.#waiting.length >= most)
      this.end(1, `${most} envelopes wait for room in a full lane (link.lane_envelopes): the kernel takes nothing`);
    this.#waiting.push(envelope);
    if (this.#waiting.length === 1) setTimeout(() => this.#resend(), RESEND_MS);
  }

  #resend(): void {
    let sent = 0;
    while (sent < this.#waiting.length && this.#link.send(this.#waiting[sent] as FromHost)) sent++;
    this.#waiting = this.#waiting.slice(sent);
    if (this.#waiting.length > 0) setTimeout(() => this.#resend(), RESEND_MS);
  }

  /** Says goodbye if it can, and exits. */
  end(code: number, why: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#log(code === 0 ? 'info' : 'warn', 'host.end', { why });
    const exit = (): never => process.exit(code);
    if (code !== 0) exit();
    setTimeout(exit, LAST_WORDS_MS).unref();
    void this.#link.goodbye().then(exit, exit);
  }

  /** For faults of the host itself. */
  fault(error: unknown): void {
    this.#log('error', 'host.fault', { error: TelosError.from(error) });
    this.end(1, 'a fault of the host');
  }
}
