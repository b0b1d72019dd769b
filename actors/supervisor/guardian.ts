/**
 * The guardian: starts the kernel, starts it again when it dies, kills it when it falls silent, and does nothing else.
 *
 * Invariants:
 *   U1  One guardian an image (the lock `guardian`); what an earlier one left running is killed before a kernel starts.
 *   U2  A kernel is in `run/processes` before it gets its configuration, so none can be lost.
 *   U3  An error at the first start ends the guardian with that error; so does damage, or an image that this version may not touch, at any
 *       start. Everything else is tried again, within the budget at once, past it at the longest back-off.
 *   U4  The port of the first start is the port of all.
 *   U5  A guardian that stops says so in `run/processes`: one that is started meanwhile waits for its end instead of giving up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/index.js';
import { TelosError, type ErrorCode } from '../../protocol/index.js';
import {
  acquireLock,
  forgetProcess,
  killLeftovers,
  listProcesses,
  lockHolder,
  noteProcess,
  prepareImage,
  removeEndpoint,
  type ImagePaths,
  type Lock,
  type ProcessEntry,
} from '../../runtime/image/index.js';
import {
  createLog,
  logPath,
  NodeChild,
  rotateLog,
  tailOfLog,
  type ChildExit,
  type Log,
} from '../../runtime/process/index.js';
import type { ChildState, ExitReport } from './core.js';
import { EXIT, isReport, type KernelLifeConfig, type KernelReport } from './kernel-life.js';
import { SilenceJudge } from './silence.js';
import type { ChildSpec } from './spec.js';
import { Supervisor } from './supervisor.js';

const KERNEL_SCRIPT = fileURLToPath(new URL('./kernel-main.js', import.meta.url));
const LOG_CHECK_MS = 5000;
const LOCK_POLL_MS = 25;
/** Name under which a guardian that stops is noted, beside its own. */
const STOPPING = 'stopping';
/** The kernel stops its workers first, each with its own deadline. */
const KERNEL_SHUTDOWN_FACTOR = 3;

/** Starting again would not help, or would do harm. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'DAMAGED',
  'IMAGE_NEWER',
  'BAD_PATH',
  'BAD_CONFIG',
  'MISSING_DEPENDENCY',
]);

export interface GuardianOptions {
  readonly imageDir: string;
  readonly port: number;
  readonly config: Config;
  /** Called once, when the first kernel serves. */
  ready(endpoint: string): void;
}

interface KernelLife {
  readonly id: number;
  readonly process: NodeChild;
  judge: SilenceJudge | null;
  entry: ProcessEntry | undefined;
  failure: TelosError | null;
  ending: { readonly cause: string; readonly planned: boolean } | null;
}

const kernelSpec = ({ supervisor }: Config): ChildSpec => ({
  id: 'kernel',
  role: 'kernel',
  kind: 'transient',
  stage: 1,
  restarts: supervisor.restarts,
  windowMs: supervisor.restartWindowMs,
  backoffFirstMs: supervisor.backoffFirstMs,
  backoffMaxMs: supervisor.backoffMaxMs,
  // Opening a long journal may take its time: its heartbeats show that it is at it.
  startMs: Number.MAX_SAFE_INTEGER,
  shutdownMs: supervisor.shutdownMs * KERNEL_SHUTDOWN_FACTOR,
});

export class Guardian {
  readonly #options: GuardianOptions;
  readonly #supervisor: Supervisor;
  readonly #paths: ImagePaths;
  readonly #log: Log;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #ended: Promise<void>;
  #end: () => void = () => undefined;
  #life: KernelLife | null = null;
  #port: number;
  #everReady = false;
  #stopping: ProcessEntry | undefined;
  #error: TelosError | null = null;

