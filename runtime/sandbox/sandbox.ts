/**
 * One try of one draft, in a QuickJS of its own. Loaded in the threads of the pool: it imports as little as it can.
 *
 * Owns: the engine, for one draft. Doesn't own: the thread that it runs in, and the deadline by which that is ended (pool.ts): QuickJS asks for
 * its time only between instructions, so a built-in that outstays it is told at its end, and one that does not end is stopped from outside.
 */
import { guest, type GuestSetting, type GuestTask } from './guest.js';
import { freshEngine, type QuickJSContext, type QuickJSHandle } from './quickjs.js';
import type { SandboxLimits } from './types.js';

/** Jobs (settled promises) between two looks at the clock. */
const JOBS_AT_ONCE = 256;

/** What leaves the thread. `report`: the guest's own text, not looked at here. Without one the draft was ended, and why. */
export interface Tried {
  readonly report: string | null;
  readonly verdict: 'refused' | 'killed';
  readonly why: string;
  readonly ms: number;
  readonly memoryBytes: number;
}

type Engine = Awaited<ReturnType<typeof freshEngine>>;

/** An engine that is ready for one draft: its realm is locked. */
export class Sandbox {
  /** When the draft began; before, no time is counted. */
  #begun = Number.POSITIVE_INFINITY;
  readonly #context: QuickJSContext;
  readonly #guest: QuickJSHandle;
  #late = false;

  private constructor(
    private readonly engine: Engine,
    private readonly limits: SandboxLimits,
    setting: GuestSetting,
  ) {
    const runtime = engine.engine.newRuntime();
    runtime.setMaxStackSize(limits.stackBytes);
    runtime.setInterruptHandler(() => this.#isLate());
    this.#context = runtime.newContext();
    this.#guest = this.#evaluate(`(${guest.toString()})()`, 'guest.js');
    this.#call(this.#guest, 'prepare', this.#context.newString(JSON.stringify(setting)));
  }

  static async prepare(limits: SandboxLimits, setting: GuestSetting): Promise<Sandbox> {
    return new Sandbox(await freshEngine(limits.memoryBytes), limits, setting);
  }

  /** Runs one draft to its end. Whatever it does, there is an answer; the sandbox is of no use after it. */
  try(task: GuestTask, source: string): Tried {
    this.#begun = performance.now();
    try {
      return this.#run(task, source);
    } catch (thrown) {
      // Out of memory or out of stack inside the engine: it can't be gone on with, and is not.
      return this.#killed(thrown);
    }
  }

  #run(task: GuestTask, source: string): Tried {
    const made = this.#guest;
    this.#call(made, 'begin', this.#context.newString(JSON.stringify(task)));
    let draft: QuickJSHandle;
    try {
      draft = this.#evaluate(`"use strict"; (${source}\n)`, 'method.js');
    } catch (thrown) {
      // It was read before, by a parser that knows more of the language.
      return this.#isLate() ? this.#killed(thrown) : this.#without('refused', messageOf(thrown));
    }
    this.#call(made, 'start', draft);
    return this.#toItsEnd(made);
  }

  #toItsEnd(made: QuickJSHandle): Tried {
    for (;;) {
      const text = this.#report(made, false);
      if (text !== '') return this.#with(text);
      const ran = this.#context.runtime.executePendingJobs(JOBS_AT_ONCE);
      if (ran.error) return this.#killed(new Error(this.#shown(ran.error)));
      if (ran.value === 0) return this.#with(this.#report(made, true));
      if (this.#isLate()) return this.#killed(undefined);
    }
  }

  #report(made: QuickJSHandle, stalled: boolean): string {
    const context = this.#context;
    return context.getString(this.#call(made, 'report', stalled ? context.true : context.false));
  }

  #with(report: string): Tried {
    if (this.#isLate()) return this.#killed(undefined);
    const { reportChars } = this.limits;
    if (report.length > reportChars)
      return this.#without('killed', `its report has ${report.length} characters of at most ${reportChars}`);
    return { ...this.#without('killed', ''), report };
  }

  #isLate(): boolean {
    return (this.#late ||= performance.now() - this.#begun > this.limits.runTimeMs);
  }

  #without(verdict: 'refused' | 'killed', why: string): Tried {
    const ms = performance.now() - this.#begun;
    return { report: null, verdict, why, ms, memoryBytes: this.engine.memory.buffer.byteLength };
  }

  /** The engine could not go on, or its time is over. */
  #killed(thrown: unknown): Tried {
    return this.#without('killed', this.#late ? `it ran for more than ${this.limits.runTimeMs} ms` : messageOf(thrown));
  }

  #evaluate(source: string, file: string): QuickJSHandle {
    const result = this.#context.evalCode(source, file, { strict: true });
    if (result.error) throw new Error(this.#shown(result.error));
    return result.value;
  }

  #call(made: QuickJSHandle, name: string, argument: QuickJSHandle): QuickJSHandle {
    const result = this.#context.callFunction(this.#context.getProp(made, name), made, argument);
    if (result.error) throw new Error(this.#shown(result.error));
    return result.value;
  }

  #shown(error: QuickJSHandle): string {
    const text = this.#context.getProp(error, 'message');
    return this.#context.typeof(text) === 'string' ? this.#context.getString(text).slice(0, 1000) : 'it failed';
  }
}

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
