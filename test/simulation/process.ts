/**
 * A simulated process: it runs, is stopped (SIGSTOP), or is dead. And the wires between processes.
 *
 *   P1  A stopped process does nothing; what came meanwhile is waiting for it, in order, when it goes on. A dead one never does anything.
 *   P2  A wire delivers in order, later than sent. What is lost on it is lost with the wire's end (kill, cut), or as an injected fault.
 *   P3  The death of a process closes its wires: the other end hears of it, after what had left before. A power cut is not heard.
 */
import type { Clock } from './clock.js';
import type { Random } from './random.js';

export class SimProcess {
  mode: 'running' | 'stopped' | 'dead' = 'running';
  readonly #waiting: (() => void)[] = [];
  #hung = false;
  readonly wires = new Set<Wire>();
  /** Whoever waits for its exit. */
  onDeath: () => void = () => undefined;

  constructor(
    readonly name: string,
    readonly clock: Clock,
  ) {}

  /** Does this in the process: now, when it goes on, or never. */
  do(work: () => void): void {
    if (this.mode === 'running') work();
    else if (this.mode === 'stopped') this.#waiting.push(work);
  }

  after(delay: number, work: () => void): void {
    this.clock.after(delay, () => this.do(work));
  }

  every(interval: number, work: () => void): void {
    this.after(interval, () => {
      work();
      this.every(interval, work);
    });
  }

  stop(): void {
    if (this.mode === 'running') this.mode = 'stopped';
  }

  /** As if stopped, for ever: an endless loop. */
  hang(): void {
    this.stop();
    this.#hung = true;
  }

  goOn(): void {
    if (this.mode !== 'stopped' || this.#hung) return;
    this.mode = 'running';
    while (this.#running() && this.#waiting.length > 0) this.#waiting.shift()?.();
  }

  #running(): boolean {
    return this.mode === 'running';
  }

  /** `heard`: the other ends of its wires learn of it. */
  die(heard = true): void {
    if (this.mode === 'dead') return;
    this.mode = 'dead';
    this.#waiting.length = 0;
    for (const wire of this.wires) wire.end(heard);
    this.wires.clear();
    this.onDeath();
  }
}

export interface Frame {
  readonly signal: number;
  readonly bytes: Uint8Array;
}

export interface WireEnd {
  readonly process: SimProcess;
  onFrame: (frame: Frame) => void;
  onClosed: () => void;
}

const nobody = (): void => undefined;

/** Which frames of a direction meet a fault. */
interface Direction {
  readonly to: WireEnd;
  lastAt: number;
  drop: boolean;
  repeat: boolean;
  stall: number;
}

export class Wire {
  readonly near: WireEnd;
  readonly far: WireEnd;
  open = true;
  /** Frames that would arrive later than this never do. */
  #cutAt = Infinity;
  readonly #toFar: Direction;
  readonly #toNear: Direction;

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
    near: SimProcess,
    far: SimProcess,
  ) {
    this.near = { process: near, onFrame: nobody, onClosed: nobody };
    this.far = { process: far, onFrame: nobody, onClosed: nobody };
    this.#toFar = { to: this.far, lastAt: 0, drop: false, repeat: false, stall: 0 };
    this.#toNear = { to: this.near, lastAt: 0, drop: false, repeat: false, stall: 0 };
    near.wires.add(this);
    far.wires.add(this);
  }

  /** Arrives before anything that is sent at the same time over another wire. */
  rush(from: WireEnd, frame: Frame): void {
    const to = from === this.near ? this.far : this.near;
    this.clock.after(0.05, () => to.process.do(() => to.onFrame(frame)));
  }

  send(from: WireEnd, frame: Frame): void {
    if (!this.open) return;
    const way = from === this.near ? this.#toFar : this.#toNear;
    if (way.drop) {
      way.drop = false;
      return;
    }
    this.#deliver(way, frame);
    if (!way.repeat) return;
    way.repeat = false;
    this.#deliver(way, frame);
  }

  #deliver(way: Direction, frame: Frame): void {
    const at = Math.max(way.lastAt, this.clock.now + 0.1 + this.random.unit() * 2 + way.stall);
    way.stall = 0;
    way.lastAt = at;
    this.clock.after(at - this.clock.now, () => {
      if (at <= this.#cutAt) way.to.process.do(() => way.to.onFrame(frame));
    });
  }

  /** An injected fault, in one direction. */
  disturb(kind: 'drop' | 'repeat' | 'stall', duration: number): void {
    const way = this.random.chance(0.5) ? this.#toFar : this.#toNear;
    if (kind === 'stall') way.stall = duration;
    else way[kind] = true;
  }

  /** Ends the wire: some of what was under way still arrives, then both ends hear of it (if it is `heard` at all). */
  end(heard = true): void {
    if (!this.open) return;
    this.open = false;
    const last = Math.max(this.#toFar.lastAt, this.#toNear.lastAt, this.clock.now);
    this.#cutAt = heard ? this.clock.now + this.random.unit() * (last - this.clock.now) : this.clock.now;
    for (const end of [this.near, this.far]) {
      end.process.wires.delete(this);
      if (heard) end.process.after(last - this.clock.now + 0.2, () => end.onClosed());
    }
  }
}