  private constructor(options: GuardianOptions, paths: ImagePaths) {
    this.#options = options;
    this.#paths = paths;
    this.#port = options.port;
    this.#log = createLog('guardian', logPath(paths.logs, 'guardian'));
    this.#ended = new Promise((resolve) => (this.#end = resolve));
    this.#supervisor = new Supervisor(
      { strategy: 'one-for-one', children: [kernelSpec(options.config)] },
      {
        now: () => performance.now(),
        spawn: (child) => void this.#spawn(child),
        ask: () => this.#life?.process.tell({ type: 'stop' }),
        kill: () => this.#life?.process.kill(),
        log: this.#log,
        ended: () => this.#end(),
        changed: () => this.#endWithKernel(),
      },
    );
  }

  /**
   * Runs until the image is stopped.
   * @throws TelosError what kept the image from being served
   */
  static async run(options: GuardianOptions, started: (guardian: Guardian) => void): Promise<void> {
    const { imageDir } = options;
    const paths = prepareImage(imageDir);
    const lock = await takeLock(imageDir, options.config.supervisor.shutdownMs * (KERNEL_SHUTDOWN_FACTOR + 1));
    try {
      const guardian = new Guardian(options, paths);
      started(guardian);
      await guardian.#run();
    } finally {
      lock.release();
    }
  }

  async #run(): Promise<void> {
    const { imageDir, config } = this.#options;
    const me = await noteProcess(imageDir, process.pid, 'guardian');
    this.#log('info', 'guardian-start', { image: this.#paths.root });
    this.#timers.push(setInterval(() => this.#judge(), config.link.heartbeatIntervalMs / 2));
    this.#timers.push(setInterval(() => this.#trimLogs(), LOG_CHECK_MS));
    this.#supervisor.dispatch({ type: 'begin' });
    await this.#ended;
    for (const timer of this.#timers) clearInterval(timer);
    const left = await killLeftovers(imageDir);
    removeEndpoint(imageDir);
    for (const entry of [me, this.#stopping]) if (entry) forgetProcess(imageDir, entry);
    this.#log('info', 'guardian-end', { leftovers: left.length, error: this.#error });
    if (this.#error) throw this.#error;
  }

  /** Everything in order. Idempotent. */
  stop(why: string): void {
    if (this.#supervisor.phase === 'up') this.#sayStopping(why);
    this.#supervisor.dispatch({ type: 'stop' });
  }

  /** U5. Nothing depends on it that a full disk may not take away. */
  #sayStopping(why: string): void {
    this.#log('info', 'stop', { why });
    noteProcess(this.#options.imageDir, process.pid, STOPPING).then(
      (entry) => (this.#stopping = entry),
      (error: unknown) => this.#log('warn', 'stopping-note', { error }),
    );
  }

  /** What has not stopped in order by now is killed. */
  killAll(): void {
    this.#supervisor.dispatch({ type: 'killAll' });
  }

  // ---- lives of the kernel -----------------------------------------------------------------------------------------------------

  async #spawn(child: ChildState): Promise<void> {
    const { imageDir, config } = this.#options;
    try {
      const killed = await killLeftovers(imageDir);
      if (killed.length > 0)
        this.#log('warn', 'leftovers-killed', { processes: killed.map(({ name, pid }) => `${name} ${pid}`) });
    } catch (error) {
      this.#exited(child.life, null, { code: null, signal: null, cause: TelosError.from(error).message });
      return;
    }
    if (this.#supervisor.child('kernel')?.phase !== 'starting')
      return this.#exited(child.life, null, { code: 0, signal: null });
    const life = this.#start(child.life);
    life.entry = await noteProcess(imageDir, life.process.pid, 'kernel').catch((error: unknown) => {
      life.failure = TelosError.from(error, 'STORAGE_FAILED');
      life.process.kill();
      return undefined;
    });
    const { heartbeatIntervalMs, liveness } = config.link;
    life.judge = new SilenceJudge(
      { intervalMs: heartbeatIntervalMs, liveness, firstMs: config.supervisor.startMs },
      performance.now(),
    );
    const settings: KernelLifeConfig = {
      imageDir: this.#paths.root,
      port: this.#port,
      config,
      guardianPid: process.pid,
      restarts: child.restarts,
    };
    life.process.tell(settings);
  }

  #start(id: number): KernelLife {
    const process_ = new NodeChild({
      script: KERNEL_SCRIPT,
      args: [this.#paths.root],
      log: logPath(this.#paths.logs, 'kernel'),
      onReport: (value) => this.#heard(life, value),
      onExit: (exit) => this.#exited(id, life, exit),
    });
    const life: KernelLife = { id, process: process_, judge: null, entry: undefined, failure: null, ending: null };
    this.#life = life;
    return life;
  }

  #heard(life: KernelLife, value: unknown): void {
    if (!isReport(value)) return this.#log('warn', 'bad-report', { value });
    life.judge?.heard(performance.now());
    this.#take(life, value);
  }

  #take(life: KernelLife, report: KernelReport): void {
    switch (report.type) {
      case 'beat':
        return;
      case 'open':
        this.#supervisor.dispatch({ type: 'ready', id: 'kernel', life: life.id });
        return;
      case 'ready':
        this.#port = report.port;
        if (!this.#everReady) this.#options.ready(report.endpoint);
        this.#everReady = true;
        return;
      case 'failed':
        life.failure = TelosError.fromWire(report.error);
        return;
      case 'ending':
        life.ending = report;
        return;
    }
  }

  #exited(id: number, life: KernelLife | null, exit: ChildExit): void {
    this.#life = null;
    if (life?.entry) forgetProcess(this.#options.imageDir, life.entry);
    this.#error ??= this.#finalError(life, exit);
    if (this.#error) this.stop(this.#error.toDisplay());
    this.#supervisor.dispatch({ type: 'exited', id: 'kernel', life: id, exit: reportOf(life, exit) });
  }

  /** U3 */
  #finalError(life: KernelLife | null, exit: ChildExit): TelosError | null {
    const failure = life?.failure ?? null;
    if (failure) return !this.#everReady || FINAL.has(failure.code) ? failure : null;
    const killed = exit.signal !== null || exit.code === 0 || exit.code === EXIT.REOPEN;
    if (this.#everReady || killed || this.#supervisor.phase !== 'up') return null;
    const log = logPath(this.#paths.logs, 'kernel');
    const tail = tailOfLog(log);
    return new TelosError(
      'START_FAILED',
      `the kernel ended with ${exit.cause ?? `exit code ${String(exit.code)}`}${tail === '' ? '' : `:\n${tail}`}`,
      {
        remedy: `see ${log}`,
      },
    );
  }

  /** The kernel has ended well: somebody has asked it to stop. */
  #endWithKernel(): void {
    const kernel = this.#supervisor.child('kernel');
    if (this.#supervisor.phase === 'up' && kernel?.phase === 'absent' && !kernel.wanted)
      this.stop('the kernel was asked to stop');
  }

  // ---- watching ------------------------------------------------------------------------------------------------------------------

  #judge(): void {
    const life = this.#life;
    const silent = life?.judge?.tick(performance.now()) ?? 0;
    if (life === null || silent === 0) return;
    this.#supervisor.dispatch({
      type: 'condemn',
      id: 'kernel',
      life: life.id,
      cause: `silent for ${Math.round(silent)} ms`,
      blame: 'child',
    });
  }

  #trimLogs(): void {
    for (const name of ['guardian', 'kernel'])
      rotateLog(logPath(this.#paths.logs, name), this.#options.config.supervisor.logBytes);
  }
}

/** U5. @throws TelosError IMAGE_LOCKED */
async function takeLock(dir: string, patienceMs: number): Promise<Lock> {
  const end = performance.now() + patienceMs;
  for (;;) {
    try {
      return await acquireLock(dir, 'guardian');
    } catch (error) {
      const locked = error instanceof TelosError && error.code === 'IMAGE_LOCKED';
      if (!locked || performance.now() > end || !(await holderStops(dir))) throw error;
      await sleep(LOCK_POLL_MS);
    }
  }
}

async function holderStops(dir: string): Promise<boolean> {
  const holder = await lockHolder(dir, 'guardian');
  return holder === undefined || listProcesses(dir).some(({ pid, name }) => pid === holder && name === STOPPING);
}

function reportOf(life: KernelLife | null, exit: ChildExit): ExitReport {
  if (life?.ending) return { ...exit, cause: life.ending.cause, blame: life.ending.planned ? 'outside' : 'child' };
  if (life?.failure) return { ...exit, cause: life.failure.toDisplay() };
  return exit;
}
