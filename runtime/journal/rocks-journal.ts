/**
 * Owns: an open journal on RocksDB, its lock and its head file. How it came to be open is in open.ts.
 *
 *   J1..J5 of port.ts, and
 *   A1  After the first failed append no other is tried: what RocksDB holds in memory and what the disk holds may differ.
 *   A2  `head` is written after the group is durable, and synced every `headSyncMs` and at close.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TelosError } from '../../protocol/index.js';
import type { Lock } from '../image/index.js';
import { sealGroup, type JournalEnd, type JournalMeta } from './end.js';
import type { HeadFile } from './head.js';
import type { JournalOptions } from './open.js';
import type { GroupWrite, ImageIdentity, JournalPort, JournalStats, Key, KeyRange } from './port.js';
import { checkTables } from './read-through.js';
import type { Database } from './rocksdb.js';
import { describeKey, openValue } from './seal.js';
import type { UncheckedLives } from './unchecked-lives.js';
import { WriteWatch } from './write-watch.js';

/** Between two pieces of a table that is checked while the journal serves. */
const PAUSE_MS = 4;

export interface JournalParts {
  readonly dir: string;
  readonly db: Database;
  /** Null when nothing is to be written at all. */
  readonly head: HeadFile | null;
  readonly meta: JournalMeta;
  readonly incarnation: number;
  /** Why it can not be written; null when it can. */
  readonly refusal: TelosError | null;
  readonly lock: Lock;
  readonly options: JournalOptions;
  /** Set when its tables were not checked yet. */
  readonly unchecked: UncheckedLives | null;
}

export class RocksJournal implements JournalPort {
  readonly identity: ImageIdentity;
  readonly #parts: JournalParts;
  readonly #watch: WriteWatch;
  readonly #timer: NodeJS.Timeout | undefined;
  #end: JournalEnd;
  #appends = 0;
  #bytes = 0;
  #appending: Promise<void> | null = null;
  #broken: TelosError | null;
  #checking: Promise<void> | null = null;
  #closed: Promise<void> | null = null;

  constructor(parts: JournalParts) {
    const { meta, options, incarnation } = parts;
    this.#parts = parts;
    this.#end = meta.end;
    this.#broken = parts.refusal;
    this.#watch = new WriteWatch(parts.db, parts.dir, options.writeBufferBytes);
    this.identity = {
      imageId: meta.imageId,
      generation: meta.generation,
      incarnation,
      endSeq: meta.end.seq,
      chain: meta.end.chain,
    };
    if (parts.head !== null) {
      this.#timer = setInterval(() => this.#tick(), options.headSyncMs);
      this.#timer.unref();
    }
    if (parts.unchecked !== null && options.readOnly !== true) this.#checkInBackground(parts.unchecked);
  }

  get readOnly(): boolean {
    return this.#parts.refusal !== null;
  }

  append(group: GroupWrite): Promise<void> {
    if (this.#broken !== null) return Promise.reject(this.#broken);
    if (this.#appending !== null) return Promise.reject(new TelosError('INTERNAL', 'an append is under way'));
    this.#appending = this.#append(group).finally(() => (this.#appending = null));
    return this.#appending;
  }

  async #append(group: GroupWrite): Promise<void> {
    const sealed = sealGroup(this.#end, group);
    try {
      await this.#watch.makeSure(sealed.bytes);
      await this.#watch.watch(this.#parts.db.write(sealed.puts, sealed.deletes));
      this.#end = sealed.end;
      this.#parts.head?.write(sealed.end);
    } catch (error) {
      this.#broken = TelosError.from(error, 'STORAGE_FAILED');
      throw this.#broken;
    }
    this.#appends++;
    this.#bytes += sealed.bytes;
  }

  async getMany(keys: readonly Key[]): Promise<(Buffer | undefined)[]> {
    const stored = await this.#getStored(keys);
    return stored.map((value, i) => (value === undefined ? undefined : openValue(keys[i] as Key, value)));
  }

  /** A look-up of many that fails doesn't say which key it was: ask for each. */
  async #getStored(keys: readonly Key[]): Promise<(Buffer | undefined)[]> {
    try {
      return await this.#parts.db.getMany(keys);
    } catch (error) {
      if (!(error instanceof TelosError) || error.code !== 'DAMAGED') throw error;
      for (const key of keys) await this.#getOne(key);
      throw error;
    }
  }

  async #getOne(key: Key): Promise<void> {
    try {
      await this.#parts.db.getMany([key]);
    } catch (cause) {
      throw new TelosError(
        'DAMAGED',
        `${describeKey(key)} can not be read: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  }

  async page(range: KeyRange, limit: number): Promise<(readonly [Key, Buffer])[]> {
    const rows = await this.#parts.db.page(range, limit);
    return rows.map(([key, stored]) => [key, openValue(key, stored)] as const);
  }

  raiseIncarnation(): Promise<number> {
    const { head, refusal } = this.#parts;
    return head === null
      ? Promise.reject(refusal ?? new TelosError('READ_ONLY', 'the journal has no head'))
      : head.raiseIncarnation();
  }

  /** RocksDB shows its count of syncs rounded to thousands from 10,000 on. */
  stats(): JournalStats {
    const match = /Cumulative WAL:.*?([\d.]+)([KMG]?) syncs/.exec(this.#parts.db.property('rocksdb.stats'));
    const unit = { '': 1, K: 1e3, M: 1e6, G: 1e9 }[match?.[2] ?? ''] ?? 1;
    return { appends: this.#appends, syncs: match === null ? -1 : Number(match[1]) * unit, bytes: this.#bytes };
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#appending?.catch(() => undefined);
    await this.#checking;
    this.#broken ??= new TelosError('STORAGE_FAILED', 'the journal is closed');
    try {
      if (!this.#watch.gaveUp) await this.#parts.db.close();
      await this.#parts.head?.close();
    } finally {
      this.#parts.lock.release();
    }
  }

  #tick(): void {
    const failed = (error: unknown): void => {
      this.#broken ??= TelosError.from(error, 'STORAGE_FAILED');
      this.#parts.options.log?.('error', 'journal.tickFailed', { error: String(error) });
    };
    this.#parts.head?.sync().catch(failed);
    this.#watch.look().catch(failed);
  }

  #checkInBackground(unchecked: UncheckedLives): void {
    const { db, options } = this.#parts;
    const stopped = (): boolean => this.#closed !== null;
    unchecked.begin();
    this.#checking = checkTables(db, { stopped, pause: () => sleep(PAUSE_MS), replaced: true }).then(
      () => {
        unchecked.done();
        options.log?.('info', 'journal.tablesChecked', { complete: !stopped() });
      },
      (error: unknown) => this.#damaged(TelosError.from(error, 'STORAGE_FAILED')),
    );
  }

  #damaged(error: TelosError): void {
    this.#broken ??= error;
    this.#parts.options.log?.('error', 'journal.damaged', { error: error.message });
    if (this.#closed === null) this.#parts.options.onDamage?.(error);
  }
}
