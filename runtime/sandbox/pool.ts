/**
 * Threads that try drafts, each once. The one importer of piscina.
 *
 * Owns: the threads, the queue before them, the deadline of each try. Doesn't own: what becomes of a draft.
 *
 *   T1  A thread sees one draft and is ended, whatever the draft did; a fresh one is started in its place.
 *   T2  What comes back is text and numbers, checked here; a thread that ends without a word is a `killed` draft, never an error of the pool.
 *   T3  At most `threads` run, at most `queue` wait; past that BUSY.
 */
import { MessageChannel } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { fromJson, TelosError } from '../../protocol/index.js';
import { ASSIGNABLE, functionText, GLOBAL_NAMES } from '../compartment/index.js';
import { PROBES } from '../turn/index.js';
import type { GuestTask } from './guest.js';
import { NO_EFFECTS, readReport } from './report.js';
import type { Tried } from './sandbox.js';
import type { ThreadSetting, ThreadTask } from './thread.js';
import type { SandboxLimits, SandboxReport, SandboxTask, Verdict } from './types.js';

export interface PoolOptions {
  /** Threads that are started ahead, and at most run. */
  readonly threads: number;
  readonly queue: number;
  /** From the moment when a thread takes a draft until it is ended, whatever it does, in ms. */
  readonly killAfterMs: number;
  readonly limits: SandboxLimits;
}

/** Heap of a thread beside the WebAssembly memory, MB. */
const HEAP_MB = 24;
const CANCELLED = 'it was cancelled';
const THREAD = fileURLToPath(new URL('./thread.js', import.meta.url));

const settingOf = ({ limits }: PoolOptions): ThreadSetting => ({
  limits,
  setting: { names: [...GLOBAL_NAMES], assignable: ASSIGNABLE, probes: [...PROBES], maxEffects: limits.effects },
});

const nothing = (verdict: Verdict, message: string): SandboxReport => ({
  verdict,
  value: null,
  error: { name: 'Error', message },
  effects: NO_EFFECTS,
  ms: 0,
  memoryBytes: 0,
});

export class SandboxPool {
  readonly #threads: Piscina;
  /** Drafts that run or wait. */
  #open = 0;
  /** Ends the drafts that no thread has taken yet. */
  readonly #waiting = new Set<(why: string) => void>();

  constructor(private readonly options: PoolOptions) {
    this.#threads = new Piscina({
      filename: THREAD,
      minThreads: options.threads,
      maxThreads: options.threads,
      // Bounded here: piscina counts threads that are being started as room.
      maxQueue: Infinity,
      concurrentTasksPerWorker: 1,
      env: { TELOS_SANDBOX: JSON.stringify(settingOf(options)) },
      argv: [],
      execArgv: [],
      resourceLimits: {
        maxOldGenerationSizeMb: HEAP_MB,
        maxYoungGenerationSizeMb: 4,
        codeRangeSizeMb: 8,
        stackSizeMb: 4,
      },
    });
    this.#threads.on('error', (error: Error) => this.#unprepared(error));
  }

  /** Tries one draft. `signal` ends it. @throws TelosError BUSY */
  async try(task: SandboxTask, signal?: AbortSignal): Promise<SandboxReport> {
    let guestTask: GuestTask;
    let source: string;
    try {
      source = functionText(task.source);
      guestTask = this.#guestTask(task);
    } catch (thrown) {
      return nothing('refused', TelosError.from(thrown, 'BAD_VALUE').message);
    }
    const tried = await this.#run(guestTask, source, signal);
    return typeof tried === 'string' ? nothing('killed', tried) : this.#judged(tried);
  }

  /**
   * A thread ended before it had a draft. Where threads are left they take what waits; else those that wait are told, and the next draft has
   * one started again.
   */
  #unprepared(error: Error): void {
    if (this.#threads.threads.length > 0) return;
    for (const end of [...this.#waiting]) end(`no thread could be prepared: ${error.message}`);
  }

  /** @throws TelosError BAD_VALUE for what is no form of a value */
  #guestTask({ self, args, recordings, time, seed }: SandboxTask): GuestTask {
    fromJson([Object.values(self), args, recordings.map(({ reply }) => reply)]);
    return JSON.parse(JSON.stringify({ self, args, recordings, time, seed })) as GuestTask;
  }

  #judged({ report, verdict, why, ms, memoryBytes }: Tried): SandboxReport {
    if (report === null) return { ...nothing(verdict, why), ms, memoryBytes };
    try {
      return { ...readReport(report), ms, memoryBytes };
    } catch (thrown) {
      return { ...nothing('killed', TelosError.from(thrown).message), ms, memoryBytes };
    }
  }

  /** The thread's word, or why there is none. */
  async #run(task: GuestTask, source: string, signal: AbortSignal | undefined): Promise<Tried | string> {
    const { threads, queue, killAfterMs } = this.options;
    if (signal?.aborted) return CANCELLED;
    if (this.#open >= threads + queue) throw busy(queue);
    this.#open++;
    const { port1, port2 } = new MessageChannel();
    const end = new AbortController();
    let why = '';
    const stop = (reason: string): void => {
      why ||= reason;
      end.abort();
    };
    const cancel = (): void => stop(CANCELLED);
    signal?.addEventListener('abort', cancel, { once: true });
    this.#waiting.add(stop);
    let word: Tried | undefined;
    let late: NodeJS.Timeout | undefined;
    port1.on('message', (message: 'begun' | Tried) => {
      if (message === 'begun') {
        this.#waiting.delete(stop);
        late = setTimeout(stop, killAfterMs, `it did not end within ${killAfterMs} ms`);
      } else {
        word = message;
        end.abort();
      }
    });
    try {
      const given: ThreadTask = { task, source, port: port2 };
      await this.#threads.run(given, { transferList: [port2], signal: end.signal });
      return 'the thread ended without a word';
    } catch (thrown) {
      if (word !== undefined) return word;
      return end.signal.aborted
        ? why
        : `the thread ended: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
    } finally {
      this.#open--;
      this.#waiting.delete(stop);
      clearTimeout(late);
      signal?.removeEventListener('abort', cancel);
      port1.close();
    }
  }

  async close(): Promise<void> {
    await this.#threads.destroy();
  }
}

const busy = (queue: number): TelosError =>
  new TelosError('BUSY', `${queue} drafts wait for a sandbox (sandbox.queue)`);
