/**
 * One subscription to change notices: established anew after every greeting, with credit given back as notices are taken.
 * Pure, like session.ts.
 *
 * Invariants:
 *   S1  The kernel is never granted more notices than `credit` beyond those taken.
 *   S2  Whoever listens is told (`gap`) when notices may be missing: after a reconnect, or when the parts do not count up.
 *   S3  What a full lane did not take is offered again (`stuck`, `retry`) until the link is lost: no subscription falls silent, and
 *       none that has ended stays with the kernel.
 */
import { T, TelosError, type FromClient, type Notice, type Unsubscribed } from '../../protocol/index.js';

export interface NoticeSink {
  /** A durable turn changed what is watched. `changes`: [oid, [slot, …], …] */
  notice(seq: number, time: number, changes: (string | string[])[]): void;
  /** Notices may have been missed before the next one. */
  gap?(): void;
  /** The subscription ended: by `end()` or `close()`, or with this error since the kernel refused it. */
  ended?(error?: TelosError): void;
}

export class Subscription {
  private nextPart = 1;
  private takenSinceCredit = 0;
  private missed = false;
  private ended = false;
  /** A greeting is in force, so there is somebody to send to. */
  private linked = false;
  private established = false;
  /** The lane was full: `retry` is to be called at the next tick. */
  stuck = false;

  constructor(
    readonly no: number,
    readonly pattern: string,
    private readonly credit: number,
    private readonly sink: NoticeSink,
    private readonly send: (envelope: FromClient) => boolean,
    private readonly forget: () => void,
  ) {}

  /** Called at each greeting. */
  establish(): void {
    if (this.ended) return this.forget();
    this.nextPart = 1;
    this.takenSinceCredit = 0;
    this.linked = true;
    this.established = this.send([T.SUBSCRIBE, this.no, this.pattern, this.credit]);
    this.stuck = !this.established;
  }

  interrupted(): void {
    this.missed = true;
    this.linked = false;
    this.stuck = false;
    if (this.ended) this.forget();
  }

  retry(): void {
    if (this.ended) this.takeLeave();
    else if (this.established) this.giveBack();
    else this.establish();
  }

  onNotice([, , part, seq, time, changes]: Notice): void {
    if (this.ended) return;
    if (part !== this.nextPart) this.missed = true;
    this.nextPart = part + 1;
    if (this.missed) this.sink.gap?.();
    this.missed = false;
    this.sink.notice(seq, time, changes);
  }

  /** The listener is done with `count` notices: gives the credit back, half a window at a time. */
  taken(count: number): void {
    this.takenSinceCredit += count;
    this.giveBack();
  }

  private giveBack(): void {
    if (!this.linked || this.ended || this.takenSinceCredit * 2 < this.credit) return;
    this.stuck = !this.send([T.CREDIT, this.no, this.takenSinceCredit]);
    if (!this.stuck) this.takenSinceCredit = 0;
  }

  /** The kernel said no. */
  refused(error: TelosError): void {
    this.stuck = false;
    this.forget();
    if (this.ended) return;
    this.ended = true;
    this.sink.ended?.(error);
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    this.takeLeave();
    this.sink.ended?.();
  }

  /** The kernel forgets it too: when it is told, or when the link is lost. */
  private takeLeave(): void {
    this.stuck = this.linked && this.established && !this.send([T.UNSUBSCRIBE, this.no]);
    if (!this.stuck) this.forget();
  }
}

/** The subscriptions of one session, by number. */
export class Subscriptions {
  private next = 1;
  private readonly byNo = new Map<number, Subscription>();

  /** @param send false: there is no link, or its lane is full */
  constructor(private readonly send: (envelope: FromClient) => boolean) {}

  /** Something waits for room in the lane. */
  get stuck(): boolean {
    return [...this.byNo.values()].some(({ stuck }) => stuck);
  }

  add(pattern: string, credit: number, sink: NoticeSink, connected: boolean): Subscription {
    const no = this.next++;
    const one = new Subscription(no, pattern, credit, sink, this.send, () => this.byNo.delete(no));
    this.byNo.set(no, one);
    if (connected) one.establish();
    return one;
  }

  establish(): void {
    for (const one of this.byNo.values()) one.establish();
  }

  interrupted(): void {
    for (const one of this.byNo.values()) one.interrupted();
  }

  onNotice(notice: Notice): void {
    this.byNo.get(notice[1])?.onNotice(notice);
  }

  onRefused([, no, error]: Unsubscribed): void {
    this.byNo.get(no)?.refused(TelosError.fromWire(error));
  }

  retry(): void {
    for (const one of this.byNo.values()) if (one.stuck) one.retry();
  }

  end(): void {
    for (const one of [...this.byNo.values()]) one.end();
  }
}
