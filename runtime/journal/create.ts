/** Making an empty image. */
import { randomUUID } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TelosError } from '../../protocol/index.js';
import { acquireLock, prepareImage, type ImagePaths } from '../image/index.js';
import { birthPuts, NEW_END } from './end.js';
import { createHead } from './head.js';
import { readMetaOf } from './open.js';
import { GENERATION } from './records.js';
import { diskFull, hasRoom, makeReserve, reserveBytes } from './reserve.js';
import { openDatabase, type DatabaseOptions } from './rocksdb.js';

export interface CreateOptions extends DatabaseOptions {
  readonly imageId?: string;
  /** Another than this version's, for tests of migration and refusal. */
  readonly generation?: number;
}

/** A journal without content whose head was never written: its making was interrupted. */
async function removeUnfinished(paths: ImagePaths, options: DatabaseOptions): Promise<void> {
  if (!existsSync(join(paths.journal, 'CURRENT'))) return rmSync(paths.journal, { recursive: true, force: true });
  const db = await openDatabase(paths.journal, options, 'read');
  try {
    const meta = await readMetaOf(db);
    if (meta !== undefined && meta.end.groups > 0)
      throw new TelosError('DAMAGED', `${paths.head} is missing; the journal ends at turn ${meta.end.seq}`);
  } finally {
    await db.close();
  }
  rmSync(paths.journal, { recursive: true, force: true });
}

/**
 * Makes an empty image: directories, journal, reserve and head, the head last. An interrupted call can be repeated.
 * @returns false when there is an image already, which is left as it is
 * @throws TelosError BAD_PATH, NO_PERMISSION, DISK_FULL, IMAGE_LOCKED, DAMAGED
 */
export async function createImage(dir: string, options: CreateOptions): Promise<boolean> {
  const paths = prepareImage(dir);
  if (existsSync(paths.head)) return false;
  const lock = await acquireLock(dir, 'journal');
  try {
    if (existsSync(paths.head)) return false;
    await removeUnfinished(paths, options);
    if (!(await hasRoom(dir, options.writeBufferBytes))) throw diskFull(dir, options.writeBufferBytes);
    const db = await openDatabase(paths.journal, options, 'create');
    const generation = options.generation ?? GENERATION;
    try {
      await db.write(birthPuts(options.imageId ?? randomUUID(), generation), []);
    } finally {
      await db.close();
    }
    if (!(await makeReserve(paths.reserve, reserveBytes(options.writeBufferBytes))))
      throw diskFull(dir, options.writeBufferBytes);
    await createHead(paths.head, { ...NEW_END, generation, incarnation: 0 });
    return true;
  } finally {
    lock.release();
  }
}
