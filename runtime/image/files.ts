/** Reading and writing the small files of an image, and what the errors of the file system mean. */
import { closeSync, fsyncSync, openSync, statSync, truncateSync } from 'node:fs';
import { open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TelosError, type ErrorCode } from '../../protocol/index.js';

/** A rename on Windows meets EPERM or EBUSY while a virus scanner or an indexer has the file open. */
const RENAME_TRIES = 10;
const RENAME_PAUSE_MS = 20;
/** What is taken from the reserve for one small file. */
const LOAN_BYTES = 256 * 1024;

const CODES: Record<string, ErrorCode> = {
  EACCES: 'NO_PERMISSION',
  EPERM: 'NO_PERMISSION',
  EROFS: 'NO_PERMISSION',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EFBIG: 'DISK_FULL',
  ENOTDIR: 'BAD_PATH',
  ENAMETOOLONG: 'BAD_PATH',
  ELOOP: 'BAD_PATH',
  EINVAL: 'BAD_PATH',
};

/** The code of an error of the file system (`ENOENT`). Not by class: such an error may come from another realm. */
export const errnoOf = (thrown: unknown): string | undefined =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined;

const textOf = (thrown: unknown): string =>
  typeof thrown === 'object' && thrown !== null && 'message' in thrown ? String(thrown.message) : String(thrown);

/** An error of the file system as ours, with the path and what was tried. */
export function fileError(thrown: unknown, doing: string, path: string): TelosError {
  if (thrown instanceof TelosError) return thrown;
  const errno = errnoOf(thrown);
  const code = (errno === undefined ? undefined : CODES[errno]) ?? 'STORAGE_FAILED';
  return new TelosError(code, `could not ${doing} ${path}: ${textOf(thrown)}`, { cause: thrown });
}

export const isFull = (thrown: unknown): boolean => {
  if (thrown instanceof TelosError) return thrown.code === 'DISK_FULL';
  const errno = errnoOf(thrown);
  return errno !== undefined && CODES[errno] === 'DISK_FULL';
};

let temporaries = 0;

/** A name next to `path` that no other process and no earlier call uses. */
const temporaryName = (path: string): string => `${path}.${process.pid}.${++temporaries}.tmp`;

/** Makes a rename or a new name in `dir` survive a power cut. Windows can't and needn't. */
export function syncDirectory(dir: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(dir, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

async function renameWithRetries(from: string, to: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rename(from, to);
    } catch (error) {
      const busy = ['EPERM', 'EBUSY', 'EACCES'].includes(errnoOf(error) ?? '');
      if (process.platform !== 'win32' || !busy || attempt === RENAME_TRIES) throw error;
      await sleep(RENAME_PAUSE_MS * attempt);
    }
  }
}

/** Shrinks the reserve by a little, so that a small file can be written on a full disk. False: there is nothing left to lend. */
export function borrowRoom(reserve: string): boolean {
  try {
    const size = statSync(reserve).size;
    if (size === 0) return false;
    truncateSync(reserve, Math.max(0, size - LOAN_BYTES));
    return true;
  } catch {
    return false;
  }
}

/** Runs a small write; on a full disk once more after room was borrowed from the reserve. */
export async function withRoom<R>(reserve: string | undefined, write: () => Promise<R>): Promise<R> {
  try {
    return await write();
  } catch (error) {
    if (reserve === undefined || !isFull(error) || !borrowRoom(reserve)) throw error;
    return await write();
  }
}

export interface WriteOptions {
  /** Permission bits of the new file, 0o600 unless said otherwise. */
  readonly mode?: number;
  /** Reserve to borrow room from on a full disk. */
  readonly reserve?: string;
}

/** Replaces a file as a whole: a reader finds the old content or the new, also after a power cut. */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const temporary = temporaryName(path);
  try {
    await withRoom(options.reserve, () => writeSynced(temporary, data, options.mode ?? 0o600));
    await renameWithRetries(temporary, path);
    syncDirectory(dirname(path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw fileError(error, 'write', path);
  }
}

async function writeSynced(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'w', mode);
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Content of a JSON file, or undefined when there is none or it is no JSON object. */
export async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
    throw fileError(error, 'read', path);
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
