/**
 * Reads every key of a journal: RocksDB opens a damaged table without an error, and its iterators skip the checksums of blocks.
 * So each value's own CRC is checked, and each key is looked up too, which makes RocksDB check block, index and filter.
 */
import { setImmediate as nextTick } from 'node:timers/promises';
import { TelosError } from '../../protocol/index.js';
import type { Key } from './port.js';
import type { Database } from './rocksdb.js';
import { describeKey, openValue } from './seal.js';

const PAGE_ROWS = 1000;

export type StoredRow = readonly [key: Key, stored: Buffer];

export interface ReadThroughOptions {
  /** Asked before each page: true ends the reading. */
  readonly stopped?: () => boolean;
  /** Sees every row, its CRC checked. */
  readonly each?: (key: Key, stored: Buffer) => void;
  /** Damage; without this it is thrown. Reading goes on where that is possible. */
  readonly damaged?: (error: TelosError) => void;
}

function atPlace(error: unknown, last: Key | undefined): unknown {
  if (!(error instanceof TelosError) || error.code !== 'DAMAGED') return error;
  const place = last === undefined ? 'at the first key' : `after ${describeKey(last)}`;
  return new TelosError('DAMAGED', `${place}: ${error.message}`, { cause: error });
}

/** @throws TelosError DAMAGED naming the place, STORAGE_FAILED */
export async function readThrough(db: Database, options: ReadThroughOptions = {}): Promise<void> {
  let last: Key | undefined;
  const report = (error: unknown): void => {
    if (options.damaged === undefined || !(error instanceof TelosError) || error.code !== 'DAMAGED') throw error;
    options.damaged(error);
  };
  while (options.stopped?.() !== true) {
    let rows: StoredRow[];
    try {
      rows = await db.page(last === undefined ? {} : { gt: last }, PAGE_ROWS);
    } catch (error) {
      return report(atPlace(error, last));
    }
    if (rows.length === 0) return;
    for (const [key, stored] of rows) checkRow(key, stored, options, report);
    await checkLookUp(db, rows, report);
    last = rows[rows.length - 1]?.[0];
    await nextTick();
  }
}

function checkRow(key: Key, stored: Buffer, options: ReadThroughOptions, report: (error: unknown) => void): void {
  try {
    openValue(key, stored);
  } catch (error) {
    return report(error);
  }
  options.each?.(key, stored);
}

async function checkLookUp(db: Database, rows: readonly StoredRow[], report: (error: unknown) => void): Promise<void> {
  const first = rows[0]?.[0] as Key;
  try {
    const found = await db.getMany(
      rows.map(([key]) => key),
      false,
    );
    const missing = found.indexOf(undefined);
    if (missing >= 0) {
      const key = rows[missing]?.[0] as Key;
      report(new TelosError('DAMAGED', `${describeKey(key)} stands in the journal but is not found when asked for`));
    }
  } catch (error) {
    report(error instanceof TelosError && error.code === 'DAMAGED' ? new TelosError('DAMAGED', `at or after ${describeKey(first)}: ${error.message}`) : error);
  }
}
