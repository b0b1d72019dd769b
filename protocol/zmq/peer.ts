/** One connection at the server: its state, its lease, and what waits to be sent to it, in order. */
import { Lease } from '../link.js';
import { heartbeatFrame, Lane, SIGNAL_PART, type Parts } from './frame.js';
import type { LinkServerHandlers, LinkServerOptions, PeerId } from './types.js';

/** unknown: has not greeted. greeted: waits for welcome or refuse. shut: refused, dropped or lost. */
export type PeerState = 'unknown' | 'greeted' | 'up' | 'shut';

export class Peer {
  id: PeerId = 0;
  state: PeerState = 'unknown';
  /** Whether the present id was handed to the `hello` handler. */
  announced = false;
  /** The key under which it greeted, proved by some connection. */
  greetedAs = '';
  lease: Lease;
  readonly lane: Lane;
  readonly signals: Parts[] = [];
  /** A heartbeat is due. */
  beat = false;
  /** A frame that ZeroMQ had no room for: it goes first. */
  unsent: Parts | undefined;
  /** Its buffers are full; a timer will try again. */
  blocked = false;
  private shutAt = 0;

  constructor(
    readonly routing: Buffer,
    readonly key: string,
    private readonly options: LinkServerOptions,
    now: number,
    handlers: Pick<LinkServerHandlers, 'log' | 'unsent'>,
  ) {
    this.lease = new Lease(options, now);
    this.lane = new Lane(options.laneLimit, options.maxFrameBytes, (envelope, error) => {
      handlers.log('error', 'link.envelope-too-large', { peer: this.id, message: error.message });
      if (this.state === 'up') handlers.unsent(this.id, envelope, error);
    });
  }

  greet(id: PeerId, now: number): void {
    this.reset(now);
    this.id = id;
    this.state = 'greeted';
  }

  letIn(now: number, maxLaneBytes: number): void {
    this.lease = new Lease(this.options, now);
    this.lane.maxBytes = maxLaneBytes;
    this.state = 'up';
  }

  shut(now: number): void {
    this.reset(now);
    this.state = 'shut';
    this.shutAt = now;
  }

  /** Whether a greeting comes too soon after the peer was shut out. */
  deaf(now: number): boolean {
    return this.state === 'shut' && now - this.shutAt < this.options.heartbeatIntervalMs;
  }

  hasPending(): boolean {
    return this.unsent !== undefined || this.signals.length > 0 || (this.state === 'up' && this.lane.length > 0);
  }

  /** The next message to send; each is handed out once. */
  next(): Parts | undefined {
    const { unsent } = this;
    if (unsent !== undefined) {
      this.unsent = undefined;
      return unsent;
    }
    const signal = this.signals.shift();
    if (signal !== undefined) return signal;
    if (this.state !== 'up') return undefined;
    const body = this.lane.nextFrame(() => ++this.lease.sent);
    if (body !== undefined) return [SIGNAL_PART.WORK, body];
    if (!this.beat) return undefined;
    this.beat = false;
    return heartbeatFrame(this.lease.sent);
  }

  private reset(now: number): void {
    this.id = 0;
    this.announced = false;
    this.lease = new Lease(this.options, now);
    this.lane.clear();
    this.signals.length = 0;
    this.beat = false;
    this.unsent = undefined;
  }
}
