/**
 * The audit of a whole image: every key with its CRC, the chain, the head, and all that is derived (snapshots, history, names, outbox,
 * timers, dead letters, saved replies) against a replay of all commit records. Opens for reading only, under the journal's lock (or beside
 * the kernel, see live-read.ts).
 *
 * Two steps. First everything is read once, in key order, and what fits in memory is checked on the way (ledger.ts). Then the objects
 * are replayed in as many parts as the memory needs (audit-objects.ts).
 */
import { TelosError } from '../../protocol/index.js';
import { acquireLock, imagePaths, type ImagePaths } from '../image/index.js';
import { auditObjects } from './audit-objects.js';
import { readHead, type HeadContent } from './head.js';
import { imageExists, readMetaOf } from './open.js';
import { Ledger } from './ledger.js';
import { openLive, readHeadLive } from './live-read.js';
import { checkLogs, checkTables, readRows } from './read-through.js';
import { journalBytes } from './reserve.js';
import { openDatabase, type Database, type DatabaseOptions } from './rocksdb.js';

export interface Problem {
  /** `commit record 15`, `object #a.7`, `head`, … */
  readonly place: string;
  readonly message: string;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly turns: number;
  readonly objects: number;
  readonly keys: number;
  readonly problems: readonly Problem[];
}

export interface VerifyOptions extends DatabaseOptions {
  /** A kernel serves the image: read beside it, without its lock. RocksDB shows the state of one moment, which is a group's end. */
  readonly live?: boolean;
  /** `done` keys or turns of about `total` (0: unknown). */
  readonly onProgress?: (phase: 'reading' | 'replaying', done: number, total: number) => void;
}

/** More than this are counted, not listed. */
const MAX_PROBLEMS = 1000;
const PROGRESS_EVERY = 10_000;

export type Report = (place: string, message: string) => void;

class Problems {
  readonly list: Problem[] = [];
  #more = 0;

  readonly add: Report = (place, message) => {
    if (this.list.length < MAX_PROBLEMS) this.list.push({ place, message });
    else this.#more++;
  };

  all(): Problem[] {
    return this.#more === 0
      ? this.list
      : [...this.list, { place: 'image', message: `${this.#more} more problems are not listed` }];
  }
}

/**
 * @throws TelosError NO_IMAGE, IMAGE_LOCKED, IMAGE_NEWER, NO_PERMISSION, STORAGE_FAILED; damage is a problem in the report
 */
export async function verifyImage(dir: string, options: VerifyOptions): Promise<VerifyReport> {
  const paths = imagePaths(dir);
  if (!imageExists(dir)) throw new TelosError('NO_IMAGE', `${paths.root} holds no image`);
  const lock = options.live === true ? undefined : await acquireLock(dir, 'journal');
  try {
    return await verifyLocked(paths, options);
  } finally {
    lock?.release();
  }
}

/** Runs a check; damage that it meets is a problem, everything else is thrown. */
async function noting<R>(report: Report, place: string, check: () => Promise<R> | R): Promise<R | undefined> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof TelosError) || !['DAMAGED', 'MALFORMED'].includes(error.code)) throw error;
    report(place, error.message);
    return undefined;
  }
}

async function verifyLocked(paths: ImagePaths, options: VerifyOptions): Promise<VerifyReport> {
  const problems = new Problems();
  const head = await noting(problems.add, 'head', () =>
    options.live === true ? readHeadLive(paths.head) : readHead(paths.head),
  );
  for (const slot of head?.damaged ?? [])
    problems.add('head', `slot ${slot} of ${paths.head} does not have the content that was written`);
  const ledger = new Ledger(problems.add);
  const db = await noting(problems.add, 'journal', () =>
    options.live === true ? openLive(paths, options) : openDatabase(paths.journal, options, 'read'),
  );
  try {
    if (db !== undefined) await verifyDatabase(db, paths, head, ledger, problems.add, options);
  } finally {
    await db?.close();
  }
  const { turns, objects, rows } = ledger;
  return { ok: problems.list.length === 0, turns, objects, keys: rows, problems: problems.all() };
}

/** Damage found in a table or log names its file. */
function placeOf({ details }: TelosError): string {
  const file = typeof details === 'object' && details !== null && 'file' in details ? details.file : undefined;
  return typeof file === 'string' ? `journal/${file}` : 'journal';
}

async function verifyDatabase(
  db: Database,
  paths: ImagePaths,
  head: HeadContent | undefined,
  ledger: Ledger,
  report: Report,
  options: VerifyOptions,
): Promise<void> {
  const damaged = (error: TelosError): void => report(placeOf(error), error.message);
  if (!(await checkTables(db, { damaged, replaced: options.live === true })))
    return report('journal', 'its keys were not read, since RocksDB can not read a damaged table');
  await checkLogs(db, { damaged, replaced: options.live === true });
  const meta = await noting(report, 'meta', () => readMetaOf(db));
  if (meta === undefined) report('meta', `the journal in ${paths.journal} has lost its meta fields`);
  ledger.expectEnd(meta, head?.state);
  const each = (key: Buffer, stored: Buffer): void => {
    ledger.row(key, stored);
    if (ledger.rows % PROGRESS_EVERY === 0) options.onProgress?.('reading', ledger.rows, 0);
  };
  await noting(report, 'journal', () => readRows(db, { each, damaged }));
  ledger.finish();
  const onTurns = (done: number): void => options.onProgress?.('replaying', done, ledger.turns);
  await noting(report, 'journal', () =>
    auditObjects(db, { bytes: journalBytes(paths.root), mark: ledger.mark, report, onTurns }),
  );
}
