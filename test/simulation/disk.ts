/**
 * The disk of the simulation: the journal's memory store, with time, slow and failing syncs, kills and power cuts.
 *
 *   D1  A group that was written and not synced survives a kill, and may be lost in a power cut; what was synced survives both.
 *   D2  A read sees the store at some moment between its start and its end, and nothing that is not synced (as RocksDB, which
 *       writes and syncs its log before readers see a thing).
 */
import { TelosError } from '../../protocol/errors.js';
import type { GroupWrite, ImageIdentity, Key, KeyRange } from '../../runtime/journal/port.js';
import { MemoryStore } from '../../runtime/journal/memory.js';
import type { Clock } from './clock.js';
import type { Random } from './random.js';

type Rows = (readonly [Key, Uint8Array])[];

export class Disk {
  readonly store: MemoryStore;
  /** Last turn that a power cut now would leave. */
  durable = 0;
  /** The next append fails: before it reached the disk, or after. */
  failNext: 'no' | 'unwritten' | 'written' = 'no';
  /** No room: appends fail, reads don't. */
  fullUntil = 0;
  /** Broken on purpose: a full disk says that it has written. */
  lies = false;
  slowUntil = 0;
  /** Told of each group once it is durable. */
  onDurable: (group: GroupWrite) => void = () => undefined;
  /** Broken on purpose: what is changed in the groups before they are written. */
  tamper: (group: GroupWrite) => GroupWrite = (group) => group;
  /** Written to the log, and not synced. */
  #written: GroupWrite | null = null;
  #lied = false;
  /** Begun by each life; what an earlier life had asked for is not done any more. */
  #life = 0;

  constructor(
    private readonly clock: Clock,
    private readonly random: Random,
  ) {
    this.store = new MemoryStore('simulated');
  }

  open(): ImageIdentity {
    this.#life++;
    const identity = this.store.open();
    this.durable = this.store.endSeq;
    this.#lied = false;
    return identity;
  }

  get full(): boolean {
    return this.clock.now < this.fullUntil && !this.lies;
  }

  powerCut(): void {
    this.#end(this.random.chance(0.5));
  }

  kill(): void {
    this.#end(true);
  }

  #end(keepsWritten: boolean): void {
    this.#life++;
    if (keepsWritten && this.#written !== null) this.#apply(this.#written);
    this.#written = null;
  }

  #apply(group: GroupWrite): void {
    this.store.apply(group);
    this.store.sync();
    this.#written = null;
    this.onDurable(group);
  }

  append(written: GroupWrite, done: (error: TelosError | null) => void): void {
    const group = this.tamper(written);
    if (this.full) return this.#later(1, () => done(new TelosError('DISK_FULL', 'no room, as planned')));
    this.#lied ||= this.lies && this.clock.now < this.fullUntil;
    if (this.#lied) return this.#later(1, () => done(null));
    const fail = this.failNext;
    this.failNext = 'no';
    const slow = this.clock.now < this.slowUntil ? this.random.between(20, 400) : 0;
    this.#later(0.2 + this.random.unit(), () => {
      if (fail !== 'unwritten') this.#written = group;
      this.#later(0.5 + this.random.unit() * 3 + slow, () => {
        if (fail !== 'no') return done(new TelosError('STORAGE_FAILED', 'a planned failure'));
        this.#apply(group);
        this.durable = this.store.endSeq;
        done(null);
      });
    });
  }

  read(keys: readonly Key[], done: (values: (Buffer | undefined)[]) => void): void {
    this.#later(this.random.unit(), () => {
      const values = this.store.getMany(keys);
      this.#later(this.random.unit(), () => done(values));
    });
  }

  page(range: KeyRange, limit: number, done: (rows: Rows) => void): void {
    this.#later(this.random.unit(), () => {
      const rows = this.store.page(range, limit);
      this.#later(this.random.unit(), () => done(rows));
    });
  }

  #later(delay: number, run: () => void): void {
    const life = this.#life;
    this.clock.after(delay, () => life === this.#life && run());
  }
}
