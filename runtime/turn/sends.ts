/**
 * The order of the sends that one frame has begun (frame.ts, F1). What code gets for a send stays unhandled if code ignores it: nothing here
 * waits on that.
 */
import type { Carried } from './carried.js';

/** No send runs. */
const NONE = -1;

export class Sends {
  /** Sends that have not settled. */
  open = 0;
  /** Position of the one that runs now. */
  #running = NONE;
  /** Those that wait for their turn, from `#head` on. */
  #line: (() => void)[] = [];
  #head = 0;
  #advancing = false;
  /** Called when the last open one has settled. */
  #idle: (() => void) | null = null;

  /** Calls `start`, which never throws, when it is the turn of this send. `settled` has to follow. */
  begin(position: number, start: () => Promise<Carried>): Promise<Carried> {
    this.open++;
    if (this.#running === NONE) {
      this.#running = position;
      return start();
    }
    return new Promise((resolve) => {
      this.#line.push(() => {
        this.#running = position;
        resolve(start());
      });
    });
  }

  settled(position: number): void {
    this.open--;
    this.passOn(position);
    if (this.open === 0) this.#idle?.();
  }

  /** The send at this position needs no turn any more. A loop: each of those that wait may pass on in its first step. */
  passOn(position: number): void {
    if (this.#running !== position) return;
    this.#running = NONE;
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#running === NONE && this.#head < this.#line.length) this.#line[this.#head++]?.();
    this.#advancing = false;
    if (this.#head < this.#line.length || this.#head === 0) return;
    this.#line = [];
    this.#head = 0;
  }

  whenSettled(): Promise<void> {
    return new Promise((resolve) => (this.#idle = resolve));
  }
}
