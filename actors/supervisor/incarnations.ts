/**
 * Owns: the incarnations of workers. The attempts of a worker are named by its incarnation, and stand in the journal for ever, so no
 * two lives of workers of one image may share a number, and none may have one of the kernel's.
 *
 *   W1  A number is given only after the journal has, durably, a higher one as the next.
 *   W2  Workers count from WORKER_BASE on, the kernel below it; both stay below 2^21, so that incarnation × 2^32 + counter is exact.
 */
import { TelosError } from '../../protocol/index.js';
import { decodeRecord, encodeRecord, keys, type Key } from '../../runtime/journal/index.js';

export const WORKER_BASE = 2 ** 20;
const END = 2 ** 21;
/** Numbers that are reserved at once; those left over at the end of the kernel's life are lost. */
const BLOCK = 8;

export interface NumberStore {
  read(key: Key): Promise<Buffer | undefined>;
  /** Durable when it resolves. */
  write(key: Key, value: Buffer): Promise<void>;
}

const KEY = keys.meta('workers');

export class Incarnations {
  #next: number;
  #reserved: number;
  #reserving: Promise<void> | null = null;

  private constructor(
    private readonly store: NumberStore,
    next: number,
  ) {
    this.#next = next;
    this.#reserved = next;
  }

  static async open(store: NumberStore, first: number): Promise<Incarnations> {
    const stored = await store.read(KEY);
    const all = new Incarnations(store, stored ? decodeRecord<[number]>(stored, 'm workers')[0] : WORKER_BASE);
    await all.#reserve(Math.max(BLOCK, first));
    return all;
  }

  async take(): Promise<number> {
    while (this.#next >= this.#reserved) await this.#more();
    return this.#next++;
  }

  #more(): Promise<void> {
    this.#reserving ??= this.#reserve(BLOCK).finally(() => (this.#reserving = null));
    return this.#reserving;
  }

  async #reserve(count: number): Promise<void> {
    const end = this.#reserved + count;
    if (end > END)
      throw new TelosError('INTERNAL', `worker incarnation ${end} is beyond ${END}: this image has used them up`);
    await this.store.write(KEY, encodeRecord([end]));
    this.#reserved = end;
  }
}
