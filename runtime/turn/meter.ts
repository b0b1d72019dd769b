/**
 * Whose running time it is. Code of one turn runs at a time, and every start or resumption of a turn says so here; the time until the next one
 * says so is its own. Waiting costs nothing.
 */
export interface Metered {
  /** Running time used, ms. */
  used: number;
}

export class Meter {
  #current: Metered | null = null;
  #since = 0;

  constructor(private readonly clock: () => number) {}

  /** From now on `turn` runs (null: none of them). */
  enter(turn: Metered | null): void {
    const now = this.clock();
    if (this.#current !== null) this.#current.used += now - this.#since;
    this.#current = turn;
    this.#since = now;
  }
}
