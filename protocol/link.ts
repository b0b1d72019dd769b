/**
 * One link between two processes, without sockets, clock or timers: what the Paranoid Pirate rules say at each event. The same
 * code runs at both ends, over ZeroMQ (zmq/) and in simulation.
 *
 *   L1  frames are numbered from 1 on each greeting; a number that is not the next one, and a heartbeat that does not carry the
 *       last one, break the link: nothing after a gap is ever delivered.
 *   L2  a peer is silent only over time in which the judge itself ran: after a late tick all leases are renewed.
 *   L3  a lost link is greeted anew after a back-off; never two greetings are under way.
 *   L4  after `close` nothing happens any more.
 *   L5  the end that greets keeps the times of the welcome: two configurations can not disagree about who is silent.
 */

export interface LinkTimes {
  readonly heartbeatIntervalMs: number;
  /** Intervals of silence after which a peer is lost. */
  readonly liveness: number;
}

export interface ReconnectTimes {
  readonly firstMs: number;
  /** Longest pause in the first `soonForMs` after the loss. */
  readonly soonMaxMs: number;
  readonly soonForMs: number;
  /** Longest pause after that. */
  readonly maxMs: number;
}

export type LinkKind = 'worker' | 'client';

export const RECONNECT: Readonly<Record<LinkKind, ReconnectTimes>> = {
  worker: { firstMs: 100, soonMaxMs: 500, soonForMs: 10_000, maxMs: 5000 },
  client: { firstMs: 100, soonMaxMs: 500, soonForMs: 10_000, maxMs: 32_000 },
};

/** The keys of the configuration's group `link` that say how to reconnect. */
export interface ReconnectConfig {
  readonly reconnectFirstMs: number;
  readonly reconnectSoonMaxMs: number;
  readonly reconnectSoonForMs: number;
  readonly reconnectWorkerMaxMs: number;
  readonly reconnectClientMaxMs: number;
}

export function reconnectTimes(kind: LinkKind, link: ReconnectConfig): ReconnectTimes {
  return {
    firstMs: link.reconnectFirstMs,
    soonMaxMs: link.reconnectSoonMaxMs,
    soonForMs: link.reconnectSoonForMs,
    maxMs: kind === 'worker' ? link.reconnectWorkerMaxMs : link.reconnectClientMaxMs,
  };
}

/** How often whoever drives a link calls `tick`. */
export const tickEveryMs = ({ heartbeatIntervalMs }: LinkTimes): number =>
  Math.max(5, Math.floor(heartbeatIntervalMs / 4));
export const silenceMs = ({ heartbeatIntervalMs, liveness }: LinkTimes): number => heartbeatIntervalMs * liveness;

/** Notices that this process itself did not run for a while (sleep, SIGSTOP, a long turn). */
export class Judge {
  private last: number;

  constructor(
    private readonly times: LinkTimes,
    now: number,
  ) {
    this.last = now;
  }

  /** True when the tick is late by more than one interval: what was not heard meanwhile says nothing about the peers. */
  tick(now: number): boolean {
    const late = now - this.last > tickEveryMs(this.times) + this.times.heartbeatIntervalMs;
    this.last = now;
    return late;
  }
}

/** What one end keeps of one established link: numbers sent and received, when the peer was heard, when to say something. */
export class Lease {
  /** Number of the last frame sent. */
  sent = 0;
  private received = 0;
  private heardAt: number;
  private spokeAt: number;

  constructor(
    private readonly times: LinkTimes,
    now: number,
  ) {
    this.heardAt = now;
    this.spokeAt = now;
  }

  /** Called for each frame of the peer, and for every peer after a late tick (L2). */
  heard(now: number): void {
    this.heardAt = now;
  }

  silent(now: number): boolean {
    return now - this.heardAt > silenceMs(this.times);
  }

  /** Whether a WORK frame of this number is the next one. */
  takeWork(no: number): boolean {
    if (no !== this.received + 1) return false;
    this.received = no;
    return true;
  }

  /** Whether a heartbeat with this number shows that nothing was lost. */
  takeHeartbeat(no: number): boolean {
    return no === this.received;
  }

  get lastReceived(): number {
    return this.received;
  }

  heartbeatDue(now: number): boolean {
    if (now - this.spokeAt < this.times.heartbeatIntervalMs) return false;
    this.spokeAt = now;
    return true;
  }
}

/** The pauses between attempts: doubling, short at first, each at most a quarter shorter by chance so that peers spread out. */
export class Backoff {
  private lostAt: number | undefined;
  private pause = 0;

  constructor(
    private readonly times: ReconnectTimes,
    private readonly random: () => number,
  ) {}

  /** Milliseconds to wait before the next attempt. */
  next(now: number): number {
    this.lostAt ??= now;
    const longest = now - this.lostAt < this.times.soonForMs ? this.times.soonMaxMs : this.times.maxMs;
    this.pause = Math.min(longest, this.pause === 0 ? this.times.firstMs : this.pause * 2);
    return this.spread(this.pause);
  }

  longest(): number {
    return this.spread(this.times.maxMs);
  }

  reset(): void {
    this.lostAt = undefined;
    this.pause = 0;
  }

  private spread(pause: number): number {
    return Math.round(pause * (1 - this.random() / 4));
  }
}

