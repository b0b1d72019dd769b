/**
 * What a send answers at once: a promise of the answer that can also be read as a stream of provisional parts, and cancelled.
 */
import type { Content, TelosError } from '../../protocol/index.js';
import type { Request, Sink } from './session.js';

export interface Part<T = unknown> {
  /** Counts from 1; 1 again means that the message is run anew and all parts before are void. */
  readonly part: number;
  readonly value: T;
}

/** What somebody who shows calls to a person (the REPL) wants to hear of them. */
export interface CallHooks {
  began?(call: Call, target: string, selector: string): void;
  part?(part: Part, target: string, selector: string): void;
  /** Awaited before an answer is handed over. */
  beforeAnswer?(): Promise<unknown> | undefined;
}

export interface CallHost {
  decode(body: Content): unknown;
  cancel(request: Request): void;
}

/** Parts that wait for a slow reader; past it the oldest are let go (they are provisional, the answer holds all). */
const MAX_PARTS = 4096;

/**
 * A promise with two more methods. `constructor` is Promise itself, so that `await` takes the engine's short way and `then`
 * answers plain promises.
 */
export class Call<T = unknown> extends Promise<T> implements Sink {
  private resolve!: (value: T) => void;
  private reject!: (error: Error) => void;
  private host!: CallHost;
  private request: Request | null = null;
  private stream: PartStream | null = null;
  /** Called once when settled: takes listeners away. */
  private cleanUp: (() => void) | null = null;
  private hooks: CallHooks | null = null;

  static begin<T>(host: CallHost, start: (sink: Sink) => Request, signal?: AbortSignal, hooks?: CallHooks): Call<T> {
    let resolve!: (value: T) => void;
    let reject!: (error: Error) => void;
    const call = new Call<T>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    call.resolve = resolve;
    call.reject = reject;
    call.host = host;
    if (hooks !== undefined) call.hooks = hooks;
    try {
      call.request = start(call);
      if (signal !== undefined) call.abortWith(signal);
    } catch (error) {
      reject(error as Error);
    }
    return call;
  }

  /** The parts of the answer as they come, until it is there. Ask for them at once: those that came before are gone. */
  partials(): AsyncIterableIterator<Part> {
    this.stream ??= new PartStream();
    if (this.request?.settled) this.stream.end();
    return this.stream;
  }

  /** Asks the kernel to let it be. The promise then fails with CANCELLED, or brings the answer if that was faster. */
  cancel(): void {
    if (this.request !== null) this.host.cancel(this.request);
  }

  /** Answered, failed or given up. */
  get isSettled(): boolean {
    return this.request === null || this.request.settled;
  }

  done(body: Content): void {
    try {
      const value = this.host.decode(body) as T;
      const hold = this.hooks?.beforeAnswer?.();
      if (hold === undefined) this.resolve(value);
      else void hold.finally(() => this.resolve(value));
    } catch (error) {
      this.reject(error as Error);
    }
    this.settled();
  }

  failed(error: TelosError): void {
    this.reject(error);
    this.settled();
  }

  partial(part: number, body: Content): void {
    const { stream, hooks, request } = this;
    if (stream === null && hooks?.part === undefined) return;
    const item = { part, value: this.host.decode(body) };
    hooks?.part?.(item, request?.target ?? '', request?.selector ?? '');
    stream?.push(item);
  }

  private abortWith(signal: AbortSignal): void {
    if (signal.aborted) return this.cancel();
    const abort = (): void => this.cancel();
    signal.addEventListener('abort', abort, { once: true });
    this.cleanUp = () => signal.removeEventListener('abort', abort);
    if (this.request?.settled) this.cleanUp();
  }

  private settled(): void {
    this.stream?.end();
    this.cleanUp?.();
  }
}
void Object.defineProperty(Call.prototype, 'constructor', { value: Promise, configurable: true, writable: true });

/** A bounded queue between one writer and its readers. */
class PartStream implements AsyncIterableIterator<Part> {
  private readonly parts: Part[] = [];
  /** Calls of `next` that found nothing, first come first served. */
  private readonly waiting: ((result: IteratorResult<Part>) => void)[] = [];
  private ended = false;

  push(part: Part): void {
    const next = this.waiting.shift();
    if (next !== undefined) {
      next({ value: part, done: false });
      return;
    }
    if (this.parts.length >= MAX_PARTS) this.parts.shift();
    this.parts.push(part);
  }

  end(): void {
    this.ended = true;
    for (const next of this.waiting.splice(0)) next({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<Part>> {
    const part = this.parts.shift();
    if (part !== undefined) return Promise.resolve({ value: part, done: false });
    if (this.ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => void this.waiting.push(resolve));
  }

  return(): Promise<IteratorResult<Part>> {
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
