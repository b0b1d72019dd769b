/**
 * Owns: names as they are accepted, as far as they are in memory: what each stands for, those that stand for nothing included.
 *
 *   N1  A name that a turn has changed stays until the journal would give it as it is now, to whoever has asked so far.
 *   N2  A name that is pinned (something under way needs it, or it is watched) stays.
 *   N3  Of the others about `limit` are kept: absent ones go first, then those not used since half as many came.
 *   N4  Names go only when another is read from the journal: within one step of validation or application none does.
 */
import { ABSENT, type Attempt, type Oid } from '../../protocol/index.js';

export interface KName {
  oid: Oid | null;
  attempt: Attempt;
  /** The turn that changed it last, 0 when it is as the journal gave it. */
  seq: number;
}

export class Names {
  #young = new Map<string, KName>();
  #old = new Map<string, KName>();
  readonly #pins = new Map<string, number>();
  /** Moments (turns that were durable then) from which somebody still reads the journal page by page, by how many. */
  readonly #holds = new Map<number, number>();
  readonly #half: number;

  constructor(
    limit: number,
    /** What every read of the journal that has not come back yet has seen: the turns up to this one. */
    private readonly seenByAll: () => number,
  ) {
    this.#half = Math.max(1, Math.floor(limit / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(name: string): KName | undefined {
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const old = this.#old.get(name);
    if (old === undefined) return undefined;
    this.#old.delete(name);
    this.#young.set(name, old);
    return old;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  *[Symbol.iterator](): Generator<[string, KName]> {
    yield* this.#old;
    yield* this.#young;
  }

  /** A name as the journal holds it; one that is known stays as it is. */
  adopt(name: string, record: readonly [Oid, Attempt] | null): KName {
    const known = this.get(name);
    if (known) return known;
    if (this.#young.size >= this.#half) this.#age();
    const entry: KName = { oid: record?.[0] ?? null, attempt: record?.[1] ?? ABSENT, seq: 0 };
    this.#young.set(name, entry);
    return entry;
  }

  /** N3 */
  #age(): void {
    const horizon = this.#horizon();
    const needed = (name: string, { seq }: KName): boolean => seq > horizon || this.#pins.has(name);
    for (const table of [this.#old, this.#young])
      for (const [name, entry] of table) if (entry.oid === null && !needed(name, entry)) table.delete(name);
    if (this.#young.size * 2 <= this.#half) return;
    for (const [name, entry] of this.#old) if (needed(name, entry)) this.#young.set(name, entry);
    this.#old = this.#young;
    this.#young = new Map();
  }

  /** N1 */
  #horizon(): number {
    let horizon = this.seenByAll();
    for (const since of this.#holds.keys()) horizon = Math.min(horizon, since);
    return horizon;
  }

  pin(names: Iterable<string>): void {
    for (const name of names) this.#pins.set(name, (this.#pins.get(name) ?? 0) + 1);
  }

  unpin(names: Iterable<string>): void {
    for (const name of names) {
      const left = (this.#pins.get(name) ?? 1) - 1;
      if (left > 0) this.#pins.set(name, left);
      else this.#pins.delete(name);
    }
  }

  /** Keeps what changes from now on, for who reads all names page by page and adds what has changed meanwhile. Call what it gives at the end. */
  hold(): () => void {
    const since = this.seenByAll();
    this.#holds.set(since, (this.#holds.get(since) ?? 0) + 1);
    return () => {
      const left = (this.#holds.get(since) ?? 1) - 1;
      if (left > 0) this.#holds.set(since, left);
      else this.#holds.delete(since);
    };
  }
}
