/**
 * Owns: the look at the disk while the journal is written. RocksDB must not meet a full disk: a flush or compaction that found no room is
 * not always reported, and then the next write waits for ever (tried).
 *
 *   W1  A group is refused DISK_FULL while what is free, besides the reserve, is less than a write buffer; a flush always fits.
 *   W2  A write that RocksDB holds back while nothing in it runs that could let it go on is given up, not waited for.
 */
import { TelosError } from '../../protocol/index.js';
import { diskFull, freeBytes, hasRoom } from './reserve.js';
import type { Database } from './rocksdb.js';

/** The free space is looked at again after a part of the write buffer was written, and after a time. */
const LOOKS_PER_BUFFER = 8;
const LOOK_AGAIN_MS = 1000;
/** Two looks in a row must find a write stuck. */
const LOOKS_FOR_STUCK = 2;
/** A write is looked at from this age on. */
const SLOW_WRITE_MS = 1000;
/** However busy RocksDB seems: on a disk without room a write that takes longer is given up. */
const LONGEST_ON_FULL_MS = 10_000;

interface Watched {
  readonly begun: number;
  stuck: number;
  readonly reject: (error: TelosError) => void;
}

export class WriteWatch {
  /** A write was given up: RocksDB still has it, and can not be closed. */
  gaveUp = false;
  #current: Watched | null = null;
  #written = 0;
  #lookedAt = -Infinity;

  constructor(
    private readonly db: Pick<Database, 'property'>,
    private readonly dir: string,
    private readonly writeBufferBytes: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** W1. @throws TelosError DISK_FULL */
  async makeSure(bytes: number): Promise<void> {
    this.#written += bytes;
    const now = this.now();
    if (this.#written < this.writeBufferBytes / LOOKS_PER_BUFFER && now - this.#lookedAt < LOOK_AGAIN_MS) return;
    if ((await freeBytes(this.dir)) < this.writeBufferBytes + bytes) throw diskFull(this.dir, this.writeBufferBytes);
    this.#written = 0;
    this.#lookedAt = now;
  }

  /** W2: ends as the write does, or is rejected by `look` when that is stuck. @throws TelosError DISK_FULL, STORAGE_FAILED */
  watch(write: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#current = { begun: this.now(), stuck: 0, reject };
      const end = (): void => {
        this.#current = null;
      };
      write.then(end, end);
      write.then(resolve, reject);
    });
  }

  /** To be called about every second. */
  async look(): Promise<void> {
    const write = this.#current;
    if (write === null || this.now() - write.begun < SLOW_WRITE_MS) return;
    write.stuck = this.#isStuck() ? write.stuck + 1 : 0;
    const full = !(await hasRoom(this.dir, this.writeBufferBytes));
    const tooLong = full && this.now() - write.begun > LONGEST_ON_FULL_MS;
    if (this.#current !== write || (write.stuck < LOOKS_FOR_STUCK && !tooLong)) return;
    this.gaveUp = true;
    write.reject(
      full
        ? diskFull(this.dir, this.writeBufferBytes)
        : new TelosError('STORAGE_FAILED', `RocksDB holds a write to ${this.dir} back, and nothing in it runs`),
    );
  }

  #isStuck(): boolean {
    const number = (name: string): number => Number(this.db.property(`rocksdb.${name}`));
    return number('is-write-stopped') === 1 && number('num-running-flushes') + number('num-running-compactions') === 0;
  }
}
