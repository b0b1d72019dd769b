/**
 * Both ends of a link over simulated wires. The rules are the real ones (protocol/link.ts: numbers, leases, the judge, back-off);
 * here is only what carries them out, as protocol/zmq does over sockets. Envelopes of one tick share a frame.
 */
import { pack, unpack } from '../../protocol/codec.js';
import type { Envelope } from '../../protocol/envelope.js';
import { SIGNAL } from '../../protocol/frames.js';
import {
  ClientLink,
  Judge,
  Lease,
  RECONNECT,
  tickEveryMs,
  type LinkEffect,
  type LinkKind,
  type LinkTimes,
} from '../../protocol/link.js';
import type { Frame, SimProcess, Wire } from './process.js';

/** Sends envelopes in frames, those of one tick together. */
class Lane {
  #waiting: Envelope[] = [];

  constructor(
    private readonly process: SimProcess,
    private readonly transmit: (envelopes: Envelope[]) => void,
  ) {}

  push(envelope: Envelope): void {
    this.#waiting.push(envelope);
    if (this.#waiting.length === 1) this.process.after(0, () => this.flush());
  }

  flush(): void {
    if (this.#waiting.length > 0) this.transmit(this.#waiting.splice(0));
  }
}

export interface ServedHandlers {
  ready(data: unknown[]): void;
  work(envelope: unknown): void;
  /** After the envelopes of one frame. */
  batch(): void;
  /** What still comes on a link that was given up. */
  late(envelope: unknown): void;
  goodbye(): void;
  lost(): void;
}

/** The kernel's end. */
export class ServedLink {
  readonly #lane: Lane;
  readonly #lease: Lease;
  readonly #judge: Judge;
  lost = false;

  constructor(
    private readonly process: SimProcess,
    private readonly wire: Wire,
    times: LinkTimes,
    private readonly handlers: ServedHandlers,
  ) {
    const now = process.clock.now;
    this.#lease = new Lease(times, now);
    this.#judge = new Judge(times, now);
    this.#lane = new Lane(process, (envelopes) => this.#transmit(SIGNAL.WORK, [++this.#lease.sent, ...envelopes]));
    wire.far.onFrame = (frame) => this.#receive(frame);
    wire.far.onClosed = () => this.#break();
    this.#watch(tickEveryMs(times));
  }

  ready(data: unknown[]): void {
    this.#transmit(SIGNAL.READY, data);
  }

  refuse(error: unknown[]): void {
    this.#transmit(SIGNAL.REFUSED, error);
  }

  send(envelope: Envelope): void {
    if (!this.lost) this.#lane.push(envelope);
  }

  close(): void {
    this.lost = true;
    this.wire.end();
  }

  #watch(every: number): void {
    this.process.after(every, () => {
      if (this.lost) return;
      const { now } = this.process.clock;
      if (this.#judge.tick(now)) this.#lease.heard(now);
      if (this.#lease.silent(now)) return this.#break();
      if (this.#lease.heartbeatDue(now)) this.#beat();
      this.#watch(every);
    });
  }

  #beat(): void {
    this.#lane.flush();
    this.#transmit(SIGNAL.HEARTBEAT, [this.#lease.sent]);
  }

  #transmit(signal: number, data: unknown[]): void {
    if (!this.lost) this.wire.send(this.wire.far, { signal, bytes: pack(data) });
  }

  #break(): void {
    if (this.lost) return;
    this.lost = true;
    this.handlers.lost();
  }

  #receive({ signal, bytes }: Frame): void {
    const data = unpack(bytes) as unknown[];
    if (this.lost) {
      if (signal === SIGNAL.WORK) for (const envelope of data.slice(1)) this.handlers.late(envelope);
      return;
    }
    this.#lease.heard(this.process.clock.now);
    if (signal === SIGNAL.READY) this.handlers.ready(data);
    else if (signal === SIGNAL.GOODBYE) this.handlers.goodbye();
    else if (signal === SIGNAL.HEARTBEAT && !this.#lease.takeHeartbeat(data[0] as number)) this.#break();
    else if (signal === SIGNAL.WORK) this.#work(data);
  }

  #work(data: unknown[]): void {
    if (!this.#lease.takeWork(data[0] as number)) return this.#break();
    for (let i = 1; i < data.length; i++) this.handlers.work(data[i]);
    this.handlers.batch();
  }
}

export interface GreetingHandlers {
  /** A wire to whoever serves now; null when nobody does. */
  connect(): Wire | null;
  hello(): unknown[];
  welcomed(data: unknown[]): void;
  work(envelope: unknown): void;
  refused(error: unknown[]): void;
  lost(): void;
}

/** The end that greets: a client's or a worker's. */
export class GreetingLink {
  readonly #machine: ClientLink;
  readonly #lane: Lane;
  #wire: Wire | null = null;
  /** The next greeting is sent twice: once more by somebody else, or over a connection that was lost a moment before. */
  #twin: 'stranger' | 'self' | null = null;
  upSince = Infinity;

