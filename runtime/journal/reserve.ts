/**
 * Owns: the file `reserve`, twice the write buffer. On a full disk it is freed for the one thing that needs room before anything can be
 * freed: RocksDB writes its log out as a table when it opens.
 *
 *   V1  The journal is opened for writing only where, besides the reserve, there is room for one more write buffer and for a
 *       compaction; so a full disk means reading only, never a loop of reopening and failing.
 *   V2  The reserve is made anew before the journal serves writes.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TelosError } from '../../protocol/index.js';
import { fileError, imagePaths, isFull } from '../image/index.js';

/** Write buffers that a compaction may take at once. */
const COMPACTION_BUFFERS = 4;
const CHUNK_BYTES = 1024 * 1024;

export const reserveBytes = (writeBufferBytes: number): number => 2 * writeBufferBytes;

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

export async function freeBytes(dir: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  } catch (error) {
    throw fileError(error, 'read the free space of', dir);
  }
}

/** Random bytes, so that no volume stores them as nothing. */
async function fill(path: string, from: number, to: number): Promise<void> {
  const file = await open(path, from === 0 ? 'w' : 'r+', 0o600);
  const chunk = randomBytes(CHUNK_BYTES);
  try {
    for (let at = from; at < to; at += CHUNK_BYTES) await file.write(chunk, 0, Math.min(CHUNK_BYTES, to - at), at);
    await file.sync();
  } catch (error) {
    await file.truncate(from).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

/** Makes the reserve, or what is missing of it. False: there is no room. @throws TelosError NO_PERMISSION, STORAGE_FAILED */
export async function makeReserve(path: string, bytes: number): Promise<boolean> {
  const size = sizeOf(path);
  if (size >= bytes) return true;
  if ((await freeBytes(dirname(path))) < bytes - size) return false;
  try {
    await fill(path, size, bytes);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw fileError(error, 'write', path);
  }
}

export const freeReserve = (path: string): void => rmSync(path, { force: true });

/** Bytes of tables and logs. */
export function journalBytes(dir: string): number {
  const { journal } = imagePaths(dir);
  if (!existsSync(journal)) return 0;
  let bytes = 0;
  for (const file of readdirSync(journal)) bytes += sizeOf(join(journal, file));
  return bytes;
}

/** What must be free besides the reserve: a compaction writes its tables before it deletes those that they replace. */
const workBytes = (dir: string, writeBufferBytes: number): number =>
  writeBufferBytes + Math.min(journalBytes(dir), COMPACTION_BUFFERS * writeBufferBytes);

/** V1: may the journal be opened for writing? */
export async function hasRoom(dir: string, writeBufferBytes: number): Promise<boolean> {
  const { root, reserve } = imagePaths(dir);
  const available = (await freeBytes(root)) + sizeOf(reserve);
  return available >= reserveBytes(writeBufferBytes) + workBytes(dir, writeBufferBytes);
}

/** Is there so little beside the reserve that opening for writing needs it? */
export async function needsReserve(dir: string, writeBufferBytes: number): Promise<boolean> {
  return (await freeBytes(imagePaths(dir).root)) < 2 * writeBufferBytes;
}

/** Tries whether a write buffer can really be written: quotas and limits don't show in the free space. */
async function probe(path: string, bytes: number): Promise<boolean> {
  try {
    await fill(path, 0, bytes);
    return true;
  } catch (error) {
    if (isFull(error)) return false;
    throw fileError(error, 'write', path);
  } finally {
    rmSync(path, { force: true });
  }
}

/**
 * For an image that serves reading only because its disk was full: is there room again? Makes the reserve anew if so.
 * Then the journal is to be closed and opened anew.
 */
export async function roomAgain(dir: string, writeBufferBytes: number): Promise<boolean> {
  if (!(await hasRoom(dir, writeBufferBytes))) return false;
  const { reserve } = imagePaths(dir);
  if (!(await makeReserve(reserve, reserveBytes(writeBufferBytes)))) return false;
  return probe(`${reserve}.probe`, writeBufferBytes);
}

export function diskFull(dir: string, writeBufferBytes: number): TelosError {
  const needed = Math.ceil((reserveBytes(writeBufferBytes) + workBytes(dir, writeBufferBytes)) / 2 ** 20);
  return new TelosError(
    'DISK_FULL',
    `there is no room on the volume of ${dir}: the image needs ${needed} MiB besides its data`,
  );
}
