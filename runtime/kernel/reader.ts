/**
 * Owns: reads of the journal that are under way. Reads asked for within one batch of events leave as one request, however many objects
 * they are for.
 *
 *   R1  What a read gives is at least as new as the turns that were durable when it was asked for. `oldest` says which those are for the one
 *       that has waited longest: nothing that was changed later may be forgotten in memory before it has come.
 */
import type { Key, KeyRange } from '../journal/index.js';

type Values = readonly (Uint8Array | undefined)[];
type Rows = readonly (readonly [Key, Uint8Array])[];

interface Wanted {
  readonly keys: readonly Key[];
  /** The turns that were durable then. */
  readonly since: number;
  readonly done: (values: Values, now: number) => void;
}

const MAX_KEYS_PER_READ = 4096;

export class Reader {
  #ticket = 0;
  #wanted: Wanted[] = [];
  readonly #reads = new Map<number, Wanted[]>();
  readonly #pages = new Map<number, (rows: Rows, now: number) => void>();

  constructor(
    private readonly read: (ticket: number, keys: readonly Key[]) => void,
    private readonly startPage: (ticket: number, range: KeyRange, limit: number) => void,
    private readonly durableSeq: () => number,
  ) {}

  /** R1, of single keys; infinite when nothing is being read. */
  get oldest(): number {
    for (const [first] of this.#reads.values()) if (first) return first.since;
    return this.#wanted[0]?.since ?? Infinity;
  }

  get pending(): number {
    return this.#reads.size + this.#pages.size + this.#wanted.length;
  }

  get(keys: readonly Key[], done: (values: Values, now: number) => void): void {
    this.#wanted.push({ keys, since: this.durableSeq(), done });
  }

  page(range: KeyRange, limit: number, done: (rows: Rows, now: number) => void): void {
    const ticket = ++this.#ticket;
    this.#pages.set(ticket, done);
    this.startPage(ticket, range, limit);
  }

  /** Sends what was asked for since the last flush. */
  flush(): void {
    while (this.#wanted.length > 0) {
      const batch: Wanted[] = [];
      const keys: Key[] = [];
      while (this.#wanted.length > 0 && keys.length < MAX_KEYS_PER_READ) {
        const wanted = this.#wanted.shift() as Wanted;
        batch.push(wanted);
        for (const key of wanted.keys) keys.push(key);
      }
      const ticket = ++this.#ticket;
      this.#reads.set(ticket, batch);
      this.read(ticket, keys);
    }
  }

  readDone(ticket: number, values: Values, now: number): void {
    let offset = 0;
    for (const { keys, done } of this.#reads.get(ticket) ?? []) {
      done(values.slice(offset, offset + keys.length), now);
      offset += keys.length;
    }
    this.#reads.delete(ticket);
  }

  pageDone(ticket: number, rows: Rows, now: number): void {
    const done = this.#pages.get(ticket);
    this.#pages.delete(ticket);
    done?.(rows, now);
  }
}
