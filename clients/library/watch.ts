/** Change notices as a program takes them: one at a time to a listener, or as an async iterator. Bounded by the credit. */
import { inspect } from 'node:util';
import type { TelosError } from '../../protocol/index.js';
import type { Connection } from './connection.js';
import type { Handle } from './handle.js';
import type { NoticeSink, Subscription } from './subscription.js';

export interface ImageNotice {
  /** The turn that changed it. */
  readonly seq: number;
  /** When it was committed, ms since the epoch. */
  readonly time: number;
  readonly changes: { readonly object: Handle; readonly oid: string; readonly slots: readonly string[] }[];
  /** Notices before this one may be missing: after a reconnect, or when the listener was too slow. */
  readonly gap: boolean;
}

export class Watch implements AsyncIterableIterator<ImageNotice>, NoticeSink {
  private readonly queue: ImageNotice[] = [];
  /** Calls of `next` that found nothing, first come first served. */
  private readonly waiting: ((result: IteratorResult<ImageNotice> | Promise<IteratorResult<ImageNotice>>) => void)[] =
    [];
  private hadGap = false;
  private over = false;
  private refusal: TelosError | null = null;
  private readonly subscription: Subscription;

  [inspect.custom](): string {
    return `[Watch of ${this.subscription.pattern}${this.over ? ', ended' : ''}]`;
  }

  constructor(
    private readonly connection: Connection,
    pattern: string,
    credit: number,
    private readonly handleTo: (oid: string) => unknown,
    listener?: (notice: ImageNotice) => unknown,
    onError: (error: unknown) => unknown = warn,
  ) {
    this.subscription = connection.session.subscribe(pattern, credit, this);
    if (this.subscription.stuck) connection.watch();
    if (listener !== undefined) void this.deliver(listener, onError);
  }

  notice(seq: number, time: number, flat: (string | string[])[]): void {
    const changes: ImageNotice['changes'] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) {
      const oid = flat[i] as string;
      changes.push({ object: this.handleTo(oid), oid, slots: flat[i + 1] as string[] });
    }
    const notice = { seq, time, changes, gap: this.hadGap };
    this.hadGap = false;
    const next = this.waiting.shift();
    if (next === undefined) {
      this.queue.push(notice);
      return;
    }
    this.taken();
    next({ value: notice, done: false });
  }

  gap(): void {
    this.hadGap = true;
  }

  ended(error?: TelosError): void {
    this.over = true;
    this.refusal = error ?? null;
    for (const next of this.waiting.splice(0)) next(this.end());
  }

  /** The first to hear of a refusal gets the error, as with any iterator that throws. */
  private end(): Promise<IteratorResult<ImageNotice>> {
    const { refusal } = this;
    this.refusal = null;
    return refusal === null ? Promise.resolve({ value: undefined, done: true }) : Promise.reject(refusal);
  }

  next(): Promise<IteratorResult<ImageNotice>> {
    const notice = this.queue.shift();
    if (notice !== undefined) {
      this.taken();
      return Promise.resolve({ value: notice, done: false });
    }
    if (this.over) return this.end();
    return new Promise((resolve) => void this.waiting.push(resolve));
  }

  private taken(): void {
    this.subscription.taken(1);
    if (this.subscription.stuck) this.connection.watch();
  }

  /** Ends the subscription. */
  close(): void {
    this.subscription.end();
    if (this.subscription.stuck) this.connection.watch();
  }

  return(): Promise<IteratorResult<ImageNotice>> {
    this.close();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Never rejects: what the listener throws ends nothing, and a refusal ends nothing but this. */
  private async deliver(
    listener: (notice: ImageNotice) => unknown,
    onError: (error: unknown) => unknown,
  ): Promise<void> {
    for (;;) {
      try {
        const next = await this.next();
        if (next.done === true) return;
        await listener(next.value);
      } catch (error) {
        await Promise.resolve(error).then(onError).catch(warn);
      }
    }
  }
}

/** Node prints it to standard error and goes on; `process.on('warning', …)` hears it. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : inspect(error));
}
