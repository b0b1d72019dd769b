/**
 * Opening an image's journal: find damage first, write after.
 *
 *   1. take the journal's lock            5. compare its end with `head`, read every key if it is small enough
 *   2. read `head`                        6. see whether there is room to write
 *   3. open for reading only              7. open for writing
 *   4. check its logs, and its tables     8. raise the incarnation in `head`, synced
 *
 * RocksDB opens a damaged log without an error and rewrites it without what it could not read, be that at the end or in the middle;
 * opened for reading only it leaves it as it is. So
 * nothing of the image is changed before step 7, and what step 7 sees must be what step 5 saw.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TelosError } from '../../protocol/index.js';
import { acquireLock, errnoOf, fileError, imagePaths, type ImagePaths, type Lock } from '../image/index.js';
import { META_KEYS, NEW_END, readMeta, type JournalEnd, type JournalMeta } from './end.js';
import { HeadFile, readHead, type HeadState } from './head.js';
import { keys } from './keys.js';
import type { JournalPort } from './port.js';
import { GENERATION } from './records.js';
import { diskFull, freeReserve, hasRoom, journalBytes, makeReserve, needsReserve, reserveBytes } from './reserve.js';
import { UncheckedLives } from './unchecked-lives.js';
import { RocksJournal } from './rocks-journal.js';
import { openDatabase, type Database, type DatabaseOptions } from './rocksdb.js';
import { checkLogs, checkTables, firstGap, readRows } from './read-through.js';
import { describeKey, openRecord, openValue } from './seal.js';

export type JournalLog = (level: 'info' | 'warn' | 'error', event: string, data: Record<string, unknown>) => void;

export interface JournalOptions extends DatabaseOptions {
  /** Journals up to this size are read through before they serve, larger ones in the background. */
  readonly verifyAtOpenBytes: number;
  /** Time between two syncs of `head`. */
  readonly headSyncMs: number;
  /** Look only: nothing is written, no life begins. For verify and inspection. */
  readonly readOnly?: boolean;
  /** Damage found in the background: the journal must not serve any more. */
  readonly onDamage?: (error: TelosError) => void;
  readonly log?: JournalLog;
}

/** Up to this many keys are read one by one when the journal is opened (about 6 µs each); the blocks that hold them are checked anyway. */
const MOST_ROWS = 50_000;

function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false;
    throw fileError(error, 'look for', path);
  }
}

/** @throws TelosError NO_PERMISSION when that can't be seen */
export function imageExists(dir: string): boolean {
  const { head, journal } = imagePaths(dir);
  return isThere(head) || isThere(join(journal, 'CURRENT'));
}

export async function readMetaOf(db: Database): Promise<JournalMeta | undefined> {
  const stored = await db.getMany(META_KEYS);
  return readMeta(
    stored.map((value, i) => (value === undefined ? undefined : openValue(META_KEYS[i] as Buffer, value))),
  );
}

// ---- opening -----------------------------------------------------------------------------------------------------------------

/**
 * @throws TelosError NO_IMAGE, IMAGE_LOCKED, IMAGE_NEWER (the image is left as it was), DAMAGED (naming the place; nothing was
 *   changed), NO_PERMISSION, DISK_FULL, STORAGE_FAILED
 */
