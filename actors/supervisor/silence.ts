/**
 * Judges a peer by its heartbeats. Pure; fake clocks in tests.
 *
 * Invariants:
 *   H1  a peer is silent only over time in which the judge itself ran: after a late tick (sleep, SIGCONT) its lease is renewed.
 *   H2  before its first sign of life a peer has `firstMs`, afterwards `intervalMs * liveness`.
 */
export interface SilenceLimits {
  readonly intervalMs: number;
  readonly liveness: number;
  readonly firstMs: number;
}

export class SilenceJudge {
  #heardAt: number;
  #tickedAt: number;
  #heard = false;

  constructor(
    private readonly limits: SilenceLimits,
    now: number,
  ) {
    this.#heardAt = now;
    this.#tickedAt = now;
  }

  heard(now: number): void {
    this.#heard = true;
    this.#heardAt = now;
  }

  /** Call every `tickMs`. @returns how long the peer has been silent, if that is too long; else 0 */
  tick(now: number): number {
    const late = now - this.#tickedAt > 2 * this.tickMs || now < this.#tickedAt;
    this.#tickedAt = now;
    if (late) this.#heardAt = now;
    const silent = now - this.#heardAt;
    return silent > this.allowedMs ? silent : 0;
  }

  get allowedMs(): number {
    return this.#heard ? this.limits.intervalMs * this.limits.liveness : this.limits.firstMs;
  }

  get tickMs(): number {
    return this.limits.intervalMs / 2;
  }
}
