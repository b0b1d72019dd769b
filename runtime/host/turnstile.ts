/**
 * Lets turns run for a while, then everything else: heartbeats leave from the same event loop, and Node would run all that is due at once before it
 * looks at its sockets again.
 */
export interface TurnstilePorts {
  /** Monotonic, ms. */
  clock(): number;
  defer(task: () => void): void;
}

/** Time for turns in one round of the event loop; the one that is running then may end. */
const SLICE_MS = 20;

export class Turnstile {
  #since = -1;

  constructor(private readonly ports: TurnstilePorts) {}

  /** Turns have had their time in this round. */
  full(): boolean {
    const now = this.ports.clock();
    if (this.#since >= 0) return now - this.#since > SLICE_MS;
    this.#since = now;
    this.ports.defer(() => (this.#since = -1));
    return false;
  }

  /** Runs `task`, which may begin or go on with a turn, in a later round. */
  defer(task: () => void): void {
    this.ports.defer(() => {
      if (this.full()) this.defer(task);
      else task();
    });
  }
}
