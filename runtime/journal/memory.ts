/**
 * The journal in memory: the double for tests and simulation. It seals, chains and checks as the real one does, loses in a crash
 * what was not synced, and fails or dawdles when told to. Deterministic: nothing in it takes time but what is scheduled.
 *
 *   D1  `crash` leaves a prefix of the applied groups that holds at least all synced ones; no group is left in part.
 */
import { randomUUID } from 'node:crypto';
import { TelosError } from '../../protocol/index.js';
import { birthPuts, META_KEYS, NEW_END, readMeta, sealGroup, type JournalEnd } from './end.js';
import type { GroupWrite, ImageIdentity, JournalPort, JournalStats, Key, KeyRange } from './port.js';
import { GENERATION } from './records.js';
import { openValue } from './seal.js';

const textKey = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');

/** Bytes in key order. Keys are latin1 text inside: code unit order is byte order. */
class SortedMap {
  readonly #values = new Map<string, Buffer>();
  #order: string[] = [];
  /** Keys added since the order was last brought up to date. */
  #added: string[] = [];
  #removed = false;

  get(key: string): Buffer | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: Buffer): void {
    if (!this.#values.has(key)) this.#added.push(key);
    this.#values.set(key, value);
  }

  delete(key: string): void {
    if (this.#values.delete(key)) this.#removed = true;
  }

  /** All keys in order. */
  ordered(): readonly string[] {
    if (this.#added.length > 0 || this.#removed) {
      const known = new Set(this.#order);
      const fresh = [...new Set(this.#added)].filter((key) => !known.has(key));
      this.#order = this.#order.concat(fresh).filter((key) => this.#values.has(key));
      this.#order.sort((a, b) => (a < b ? -1 : 1));
      this.#added = [];
      this.#removed = false;
    }
    return this.#order;
  }
}

type Undo = () => void;

/** Position of the first key that is not below `key`. */
function lowerBound(order: readonly string[], key: string): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((order[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The disk below a MemoryJournal: outlives it. All is synchronous, so a simulation can drive it by itself. */
export class MemoryStore {
  readonly #map = new SortedMap();
  /** One entry for each applied group that is not synced. */
  #unsynced: Undo[] = [];
  #end: JournalEnd = NEW_END;
  #incarnation = 0;
  syncs = 0;
  appends = 0;
  bytes = 0;

  constructor(
    readonly imageId: string = randomUUID(),
    readonly generation: number = GENERATION,
  ) {
    for (const [key, value] of birthPuts(imageId, generation)) this.#map.set(textKey(key), value as Buffer);
  }

  /** Begins a life: raises the incarnation (J5). @throws TelosError IMAGE_NEWER, DAMAGED */
  open(): ImageIdentity {
    const meta = readMeta(this.#read(META_KEYS));
    if (meta === undefined) throw new TelosError('DAMAGED', 'the memory store has lost its meta fields');
    if (meta.generation > GENERATION)
      throw new TelosError('IMAGE_NEWER', `the memory store is of generation ${meta.generation}`);
    this.#end = meta.end;
    const { seq: endSeq, chain } = this.#end;
    return { imageId: meta.imageId, generation: meta.generation, incarnation: this.raiseIncarnation(), endSeq, chain };
  }

  /** Durable at once. */
  raiseIncarnation(): number {
    return ++this.#incarnation;
  }

  get endSeq(): number {
    return this.#end.seq;
  }

  #read(keys: readonly Key[]): (Buffer | undefined)[] {
    return keys.map((key) => {
      const stored = this.#map.get(textKey(key));
      return stored === undefined ? undefined : openValue(key, stored);
    });
  }

  /** @throws TelosError DAMAGED */
  getMany(keys: readonly Key[]): (Buffer | undefined)[] {
    return this.#read(keys).map((value) => (value === undefined ? undefined : Buffer.from(value)));
  }

  /** @throws TelosError DAMAGED */
  page(range: KeyRange, limit: number): (readonly [Key, Buffer])[] {
    const order = this.#map.ordered();
    const low = range.gte
      ? lowerBound(order, textKey(range.gte))
      : range.gt
        ? lowerBound(order, `${textKey(range.gt)}\0`)
        : 0;
    const high = range.lt
      ? lowerBound(order, textKey(range.lt))
      : range.lte
        ? lowerBound(order, `${textKey(range.lte)}\0`)
        : order.length;
    const rows: (readonly [Key, Buffer])[] = [];
    for (let i = 0; i < Math.min(limit, high - low); i++) {
      const text = order[range.reverse === true ? high - 1 - i : low + i] as string;
      const key = Buffer.from(text, 'latin1');
      rows.push([key, Buffer.from(openValue(key, this.#map.get(text) as Buffer))]);
    }
    return rows;
  }

  /** Writes a group whole, without syncing it. @throws TelosError INTERNAL when it does not follow (J2) */
  apply(group: GroupWrite): void {
    const before = this.#end;
    const { end, puts, deletes, bytes } = sealGroup(before, group);
    const old = new Map<string, Buffer | undefined>();
    for (const key of [...puts.map(([key]) => key), ...deletes]) {
      const text = textKey(key);
      if (!old.has(text)) old.set(text, this.#map.get(text));
    }
    for (const [key, value] of puts) this.#map.set(textKey(key), value as Buffer);
    for (const key of deletes) this.#map.delete(textKey(key));
    this.#end = end;
    this.appends++;
    this.bytes += bytes;
    this.#unsynced.push(() => this.#undo(old, before));
  }

  #undo(old: ReadonlyMap<string, Buffer | undefined>, end: JournalEnd): void {
    for (const [key, value] of old) {
      if (value === undefined) this.#map.delete(key);
      else this.#map.set(key, value);
    }
    this.#end = end;
  }

  /** Makes all that was applied durable. */
  sync(): void {
    this.#unsynced = [];
    this.syncs++;
  }

  get unsyncedGroups(): number {
    return this.#unsynced.length;
  }

  /** A power cut: of the groups that were not synced the first `survivors` happen to be on the disk, the others are gone. */
  crash(survivors = 0): void {
    while (this.#unsynced.length > survivors) (this.#unsynced.pop() as Undo)();
    this.#unsynced = [];
  }

  /** Flips one bit of the stored value, as a bad disk does. */
  flipBit(key: Key, byte = 0): void {
    const stored = this.#map.get(textKey(key));
    if (stored === undefined) throw new TelosError('INTERNAL', `no such key to damage: ${key.toString('hex')}`);
    const changed = Buffer.from(stored);
    changed[byte] = (changed[byte] ?? 0) ^ 1;
    this.#map.set(textKey(key), changed);
  }
}

export type StorageOperation = 'write' | 'sync' | 'read' | 'page';

export interface MemoryJournalOptions {
  /** When an operation is done is decided here; by default at the next turn of the event loop. */
  readonly schedule?: (done: () => void, operation: StorageOperation) => void;
  readonly readOnly?: boolean;
}

interface PlannedFailure {
  error: TelosError;
  /** The group is on the disk though its append rejects. */
  written: boolean;
}

/** One life of a journal on a MemoryStore. */
export class MemoryJournal implements JournalPort {
  readonly identity: ImageIdentity;
  readonly readOnly: boolean;
  readonly #schedule: (done: () => void, operation: StorageOperation) => void;
  readonly #failures = new Map<number, PlannedFailure>();
  #count = 0;
  #appending = false;
  #broken: TelosError | null = null;

  constructor(
    readonly store: MemoryStore = new MemoryStore(),
    options: MemoryJournalOptions = {},
  ) {
    this.identity = store.open();
    this.readOnly = options.readOnly ?? false;
    this.#schedule = options.schedule ?? ((done) => void setImmediate(done));
  }

  /** The nth append from now (1: the next) rejects; `written`: after it had reached the disk. */
  failAppend(
    nth: number,
    error: TelosError = new TelosError('STORAGE_FAILED', 'planned failure'),
    written = false,
  ): void {
    this.#failures.set(this.#count + nth, { error, written });
  }

  async append(group: GroupWrite): Promise<void> {
    if (this.readOnly) throw new TelosError('DISK_FULL', 'the journal was opened without room to write');
    if (this.#broken !== null) throw this.#broken;
    if (this.#appending) throw new TelosError('INTERNAL', 'an append is under way');
    this.#appending = true;
    try {
      await this.#append(group);
    } finally {
      this.#appending = false;
    }
  }

  async #append(group: GroupWrite): Promise<void> {
    const failure = this.#failures.get(++this.#count);
    await this.#when('write');
    this.#checkOpen();
    if (failure === undefined || failure.written) this.store.apply(group);
    await this.#when('sync');
    this.#checkOpen();
    if (failure !== undefined) throw (this.#broken = failure.error);
    this.store.sync();
  }

  async getMany(keys: readonly Key[]): Promise<(Buffer | undefined)[]> {
    await this.#when('read');
    this.#checkOpen();
    return this.store.getMany(keys);
  }

  async page(range: KeyRange, limit: number): Promise<(readonly [Key, Buffer])[]> {
    await this.#when('page');
    this.#checkOpen();
    return this.store.page(range, limit);
  }

  async raiseIncarnation(): Promise<number> {
    await this.#when('sync');
    this.#checkOpen();
    return this.store.raiseIncarnation();
  }

  stats(): JournalStats {
    return { appends: this.store.appends, syncs: this.store.syncs, bytes: this.store.bytes };
  }

  /** A power cut: this life ends, what was under way never answers well, and the store loses what was not synced. */
  crash(survivors = 0): void {
    this.#broken = new TelosError('STORAGE_FAILED', 'the power was cut');
    this.store.crash(survivors);
  }

  async close(): Promise<void> {
    this.#broken ??= new TelosError('STORAGE_FAILED', 'the journal is closed');
  }

  #checkOpen(): void {
    if (this.#broken !== null) throw this.#broken;
  }

  #when(operation: StorageOperation): Promise<void> {
    return new Promise((resolve) => this.#schedule(resolve, operation));
  }
}
