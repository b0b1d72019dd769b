/**
 * Finds damage before it is met. First the tables, block by block, without RocksDB (table-file.ts tells why); then, where everything is
 * to be read, every key with its own CRC.
 */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as nextTick } from 'node:timers/promises';
import { TelosError } from '../../protocol/index.js';
import { errnoOf } from '../image/index.js';
import { rangeOf } from './keys.js';
import type { Key } from './port.js';
import { decodeRecord, type GroupRecord } from './records.js';
import type { Database } from './rocksdb.js';
import { describeKey, openValue } from './seal.js';
import { checkLogFile } from './log-file.js';
import { checkTableFile } from './table-file.js';

const PAGE_ROWS = 1000;

interface Damage {
  /** Asked from time to time: true ends the reading. */
  readonly stopped?: () => boolean;
  /** Told of damage; without this it is thrown. Reading goes on where that is possible. */
  readonly damaged?: (error: TelosError) => void;
}

export interface FileOptions extends Damage {
  /** The journal is being written, here or elsewhere: files may be replaced meanwhile. */
  readonly replaced?: boolean;
}

export interface TableOptions extends FileOptions {
  /** Awaited between the pieces that are read. */
  readonly pause?: () => Promise<void>;
}

export interface RowOptions extends Damage {
  /** Sees every row whose CRC is right. */
  readonly each?: (key: Key, stored: Buffer) => void;
}

function report(error: unknown, { damaged }: Damage): void {
  if (damaged === undefined || !(error instanceof TelosError) || error.code !== 'DAMAGED') throw error;
  damaged(error);
}

/** Bytes of keys with numbers, by their letter. */
const NUMERIC: Record<string, number> = { j: 9, q: 9, l: 9, d: 17, t: 17, s: 17 };

/** Separators in an index may be shortened keys, with RocksDB's own suffix or without. */
function nameKey(key: Uint8Array): string {
  const length = NUMERIC[String.fromCharCode(key[0] ?? 0)];
  return describeKey(
    length === undefined ? key.filter((byte) => byte >= 0x20 && byte < 0x7f) : key.subarray(0, length),
  );
}

/** Tables that the database lives on: others are left over from a crash, and may be torn. */
function liveTables(db: Database): string[] {
  const listing = db.property('rocksdb.sstables');
  return [...listing.matchAll(/^ *(\d+):\d+\[/gm)].map(([, number]) =>
    join(db.location, `${(number as string).padStart(6, '0')}.sst`),
  );
}

/**
 * Checks all tables. @returns whether all were found to be whole
 * @throws TelosError DAMAGED naming file, offset and keys, STORAGE_FAILED
 */
export async function checkTables(db: Database, options: TableOptions = {}): Promise<boolean> {
  let whole = true;
  for (const path of liveTables(db)) {
    if (options.stopped?.() === true) return whole;
    try {
      await checkTableFile(path, { nameKey, pause: () => options.pause?.() });
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' && options.replaced === true) continue;
      report(unreadable(path, error), options);
      whole = false;
    }
  }
  return whole;
}

function unreadable(path: string, error: unknown): TelosError {
  if (errnoOf(error) === 'ENOENT')
    return new TelosError('DAMAGED', `${path} is missing`, { details: { file: basename(path) } });
  return error instanceof TelosError
    ? error
    : new TelosError('STORAGE_FAILED', `could not read ${path}: ${String(error)}`, { cause: error });
}

/** Logs that the database has still to read when it opens. */
function liveLogs(db: Database): string[] {
  const first = Number(db.property('rocksdb.min-log-number-to-keep'));
  const numbers = readdirSync(db.location).flatMap((file) => (/^\d+\.log$/.test(file) ? [parseInt(file, 10)] : []));
  return numbers
    .filter((number) => number >= first)
    .sort((a, b) => a - b)
    .map((number) => join(db.location, `${String(number).padStart(6, '0')}.log`));
}

/** Checks all logs of a database that is open for reading only. @returns and @throws as checkTables */
export async function checkLogs(db: Database, options: FileOptions = {}): Promise<boolean> {
  const logs = liveLogs(db);
  let whole = true;
  for (const [i, path] of logs.entries()) {
    try {
      await checkLogFile(path, i === logs.length - 1);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' && options.replaced === true) continue;
      report(unreadable(path, error), options);
      whole = false;
    }
  }
  return whole;
}

/** Reads every key. Only after `checkTables`. @throws TelosError DAMAGED naming the key, STORAGE_FAILED */
export async function readRows(db: Database, options: RowOptions = {}): Promise<void> {
  let last: Key | undefined;
  while (options.stopped?.() !== true) {
    const rows = await db.page(last === undefined ? {} : { gt: last }, PAGE_ROWS);
    if (rows.length === 0) return;
    for (const [key, stored] of rows) readRow(key, stored, options);
    last = rows[rows.length - 1]?.[0];
    await nextTick();
  }
}

function readRow(key: Key, stored: Buffer, options: RowOptions): void {
  try {
    openValue(key, stored);
  } catch (error) {
    report(error, options);
    return;
  }
  options.each?.(key, stored);
}

/** The first turns that are missing between others. Only after `checkTables`. */
export async function firstGap(db: Database): Promise<[from: number, to: number] | undefined> {
  const { gte, lt } = rangeOf('j');
  let range: { gte?: Key; gt?: Key; lt: Key } = { gte, lt };
  let next = 1;
  for (;;) {
    const rows = await db.page(range, PAGE_ROWS);
    for (const [key, stored] of rows) {
      const [, first, , turns] = decodeRecord<GroupRecord>(openValue(key, stored), describeKey(key));
      if (first > next) return [next, first - 1];
      next = first + turns.length;
    }
    const last = rows[rows.length - 1];
    if (last === undefined) return undefined;
    range = { gt: last[0], lt };
  }
}
