/**
 * Owns: the worker processes of one kernel, their keys and incarnations, which peer is whose, and the supervision that decides on their lives.
 *
 *   X1  A worker's key is made for one life and admitted for that life only.
 *   X2  A worker is in `run/processes` before it gets its configuration.
 *   X3  A life that has lost its link is over: it is killed, and the next one greets anew. `gone` is called once for each that had joined.
 *   X4  A death with messages on board is charged to the messages: the kernel finds out which, in quarantine.
 */
import { randomBytes } from 'node:crypto';
import type { Config } from '../../config/index.js';
import { curveKeyPair, TelosError, type PeerId } from '../../protocol/index.js';
import { forgetProcess, noteProcess, type ProcessEntry } from '../../runtime/image/index.js';
import {
  logPath,
  MemoryWatch,
  NodeChild,
  rotateLog,
  tailOfLog,
  type ChildExit,
  type Log,
  type WorkerConfig,
  type WorkerRole,
} from '../../runtime/process/index.js';
import { hashToken, type Admission } from './admission.js';
import { statusOf, type Blame, type ChildState } from './core.js';
import { Supervisor } from './supervisor.js';
import { QUARANTINE, quarantineSpec, workerSpecs, type WorkerSpec } from './worker-specs.js';

const LOG_CHECK_MS = 5000;
const TOKEN_BYTES = 32;
/** Starts in a row that failed, after which nobody waits for a host any more. */
const HOPELESS_STARTS = 3;

/** One life of a worker process. Its id is the kernel's HostId. */
export interface WorkerLife {
  readonly id: number;
  readonly spec: WorkerSpec;
  readonly process: NodeChild;
  readonly publicKey: string;
  readonly secretKey: string;
  readonly token: string;
  /** 0 until it is configured. */
  incarnation: number;
  /** 0 while it has no link. */
  peer: PeerId;
  joined: boolean;
  entry: ProcessEntry | undefined;
}

export interface WorkerHooks {
  /** Sends the request to stop over its link. */
  ask(life: WorkerLife, deadlineMs: number): void;
  /** It had joined, and is over. */
  gone(life: WorkerLife): void;
  /** Are there messages on board? */
  isBusy(life: WorkerLife): boolean;
  /** All have ended after `stop`. */
  ended(): void;
  changed(): void;
}

/** What the kernel must have before a worker can greet it. */
export interface Meeting {
  readonly endpoint: string;
  readonly serverKey: string;
  nextIncarnation(): Promise<number>;
}

export interface WorkerStatus {
  readonly name: string;
  readonly role: WorkerRole;
  readonly pid: number;
  readonly incarnation: number;
  readonly state: ReturnType<typeof statusOf>;
  readonly restarts: number;
  readonly residentBytes: number;
  /** Of the last restart. */
  readonly cause: string;
}

export interface WorkersOptions {
  readonly imageDir: string;
  readonly logs: string;
  readonly config: Config;
  readonly admission: Admission;
  readonly log: Log;
  readonly hooks: WorkerHooks;
}

export class Workers {
  readonly #options: WorkersOptions;
  readonly #supervisor: Supervisor;
  readonly #lives = new Map<number, WorkerLife>();
  readonly #memory: MemoryWatch;
  readonly #logTimer: NodeJS.Timeout;
  /** Before `open` nobody can be ready, however long it takes. */
  readonly #patience: NodeJS.Timeout;
  readonly #meeting: Promise<Meeting>;
  #meet: (meeting: Meeting) => void = () => undefined;

