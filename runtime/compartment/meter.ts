/**
 * The budget of one turn: fuel, running time and growth, charged from inside methods and from the capped built-ins.
 *
 * Owns: what a turn has used. Does not own: which turn runs next, or what becomes of one that is over (runtime/turn).
 *
 * Invariants
 * 1. Once a meter is exhausted every further charge throws the same BUDGET error: catching it gains nothing.
 * 2. At most one meter is current: the one whose code runs now. Charges of built-ins go to it.
 * 3. Between two looks at the clock lie at most MAX_UNITS charges.
 * 4. Time counts only while the meter is current; a turn that waits uses none.
 */
import { TelosError } from '../../protocol/index.js';

/**
 * Charges between two looks at the clock: few at first, twice as many after each quick stretch, half as many after a slow one, because one charge
 * may stand for a comparison of long strings or room for a long list.
 */
const FIRST_UNITS = 4;
const MAX_UNITS = 256;
const QUICK_MS = 0.5;
const SLOW_MS = 4;

/** Milliseconds between two looks at the heap of a running method. */
const HEAP_CHECK_MS = 2;

/** Growth in bytes by built-ins after which the heap is looked at at once. */
const HEAP_CHECK_BYTES = 8 * 1024 * 1024;

export interface MeterLimits {
  /** Loop edges, function entries and the work of built-ins in like units. */
  readonly fuel: number;
  readonly runTimeMs: number;
  /** Bytes that one built-in may add at once, and all array buffers of a turn together. */
  readonly maxGrowBytes: number;
}

export interface MeterPorts {
  readonly now: () => number;
  /** The part of the heap that may be used is exceeded, also after collecting garbage. */
  readonly heapFull: () => boolean;
}

/** What runs now. `meter` is compared by instrumented code at every function entry. */
export interface Running {
  meter: Meter | null;
}

export const running: Running = { meter: null };

let ports: MeterPorts = { now: () => performance.now(), heapFull: () => false };
let sliceStart = 0;
let heapChecked = 0;
let pressure = 0;

export function setMeterPorts(p: MeterPorts): void {
  ports = p;
}

/** Host code runs now: whatever it does is charged to nobody. Call it when a method has returned and at the start of a batch. */
export function leaveMethods(): void {
  if (running.meter === null) return;
  running.meter.settle();
  running.meter = null;
}

export class Meter {
  /** Charges left until the next look at the clock; instrumented code counts it down in place. */
  left = FIRST_UNITS;
  private granted = FIRST_UNITS;
  private units = FIRST_UNITS;
  private used = 0;
  private ms = 0;
  private grown = 0;
  private over: TelosError | undefined;
  private thrown: Error | undefined;

  constructor(private readonly limits: MeterLimits) {}

  /** The BUDGET error, once the turn is over its budget: it fails whatever the method answers. */
  get error(): TelosError | undefined {
    return this.over;
  }

  get fuelUsed(): number {
    return this.used + this.granted - Math.max(this.left, 0);
  }

  /** Running time that is left, for work under a deadline of its own. */
  msLeft(): number {
    return this.limits.runTimeMs - this.ms - (running.meter === this ? ports.now() - sliceStart : 0);
  }

  get runTimeMs(): number {
    return this.ms;
  }

  /** Function entry, catch and finally: this turn's code runs now; one charge. */
  on(): void {
    if (running.meter !== this) this.enter();
    if (--this.left < 0) this.check();
  }

  /** After `await` and `yield`: like `on`, hands the value through. */
  back<T>(value: T): T {
    this.on();
    return value;
  }

  /** Makes this meter the current one. */
  enter(): void {
    const now = ports.now();
    if (running.meter !== null) running.meter.add(now);
    sliceStart = now;
    running.meter = this;
  }

  /** Work of a built-in, in units of about 10 ns; throws BUDGET when there is not enough left. */
  charge(units: number): void {
    this.left -= units;
    if (this.left < 0) this.check();
  }

  /** A built-in is about to add `bytes` to the heap at once. */
  grow(bytes: number, what: string): void {
    if (bytes > this.limits.maxGrowBytes)
      throw this.exceed(
        `${what} of ${bytes} bytes; at most ${this.limits.maxGrowBytes} at once`,
        'turn.max_grow_bytes',
      );
    pressure += bytes;
    this.charge(bytes / 64);
  }

  /** Memory outside the heap, which no garbage collection is pressed to free: counted over the whole turn. */
  growOutside(bytes: number, what: string): void {
    this.grown += bytes;
    if (this.grown > this.limits.maxGrowBytes)
      throw this.exceed(
        `${what}: ${this.grown} bytes of buffers in one turn; at most ${this.limits.maxGrowBytes}`,
        'turn.max_grow_bytes',
      );
    this.charge(bytes / 64);
  }

  /** Ends the turn for a reason found elsewhere. Answers what to throw into the method: a plain, frozen error, no class of ours. */
  exceed(why: string, limit: string): Error {
    this.left = -1;
    if (this.thrown) return this.thrown;
    const current = running.meter;
    running.meter = null;
    const remedy = `split the work with image.tell or image.after${limit === '' ? '' : `, or raise ${limit} in the configuration`}`;
    this.over = new TelosError('BUDGET', why, { remedy });
    this.thrown = Object.freeze(Object.assign(new Error(why), { name: 'BUDGET', code: 'BUDGET', remedy }));
    running.meter = current;
    return this.thrown;
  }

  /** The look at clock, fuel and heap. */
  check(): void {
    if (this.thrown) {
      this.left = -1;
      throw this.thrown;
    }
    this.used += this.granted - this.left;
    this.left = this.granted = this.units;
    if (this.used > this.limits.fuel)
      throw this.exceed(
        `used more than ${this.limits.fuel} units of fuel (loop edges, calls, work of built-ins)`,
        'turn.fuel',
      );
    this.look();
  }

  /** The look at the clock, and now and then at the heap. Built-ins whose work can't be told beforehand call it each time. */
  look(): void {
    if (this.thrown) throw this.thrown;
    if (running.meter !== this) this.enter();
    const now = ports.now();
    const since = now - sliceStart;
    this.add(now);
    if (since < QUICK_MS) this.units = Math.min(MAX_UNITS, this.units * 2);
    else if (since > SLOW_MS) this.units = Math.max(1, this.units >> 1);
    this.used += this.granted - this.left;
    this.left = this.granted = this.units;
    if (this.ms > this.limits.runTimeMs)
      throw this.exceed(`ran longer than ${this.limits.runTimeMs} ms`, 'turn.run_time_ms');
    if (now - heapChecked > HEAP_CHECK_MS || pressure > HEAP_CHECK_BYTES) {
      pressure = 0;
      running.meter = null;
      const full = ports.heapFull();
      running.meter = this;
      if (full) throw this.exceed('the memory of the host is used up', 'turn.resident_bytes');
      heapChecked = ports.now();
    }
  }

  /** Books the time since the slice began. */
  settle(): void {
    this.add(ports.now());
  }

  private add(now: number): void {
    this.ms += now - sliceStart;
    sliceStart = now;
  }
}
