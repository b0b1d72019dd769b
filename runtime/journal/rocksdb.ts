/**
 * RocksDB as promises, with its errors as ours. The one importer of rocksdb; it knows bytes only: seals, chain and head are above.
 *
 *   R1  Only Buffers go in: a plain Uint8Array would be stored as the text of its numbers.
 *   R2  Every write is synced.
 *   R3  Iterators end before the call that made them returns, and close waits for every call under way.
 *
 * The add-on is loaded by the first `openDatabase`, so that whoever only needs the port does not load native code.
 */
import type { Operation, RocksDb, RocksIterator } from 'rocksdb';
import { TelosError, type ErrorCode } from '../../protocol/index.js';
import type { Key, KeyRange, Put } from './port.js';

/** Bytes that one trip to RocksDB's thread may bring back while iterating. */
const PAGE_BYTES = 1024 * 1024;

export interface DatabaseOptions {
  readonly writeBufferBytes: number;
  readonly cacheBytes: number;
  readonly maxOpenFiles: number;
}

export type OpenMode = 'create' | 'write' | 'read';

const CAUSES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/No space left|Disk quota|File too large|not enough space/i, 'DISK_FULL'],
  [/While lock file|lock hold by|LOCK: /i, 'IMAGE_LOCKED'],
  [/Permission denied|Read-only file system|Access is denied|Operation not permitted/i, 'NO_PERMISSION'],
  [/Corruption|create_if_missing|No such file|does not exist|checksum/i, 'DAMAGED'],
];

/** An error of RocksDB has no code, only a text: this is the one place that reads it. */
export function databaseError(thrown: unknown, doing: string): TelosError {
  if (thrown instanceof TelosError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const code = CAUSES.find(([pattern]) => pattern.test(text))?.[1] ?? 'STORAGE_FAILED';
  return new TelosError(code, `could not ${doing}: ${text}`, { cause: thrown });
}

async function load(): Promise<(location: string) => RocksDb> {
  try {
    return (await import('rocksdb')).default;
  } catch (cause) {
    throw new TelosError('MISSING_DEPENDENCY', `the package rocksdb can not be loaded: ${String(cause)}`, { cause });
  }
}

/** @throws TelosError IMAGE_LOCKED, DISK_FULL, DAMAGED, NO_PERMISSION, STORAGE_FAILED */
export async function openDatabase(location: string, options: DatabaseOptions, mode: OpenMode): Promise<Database> {
  const db = (await load())(location);
  await callback(`open ${location}`, (done) =>
    db.open(
      {
        createIfMissing: mode === 'create',
        readOnly: mode === 'read',
        cacheSize: options.cacheBytes,
        writeBufferSize: options.writeBufferBytes,
        maxOpenFiles: options.maxOpenFiles,
      },
      done,
    ),
  );
  return new Database(db, location);
}

/** Runs a call of the add-on, which tells its end by a callback. */
function callback<R = void>(
  doing: string,
  call: (done: (error: Error | null | undefined, result: R) => void) => void,
): Promise<R> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(databaseError(error, doing)) : resolve(result)));
  });
}

export class Database {
  readonly #db: RocksDb;
  readonly location: string;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed: Promise<void> | null = null;

  constructor(db: RocksDb, location: string) {
    this.#db = db;
    this.location = location;
  }

  /** Writes all of it or nothing, synced. */
  write(puts: readonly Put[], deletes: readonly Key[]): Promise<void> {
    const operations: Operation[] = [];
    for (const [key, value] of puts) operations.push({ type: 'put', key: onlyBuffer(key), value: onlyBuffer(value) });
    for (const key of deletes) operations.push({ type: 'del', key: onlyBuffer(key) });
    return this.#track(
      callback(`write to ${this.location}`, (done) => this.#db.batch(operations, { sync: true }, done)),
    );
  }

  /** `fillCache` false for reads that pass over everything once. */
  getMany(keys: readonly Key[], fillCache = true): Promise<(Buffer | undefined)[]> {
    return this.#track(
      callback(`read from ${this.location}`, (done) => this.#db.getMany(keys.map(onlyBuffer), { fillCache }, done)),
    );
  }

  page(range: KeyRange, limit: number): Promise<[Key, Buffer][]> {
    return this.#track(this.#page(range, limit));
  }

  async #page(range: KeyRange, limit: number): Promise<[Key, Buffer][]> {
    const iterator = this.#db.iterator({ ...range, limit, highWaterMark: PAGE_BYTES });
    try {
      return await callback(`read from ${this.location}`, (done) => readAll(iterator, done));
    } finally {
      await callback(`end reading from ${this.location}`, (done) => iterator.end(done));
    }
  }

  /** A property of RocksDB, '' when it does not know it. */
  property(name: string): string {
    return this.#closed === null ? this.#db.getProperty(name) : '';
  }

  #track<R>(call: Promise<R>): Promise<R> {
    if (this.#closed !== null) return Promise.reject(new TelosError('STORAGE_FAILED', `${this.location} is closed`));
    const forget = (): void => void this.#underWay.delete(call);
    this.#underWay.add(call);
    call.then(forget, forget);
    return call;
  }

  /** Idempotent. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    await callback(`close ${this.location}`, (done) => this.#db.close(done));
  }
}

function readAll(
  iterator: RocksIterator,
  done: (error: Error | null | undefined, rows: [Key, Buffer][]) => void,
): void {
  const rows: [Key, Buffer][] = [];
  const step = (error: Error | null | undefined, key?: Buffer, value?: Buffer): void => {
    if (error) return done(error, rows);
    if (key === undefined || value === undefined) return done(null, rows);
    rows.push([key, value]);
    iterator.next(step);
  };
  iterator.next(step);
}

function onlyBuffer(bytes: Uint8Array): Buffer {
  if (!Buffer.isBuffer(bytes)) throw new TelosError('INTERNAL', 'RocksDB was given a Uint8Array that is no Buffer');
  return bytes;
}