  constructor(
    private readonly process: SimProcess,
    times: LinkTimes,
    kind: LinkKind,
    unit: () => number,
    private readonly handlers: GreetingHandlers,
  ) {
    const fast = { ...RECONNECT[kind], firstMs: 10, soonMaxMs: 100, maxMs: 200 };
    this.#machine = new ClientLink(times, fast, unit, process.clock.now);
    this.#lane = new Lane(
      process,
      (envelopes) =>
        this.#machine.state === 'up' && this.#transmit(SIGNAL.WORK, [this.#machine.nextFrame(), ...envelopes]),
    );
    this.#carryOut(this.#machine.open(process.clock.now));
    this.#watch();
  }

  send(envelope: Envelope): boolean {
    if (this.#machine.state !== 'up') return false;
    this.#lane.push(envelope);
    return true;
  }

  goodbye(): void {
    this.#lane.flush();
    this.#transmit(SIGNAL.GOODBYE, []);
  }

  /** Ends the greeting or link under way; the next one follows after a pause. */
  greetAnew(): void {
    this.#carryOut(this.#machine.broken('asked for', this.#now));
  }

  greetTwice(twin: 'stranger' | 'self'): void {
    this.#twin = twin;
  }

  /** The kernel never hears of the end of this connection, but for its silence. */
  #greetFirst(twin: 'stranger' | 'self'): void {
    const wire = this.handlers.connect();
    if (wire === null) return;
    const hello = this.handlers.hello();
    if (twin === 'stranger') hello[4] = 'the key of a stranger';
    const frame = { signal: SIGNAL.READY, bytes: pack(hello) };
    if (twin === 'self') wire.rush(wire.near, frame);
    else wire.send(wire.near, frame);
  }

  get #now(): number {
    return this.process.clock.now;
  }

  #watch(): void {
    this.process.after(this.#machine.dueIn(this.#now), () => {
      this.#carryOut(this.#machine.tick(this.#now));
      this.#watch();
    });
  }

  #carryOut(effects: readonly LinkEffect[]): void {
    for (const effect of effects) this.#effect(effect);
  }

  #effect(effect: LinkEffect): void {
    switch (effect.do) {
      case 'connect':
        return this.#connect();
      case 'disconnect':
        this.#wire?.end();
        this.#wire = null;
        return;
      case 'greet':
        return this.#transmit(SIGNAL.READY, this.handlers.hello());
      case 'heartbeat':
        this.#lane.flush();
        return this.#transmit(SIGNAL.HEARTBEAT, [this.#machine.lastSent]);
      case 'up':
        this.upSince = this.#now;
        return;
      case 'lost':
        this.upSince = Infinity;
        return this.handlers.lost();
    }
  }

  #connect(): void {
    const wire = this.handlers.connect();
    if (wire === null) return this.#carryOut(this.#machine.broken('nobody serves', this.#now));
    if (this.#twin !== null) this.#greetFirst(this.#twin);
    this.#twin = null;
    this.#wire = wire;
    wire.near.onFrame = (frame) => wire === this.#wire && this.#receive(frame);
    wire.near.onClosed = () => wire === this.#wire && this.#carryOut(this.#machine.broken('closed', this.#now));
    this.#carryOut(this.#machine.connected(this.#now));
  }

  #transmit(signal: number, data: unknown[]): void {
    this.#wire?.send(this.#wire.near, { signal, bytes: pack(data) });
  }

  #receive({ signal, bytes }: Frame): void {
    const data = unpack(bytes) as unknown[];
    switch (signal) {
      case SIGNAL.READY:
        if (this.#machine.welcomed(this.#now).length > 0) this.handlers.welcomed(data);
        return;
      case SIGNAL.HEARTBEAT:
        return this.#carryOut(this.#machine.heartbeat(data[0] as number, this.#now));
      case SIGNAL.WORK:
        return this.#work(data);
      case SIGNAL.REFUSED:
        this.#carryOut(this.#machine.refused('refused', this.#now));
        return this.handlers.refused(data);
    }
  }

  #work(data: unknown[]): void {
    if (!this.#machine.work(data[0] as number, this.#now))
      return this.#carryOut(this.#machine.broken('a frame was lost', this.#now));
    for (let i = 1; i < data.length; i++) this.handlers.work(data[i]);
  }
}