export async function openJournal(dir: string, options: JournalOptions): Promise<JournalPort> {
  const paths = imagePaths(dir);
  if (!imageExists(dir)) throw new TelosError('NO_IMAGE', `${paths.root} holds no image`);
  const lock = await acquireLock(dir, 'journal');
  try {
    return await openLocked(paths, options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function openLocked(paths: ImagePaths, options: JournalOptions, lock: Lock): Promise<JournalPort> {
  const head = readHead(paths.head);
  for (const slot of head.damaged) options.log?.('warn', 'head.slotDamaged', { path: paths.head, slot });
  const reader = await openDatabase(paths.journal, options, 'read');
  const unchecked = new UncheckedLives(paths);
  const small = journalBytes(paths.root) <= options.verifyAtOpenBytes || unchecked.tooMany;
  let meta: JournalMeta;
  try {
    if (small) await checkTables(reader);
    await checkLogsOf(reader, small);
    meta = await checkEnd(reader, paths, head.state);
    if (small && Number(reader.property('rocksdb.estimate-num-keys')) <= MOST_ROWS) await readRows(reader);
  } catch (error) {
    await reader.close();
    throw error;
  }
  const parts = { dir: paths.root, meta, lock, options, unchecked: small ? null : unchecked };
  if (options.readOnly === true) {
    const refusal = new TelosError('READ_ONLY', `the journal of ${paths.root} was opened for reading only`);
    return new RocksJournal({ ...parts, db: reader, head: null, incarnation: head.state.incarnation, refusal });
  }
  const writer = await reopenForWriting(reader, paths, options, meta.end);
  const db = writer ?? (await openDatabase(paths.journal, options, 'read'));
  let headFile: HeadFile | undefined;
  try {
    headFile = await HeadFile.open(paths.head);
    const incarnation = await headFile.raiseIncarnation();
    const refusal = writer === undefined ? diskFull(paths.root, options.writeBufferBytes) : null;
    if (refusal !== null) options.log?.('warn', 'journal.readOnly', { path: paths.root, why: refusal.message });
    return new RocksJournal({ ...parts, db, head: headFile, incarnation, refusal });
  } catch (error) {
    await headFile?.close().catch(() => undefined);
    await db.close();
    throw error;
  }
}

/** `whole`: the tables were checked, so the turns that are missing can be named. */
async function checkLogsOf(db: Database, whole: boolean): Promise<void> {
  try {
    await checkLogs(db);
  } catch (error) {
    const gap = whole && error instanceof TelosError && error.code === 'DAMAGED' ? await firstGap(db) : undefined;
    if (gap === undefined) throw error;
    throw new TelosError('DAMAGED', `${(error as TelosError).message}; turns ${gap[0]} to ${gap[1]} are missing`, {
      details: { seq: gap[0] },
      cause: error,
    });
  }
}

/** J4: the journal reaches at least as far as `head`, and through the same record. */
async function checkEnd(db: Database, paths: ImagePaths, head: HeadState): Promise<JournalMeta> {
  const meta = await readMetaOf(db);
  if (meta === undefined)
    throw new TelosError(
      'DAMAGED',
      `the journal in ${paths.journal} has lost its meta fields; it should end at turn ${head.seq}`,
    );
  if (meta.generation > GENERATION) {
    throw new TelosError(
      'IMAGE_NEWER',
      `${paths.root} is of generation ${meta.generation}, this TelOS knows generations up to ${GENERATION}`,
    );
  }
  const { end } = meta;
  if (end.groups < head.groups || end.seq < head.seq) {
    throw new TelosError(
      'DAMAGED',
      `the journal in ${paths.journal} ends at turn ${end.seq}, but turns up to ${head.seq} were written: the log ${newestLog(paths)} is damaged after turn ${end.seq}`,
      { details: { seq: end.seq + 1, end: end.seq, head: head.seq } },
    );
  }
  const chain = end.seq === head.seq ? end.chain : await chainAt(db, head);
  if (!chain.equals(head.chain)) {
    throw new TelosError(
      'DAMAGED',
      `the chain hash of turn ${head.seq} in ${paths.journal} is not the one in ${paths.head}: they do not belong together`,
      {
        details: { seq: head.seq },
      },
    );
  }
  return meta;
}

const newestLog = (paths: ImagePaths): string => {
  const logs = readdirSync(paths.journal).filter((file) => /^\d+\.log$/.test(file));
  return logs.sort().at(-1) ?? '(there is none)';
};

/** Chain hash behind the group that `head` names last. A look-up, since an iterator must not meet a damaged table. */
async function chainAt(db: Database, { seq, first }: HeadState): Promise<Buffer> {
  if (seq === 0) return NEW_END.chain;
  const key = keys.record(first);
  const [stored] = await db.getMany([key]);
  if (stored === undefined)
    throw new TelosError('DAMAGED', `${describeKey(key)} is missing`, { details: { seq: first } });
  return openRecord(key, stored)[1];
}

// ---- room ---------------------------------------------------------------------------------------------------------------------

/**
 * Closes `reader` and opens for writing. Undefined: there is no room for that.
 * The reserve is freed for it when the disk is nearly full, and made anew before the journal serves.
 */
async function reopenForWriting(
  reader: Database,
  paths: ImagePaths,
  options: JournalOptions,
  seen: JournalEnd,
): Promise<Database | undefined> {
  await reader.close();
  if (!(await hasRoom(paths.root, options.writeBufferBytes))) return undefined;
  if (await needsReserve(paths.root, options.writeBufferBytes)) freeReserve(paths.reserve);
  let writer: Database | undefined;
  try {
    writer = await openDatabase(paths.journal, options, 'write');
    await expectSameEnd(writer, paths, seen);
    if (await makeReserve(paths.reserve, reserveBytes(options.writeBufferBytes))) return writer;
  } catch (error) {
    await writer?.close();
    if (error instanceof TelosError && error.code === 'DISK_FULL') return undefined;
    throw error;
  }
  await writer.close();
  return undefined;
}

async function expectSameEnd(db: Database, paths: ImagePaths, seen: JournalEnd): Promise<void> {
  const end = (await readMetaOf(db))?.end;
  if (end?.groups === seen.groups && end.seq === seen.seq) return;
  throw new TelosError(
    'DAMAGED',
    `the journal in ${paths.journal} ended at turn ${seen.seq} when read, and at turn ${end?.seq ?? 'unknown'} when opened for writing`,
  );
}
