/**
 * One end of a link over a simulated wire, by the rules of protocol/frames.ts: numbered WORK frames, heartbeats with the last number,
 * a gap or too long a silence breaks it. Envelopes of one tick share a frame.
 */
import { pack, unpack } from '../../protocol/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import { SIGNAL } from '../../protocol/frames.js';
import { SilenceJudge } from '../../actors/supervisor/silence.js';
import type { Frame, SimProcess, Wire, WireEnd } from './process.js';

export interface LinkHandlers {
  ready(data: unknown[]): void;
  work(envelope: unknown): void;
  /** After the envelopes of one frame. */
  batch?(): void;
  /** What still comes on a link that was given up. */
  late?(envelope: unknown): void;
  refused?(error: unknown[]): void;
  goodbye?(): void;
  lost(why: string): void;
}

export interface LinkTimes {
  readonly heartbeatIntervalMs: number;
  readonly liveness: number;
}

export class SimLink {
  #lane: Envelope[] = [];
  #sent = 0;
  #received = 0;
  #flushing = false;
  #judge: SilenceJudge;
  lost = false;

  constructor(
    private readonly process: SimProcess,
    private readonly wire: Wire,
    private readonly end: WireEnd,
    private readonly times: LinkTimes,
    private readonly handlers: LinkHandlers,
  ) {
    const interval = times.heartbeatIntervalMs;
    this.#judge = new SilenceJudge({ intervalMs: interval, liveness: times.liveness, firstMs: interval * times.liveness * 2 }, process.clock.now);
    end.onFrame = (frame) => this.#receive(frame);
    end.onClosed = () => this.#break('closed');
    this.#beat();
  }

  ready(data: unknown[]): void {
    this.#transmit(SIGNAL.READY, data);
  }

  refuse(error: unknown[]): void {
    this.#transmit(SIGNAL.REFUSED, error);
  }

  goodbye(): void {
    this.#flush();
    this.#transmit(SIGNAL.GOODBYE, []);
  }

  send(envelope: Envelope): boolean {
    if (this.lost) return false;
    this.#lane.push(envelope);
    if (!this.#flushing) {
      this.#flushing = true;
      this.process.after(0, () => this.#flush());
    }
    return true;
  }

  /** Closes the wire; `lost` is not called. */
  close(): void {
    this.lost = true;
    this.wire.end();
  }

  #flush(): void {
    this.#flushing = false;
    if (this.lost || this.#lane.length === 0) return;
    this.#transmit(SIGNAL.WORK, [++this.#sent, ...this.#lane]);
    this.#lane = [];
  }

  #transmit(signal: number, data: unknown[]): void {
    if (!this.lost) this.wire.send(this.end, { signal, bytes: pack(data) });
  }

  #beat(): void {
    this.process.after(this.#judge.tickMs, () => {
      if (this.lost) return;
      if (this.#judge.tick(this.process.clock.now) > 0) return this.#break('silent');
      this.#flush();
      this.#transmit(SIGNAL.HEARTBEAT, [this.#sent]);
      this.#beat();
    });
  }

  #break(why: string): void {
    if (this.lost) return;
    this.lost = true;
    if (this.handlers.late === undefined) this.wire.end();
    this.handlers.lost(why);
  }

  #receiveLate({ signal, bytes }: Frame): void {
    if (signal === SIGNAL.WORK) for (const envelope of (unpack(bytes) as unknown[]).slice(1)) this.handlers.late?.(envelope);
  }

  #receive(frame: Frame): void {
    if (this.lost) return this.#receiveLate(frame);
    const { signal, bytes } = frame;
    this.#judge.heard(this.process.clock.now);
    const data = unpack(bytes) as unknown[];
    switch (signal) {
      case SIGNAL.READY:
        return this.handlers.ready(data);
      case SIGNAL.HEARTBEAT:
        if (data[0] !== this.#received) this.#break('gap');
        return;
      case SIGNAL.WORK:
        if (data[0] !== this.#received + 1) return this.#break('gap');
        this.#received++;
        for (let i = 1; i < data.length; i++) this.handlers.work(data[i]);
        this.handlers.batch?.();
        return;
      case SIGNAL.REFUSED:
        return this.handlers.refused?.(data);
      case SIGNAL.GOODBYE:
        return this.handlers.goodbye?.();
    }
  }
}