  constructor(options: WorkersOptions) {
    const { config, log, hooks } = options;
    this.#options = options;
    this.#meeting = new Promise((resolve) => (this.#meet = resolve));
    this.#supervisor = new Supervisor(
      { strategy: 'one-for-one', children: workerSpecs(config) },
      {
        now: () => performance.now(),
        spawn: (child) => this.#spawn(child),
        ask: (child, deadlineMs) => this.#ask(child, deadlineMs),
        kill: (child) => this.#lives.get(child.life)?.process.kill(),
        log,
        ended: () => hooks.ended(),
        changed: () => hooks.changed(),
      },
    );
    this.#memory = new MemoryWatch(
      () => [...this.#lives.values()].map(({ process }) => process.pid),
      (pid, bytes) => this.#weigh(pid, bytes),
    );
    this.#logTimer = setInterval(() => this.#trimLogs(), LOG_CHECK_MS);
    this.#logTimer.unref();
    this.#patience = setInterval(() => this.#supervisor.dispatch({ type: 'renew' }), config.supervisor.startMs / 3);
  }

  /** Starts all of them; they boot while the kernel opens its journal, and wait for `open`. */
  begin(): void {
    this.#memory.start();
    this.#supervisor.dispatch({ type: 'begin' });
  }

  open(meeting: Meeting): void {
    clearInterval(this.#patience);
    this.#supervisor.dispatch({ type: 'renew' });
    this.#meet(meeting);
  }

  life(id: number): WorkerLife | undefined {
    return this.#lives.get(id);
  }

  /** The life has greeted under this peer. @throws TelosError SUPERSEDED when it is over, or has greeted before */
  joined(id: number, peer: PeerId): WorkerLife {
    const life = this.#lives.get(id);
    if (life === undefined || life.joined || life.peer !== 0)
      throw new TelosError('SUPERSEDED', `worker life ${id} is over, or has greeted before`);
    life.peer = peer;
    life.joined = true;
    this.#supervisor.dispatch({ type: 'ready', id: life.spec.id, life: id });
    return life;
  }

  /** Its link is lost, or it has said goodbye. */
  lost(id: number, why: string): void {
    const life = this.#lives.get(id);
    if (life === undefined) return;
    const stopping = this.#supervisor.child(life.spec.id)?.phase === 'stopping';
    const blame = this.#leave(life);
    if (!stopping) this.#supervisor.dispatch({ type: 'condemn', id: life.spec.id, life: id, cause: why, blame });
  }

  condemn(id: number, cause: string, blame?: Blame): void {
    const life = this.#lives.get(id);
    if (life === undefined) return;
    const why = blame ?? this.#blame(life);
    this.#supervisor.dispatch({ type: 'condemn', id: life.spec.id, life: id, cause, blame: why });
  }

  startQuarantine(): void {
    if (this.#supervisor.child(QUARANTINE)?.wanted === true) return;
    this.#supervisor.dispatch({ type: 'add', spec: quarantineSpec(this.#options.config) });
  }

  stopQuarantine(): void {
    if (this.#supervisor.child(QUARANTINE)?.wanted === true)
      this.#supervisor.dispatch({ type: 'drop', id: QUARANTINE });
  }

  /** In order; `hooks.ended` is called when nobody is left. */
  stop(): void {
    this.#supervisor.dispatch({ type: 'stop' });
  }

  close(): void {
    this.#memory.stop();
    clearInterval(this.#logTimer);
    clearInterval(this.#patience);
    for (const life of this.#lives.values()) life.process.kill();
  }

  /** How the hosts' start has come out: the error when none could be started, true when each has had its chance. */
  started(): true | false | TelosError {
    const hosts = this.#supervisor.children.filter(({ spec }) => spec.role === 'host');
    const running = hosts.filter(({ phase }) => phase === 'running').length;
    if (running === hosts.length) return true;
    const hopeless = (child: ChildState): boolean =>
      child.phase !== 'running' && !child.wasReady && child.restarts >= HOPELESS_STARTS;
    if (!hosts.every((child) => child.phase === 'running' || hopeless(child))) return false;
    return running > 0 || this.#startFailure(hosts[0] as ChildState);
  }

  #startFailure({ spec, cause }: ChildState): TelosError {
    const log = logPath(this.#options.logs, spec.id);
    const tail = tailOfLog(log);
    return new TelosError(
      'START_FAILED',
      `${spec.id} could not be started: ${cause}${tail === '' ? '' : `:\n${tail}`}`,
      { remedy: `see ${log}` },
    );
  }

  statuses(): WorkerStatus[] {
    return this.#supervisor.children
      .filter((child) => child.spec.id !== QUARANTINE || statusOf(child) !== 'stopped')
      .map((child) => {
        const life = this.#lives.get(child.life);
        const pid = life?.process.pid ?? 0;
        return {
          name: child.spec.id,
          role: child.spec.role as WorkerRole,
          pid,
          incarnation: life?.incarnation ?? 0,
          state: statusOf(child),
          restarts: child.restarts,
          residentBytes: this.#memory.latest(pid) ?? 0,
          cause: child.cause,
        };
      });
  }

  // ---- one life ------------------------------------------------------------------------------------------------------------------

  #spawn(child: ChildState): void {
    const spec = child.spec as WorkerSpec;
    const { publicKey, secretKey } = curveKeyPair();
    const process_ = new NodeChild({
      script: spec.script,
      nodeFlags: spec.nodeFlags,
      args: [spec.id, this.#options.imageDir],
      log: logPath(this.#options.logs, spec.id),
      onExit: (exit) => this.#exited(child.life, exit),
    });
    const life: WorkerLife = {
      id: child.life,
      spec,
      process: process_,
      publicKey,
      secretKey,
      token: randomBytes(TOKEN_BYTES).toString('hex'),
      incarnation: 0,
      peer: 0,
      joined: false,
      entry: undefined,
    };
    this.#lives.set(child.life, life);
    this.#configure(life).catch((error: unknown) => {
      this.#options.log('error', 'worker-configuration', { worker: spec.id, error });
      life.process.kill();
    });
  }

  async #configure(life: WorkerLife): Promise<void> {
    const { imageDir, admission, config } = this.#options;
    const [entry, meeting] = await Promise.all([noteProcess(imageDir, life.process.pid, life.spec.id), this.#meeting]);
    life.entry = entry;
    life.incarnation = await meeting.nextIncarnation();
    if (!this.#lives.has(life.id)) return this.#forget(life);
    const { role, id: name } = life.spec;
    const { incarnation, publicKey, secretKey, token } = life;
    admission.addWorker(publicKey, { life: life.id, role, incarnation, tokenHash: hashToken(token) });
    const { endpoint, serverKey } = meeting;
    const settings: WorkerConfig = {
      role,
      name,
      incarnation,
      endpoint,
      serverKey,
      publicKey,
      secretKey,
      token,
      imageDir,
      config,
    };
    life.process.tell(settings);
  }

  #ask(child: ChildState, deadlineMs: number): void {
    const life = this.#lives.get(child.life);
    if (life === undefined) return;
    if (life.joined) this.#options.hooks.ask(life, deadlineMs);
    else life.process.release();
  }

  #exited(id: number, exit: ChildExit): void {
    const life = this.#lives.get(id);
    if (life === undefined) return;
    this.#lives.delete(id);
    this.#options.admission.removeWorker(life.publicKey);
    this.#forget(life);
    const { joined } = life;
    const blame = this.#leave(life);
    this.#supervisor.dispatch({
      type: 'exited',
      id: life.spec.id,
      life: id,
      exit: joined && blame === 'message' ? { ...exit, blame } : exit,
    });
  }

  #forget(life: WorkerLife): void {
    if (life.entry) forgetProcess(this.#options.imageDir, life.entry);
  }

  /** X3. @returns who is to blame for its death */
  #leave(life: WorkerLife): Blame {
    const blame = this.#blame(life);
    if (!life.joined) return blame;
    life.joined = false;
    this.#options.hooks.gone(life);
    return blame;
  }

  #blame(life: WorkerLife): Blame {
    return life.joined && this.#options.hooks.isBusy(life) ? 'message' : 'child';
  }

  #weigh(pid: number, bytes: number): void {
    for (const life of this.#lives.values()) {
      if (life.process.pid !== pid || bytes <= life.spec.residentBytes) continue;
      this.condemn(life.id, `resident memory of ${bytes} bytes is over turn.resident_bytes ${life.spec.residentBytes}`);
    }
  }

  #trimLogs(): void {
    const { logs, config } = this.#options;
    for (const { spec } of this.#supervisor.children) rotateLog(logPath(logs, spec.id), config.supervisor.logBytes);
  }
}