/** What the driver of a ClientLink is to do, in order. */
export type LinkEffect =
  | { readonly do: 'connect' }
  | { readonly do: 'disconnect' }
  | { readonly do: 'greet' }
  | { readonly do: 'heartbeat' }
  | { readonly do: 'up' }
  | { readonly do: 'lost'; readonly why: string };

export type ClientState = 'closed' | 'waiting' | 'connecting' | 'greeting' | 'up';

const NOTHING: readonly LinkEffect[] = [];

/** The end that greets. Each method is one event and answers what to do. */
export class ClientLink {
  private phase: ClientState = 'closed';
  private lease: Lease;
  private judge: Judge;
  private readonly backoff: Backoff;
  /** When to connect (waiting), or when to give the attempt up (connecting, greeting). */
  private until = 0;

  /** @param times until the first welcome; then those that the peer named, so that both ends keep the same */
  constructor(
    private times: LinkTimes,
    reconnect: ReconnectTimes,
    random: () => number,
    now: number,
  ) {
    this.lease = new Lease(times, now);
    this.judge = new Judge(times, now);
    this.backoff = new Backoff(reconnect, random);
  }

  get state(): ClientState {
    return this.phase;
  }

  /** Milliseconds until `tick` is to be called next. */
  dueIn(now: number): number {
    const every = tickEveryMs(this.times);
    return this.phase === 'waiting' ? Math.min(every, Math.max(1, this.until - now)) : every;
  }

  /** Number for the next WORK frame. */
  nextFrame(): number {
    return ++this.lease.sent;
  }

  open(now: number): readonly LinkEffect[] {
    if (this.phase !== 'closed') return NOTHING;
    this.judge.tick(now);
    return this.connect(now);
  }

  /** The transport is there (in CURVE: the keys are agreed on). */
  connected(now: number): readonly LinkEffect[] {
    if (this.phase !== 'connecting') return NOTHING;
    this.phase = 'greeting';
    this.until = now + silenceMs(this.times);
    return [{ do: 'greet' }];
  }

  /** @param times of the peer's welcome */
  welcomed(now: number, times: LinkTimes = this.times): readonly LinkEffect[] {
    if (this.phase !== 'greeting') return NOTHING;
    this.phase = 'up';
    this.times = times;
    this.judge = new Judge(times, now);
    this.lease = new Lease(this.times, now);
    this.backoff.reset();
    return [{ do: 'up' }];
  }

  /** False: the frame is not to be delivered; the link is then broken, see `broken`. */
  work(no: number, now: number): boolean {
    if (this.phase !== 'up') return false;
    this.lease.heard(now);
    return this.lease.takeWork(no);
  }

  heartbeat(no: number, now: number): readonly LinkEffect[] {
    if (this.phase !== 'up') return NOTHING;
    this.lease.heard(now);
    if (this.lease.takeHeartbeat(no)) return NOTHING;
    return this.broken(`a heartbeat names frame ${no} after frame ${this.lease.lastReceived}`, now);
  }

  get lastReceived(): number {
    return this.lease.lastReceived;
  }

  /** What a heartbeat names: number of the last WORK frame that was sent. */
  get lastSent(): number {
    return this.lease.sent;
  }

  /** The transport broke, a frame was lost or malformed, or the peer said that the link is over. */
  broken(why: string, now: number): readonly LinkEffect[] {
    return this.fail(why, now, this.backoff.next(now));
  }

  /** The peer does not let this one in: tried again, but seldom. */
  refused(why: string, now: number): readonly LinkEffect[] {
    return this.fail(why, now, this.backoff.longest());
  }

  tick(now: number): readonly LinkEffect[] {
    const late = this.judge.tick(now);
    if (this.phase === 'up') return this.tickUp(now, late);
    if (this.phase === 'closed' || now < this.until) return NOTHING;
    if (this.phase === 'waiting') return this.connect(now);
    if (late) {
      this.until = now + silenceMs(this.times);
      return NOTHING;
    }
    return this.broken(
      this.phase === 'connecting' ? 'no connection came about in time' : 'the greeting was not answered in time',
      now,
    );
  }

  close(): readonly LinkEffect[] {
    const before = this.phase;
    this.phase = 'closed';
    return before === 'closed' || before === 'waiting' ? NOTHING : [{ do: 'disconnect' }];
  }

  private tickUp(now: number, late: boolean): readonly LinkEffect[] {
    if (late) this.lease.heard(now);
    if (this.lease.silent(now)) return this.broken(`the peer was silent for ${silenceMs(this.times)} ms`, now);
    return this.lease.heartbeatDue(now) ? [{ do: 'heartbeat' }] : NOTHING;
  }

  private connect(now: number): readonly LinkEffect[] {
    this.phase = 'connecting';
    this.until = now + silenceMs(this.times);
    return [{ do: 'connect' }];
  }

  private fail(why: string, now: number, pause: number): readonly LinkEffect[] {
    if (this.phase === 'closed' || this.phase === 'waiting') return NOTHING;
    const wasUp = this.phase === 'up';
    this.phase = 'waiting';
    this.until = now + pause;
    return wasUp ? [{ do: 'disconnect' }, { do: 'lost', why }] : [{ do: 'disconnect' }];
  }
}
