/**
 * Evaluates lines of the session, with top-level await and variables that live on, by Node's own REPL evaluation in this process.
 * (Nothing of it reaches the image but what is sent: methods, turns and arguments.)
 *
 * Owns: the calls of the line that runs, and its interruption.
 *
 *   V1  One line at a time.
 *   V2  An interrupted line answers at once: with the kernel's verdict on its calls if that comes soon, else without.
 */
import repl, { type REPLServer } from 'node:repl';
import { TelosError } from '../../protocol/index.js';
import { Call } from '../library/index.js';
import type { Names } from './names.js';

export type Outcome =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'error'; readonly error: unknown }
  /** The line is not complete: more is to come. */
  | { readonly kind: 'more'; readonly error: Error };

type NodeCallback = (error: Error | null, result: unknown) => void;
/** How long the kernel's verdict on a cancelled call is waited for. */
const VERDICT_MS = 1000;
const MAX_CALLS = 1000;

/** Internal of Node's REPL: errors thrown by a line arrive here and not at the callback. */
interface WithDomain {
  _domain?: { removeAllListeners(event: 'error'): void; on(event: 'error', listener: (error: unknown) => void): void };
}

export class Evaluator {
  private readonly original: REPLServer['eval'];
  private calls: Call[] = [];
  private current: NodeCallback | null = null;
  private interruptWait: (() => void) | null = null;
  private interrupted = false;

  constructor(
    private readonly server: REPLServer,
    private readonly names: Names,
    /** Errors that no line waits for: of timers, of event handlers. */
    private readonly onStray: (error: unknown) => void,
  ) {
    this.original = server.eval.bind(server);
    const domain = (server as WithDomain)._domain;
    domain?.removeAllListeners('error');
    domain?.on('error', (error) => this.onThrown(error));
  }

  get running(): boolean {
    return this.current !== null || this.interruptWait !== null;
  }

  /** To be called for every call of the session. */
  noteCall(call: Call): void {
    if (this.calls.length >= MAX_CALLS) this.calls = this.calls.filter(({ isSettled }) => !isSettled);
    this.calls.push(call);
  }

  /** Sends CANCEL for all that the line waits for. True when the line waits for a call itself and not inside its code. */
  interrupt(): boolean {
    this.interrupted = true;
    for (const call of this.calls) if (!call.isSettled) call.cancel();
    if (this.interruptWait === null) return false;
    this.interruptWait();
    return true;
  }

  async run(code: string): Promise<Outcome> {
    this.interrupted = false;
    this.calls = [];
    try {
      const outcome = await this.evaluate(code);
      if (outcome.kind !== 'value' || !(outcome.value instanceof Call))
        return this.interrupted ? await this.afterInterrupt(outcome) : outcome;
      return await this.answerOf(outcome.value);
    } finally {
      this.names.end();
    }
  }

  private evaluate(code: string): Promise<Outcome> {
    return new Promise((resolve) => {
      const callback: NodeCallback = (error, value) => {
        if (this.current !== callback) return;
        this.current = null;
        if (error === null || error === undefined) resolve({ kind: 'value', value });
        else if (error instanceof repl.Recoverable) resolve({ kind: 'more', error });
        else resolve({ kind: 'error', error: isInterrupt(error) ? interrupted() : error });
      };
      this.current = callback;
      this.original.call(this.server, code, this.server.context, 'telos', callback);
    });
  }

  private onThrown(error: unknown): void {
    if (this.current === null) this.onStray(error);
    else this.current(error as Error, undefined);
  }

  /** A line whose value is a call is a question: its answer is the line's. */
  private async answerOf(call: Call): Promise<Outcome> {
    const stopped = new Promise<'stopped'>((resolve) => {
      this.interruptWait = () => resolve('stopped');
    });
    try {
      const first = await Promise.race([settled(call), stopped]);
      return first === 'stopped' ? await this.afterInterrupt({ kind: 'error', error: null }) : first;
    } finally {
      this.interruptWait = null;
    }
  }

  /** The line was interrupted: what became of its calls? */
  private async afterInterrupt(outcome: Outcome): Promise<Outcome> {
    const last = this.calls.at(-1);
    if (last === undefined) return outcome.kind === 'error' ? { kind: 'error', error: interrupted() } : outcome;
    const verdict = await Promise.race([settled(last), later(VERDICT_MS)]);
    if (verdict !== undefined) return verdict;
    const error = new TelosError('OUTCOME_UNKNOWN', 'interrupted, and the kernel has not confirmed it', {
      remedy: 'look with .history before you send again',
    });
    return { kind: 'error', error };
  }
}

const isInterrupt = (error: Error): boolean => 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED';
const interrupted = (): TelosError => new TelosError('CANCELLED', 'interrupted', { remedy: '' });

const settled = (call: Call): Promise<Outcome> =>
  call.then(
    (value): Outcome => ({ kind: 'value', value }),
    (error: unknown): Outcome => ({ kind: 'error', error }),
  );

const later = (ms: number): Promise<undefined> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms).unref();
  });
