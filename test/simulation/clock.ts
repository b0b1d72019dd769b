/**
 * Virtual time: a queue of things to do, ordered by time and then by the order in which they were asked for.
 *
 * Owns the only clock of a simulation. Invariants:
 *   S1  time never goes back, and may leap (`sleep`); `step` counts what was done, so two things at one moment still have an order.
 *   S2  what a cancelled handle would have done is never done.
 */
/** Turns of the event loop after which code that has not said anything rests. */
const QUIET_TURNS = 4;

export interface Handle {
  cancelled: boolean;
}

interface Entry extends Handle {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const before = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

export class Clock {
  now = 1_000_000;
  step = 0;
  #order = 0;
  #touched = false;
  readonly #heap: Entry[] = [];

  after(delay: number, run: () => void): Handle {
    const entry: Entry = { at: this.now + Math.max(0, delay), order: this.#order++, run, cancelled: false };
    this.#push(entry);
    return entry;
  }

  /** Runs what is due until `done()` or until nothing is left or `until` is reached; false in the latter cases. */
  run(until: number, done: () => boolean): boolean {
    while (!done()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > until) return false;
      this.#pop();
      if (next.cancelled) continue;
      this.now = Math.max(this.now, next.at);
      this.step++;
      next.run();
    }
    return true;
  }

  /** What was done has left something to the event loop. */
  touch(): void {
    this.#touched = true;
  }

  /** As `run`, but waits after each step that touched code which goes on by itself, until that rests. */
  async runSettled(until: number, done: () => boolean): Promise<boolean> {
    while (!done()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > until) return false;
      this.#pop();
      if (next.cancelled) continue;
      this.now = Math.max(this.now, next.at);
      this.step++;
      next.run();
      if (this.#touched) await this.#settle();
    }
    return true;
  }

  /** Promises and actors need a few turns of the event loop; whoever still runs says so. */
  async #settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      if (this.#touched) quiet = 0;
      this.#touched = false;
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }

  /** The machine sleeps: when it wakes all that was due is late. */
  sleep(ms: number): void {
    this.now += ms;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent] as Entry, entry)) break;
      heap[at] = heap[parent] as Entry;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (before(last, heap[child] as Entry)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
  }
}
