/**
 * Owns: `run/locks/NAME.N`, a lock that survives nobody: it names its holder by pid, start time and place, and counts only while
 * that process runs.
 *
 *   L1  The lock is held by the file with the highest N, if its holder runs and has not released it.
 *   L2  The file with the highest N is never deleted, so whoever makes N + 1 and still finds it the highest is the only holder:
 *       a second process that judged N at the same time fails to make N + 1, or finds N + 2.
 */
import { linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TelosError } from '../../protocol/index.js';
import { errnoOf, fileError, withRoom } from './files.js';
import { imagePaths, placeOf } from './paths.js';
import { isRunning, myStartTime } from './process-times.js';

export interface Lock {
  /** Idempotent. */
  release(): void;
}

export type LockName = 'guardian' | 'kernel' | 'journal';

interface Holder {
  readonly pid: number;
  readonly startTime: string;
  readonly place: string;
}

const MAX_TRIES = 100;

const numbersOf = (locks: string, name: string): number[] =>
  readdirSync(locks)
    .flatMap((file) =>
      file.startsWith(`${name}.`) && /^\d+$/.test(file.slice(name.length + 1))
        ? [Number(file.slice(name.length + 1))]
        : [],
    )
    .sort((a, b) => a - b);

function readHolder(path: string): Holder | undefined {
  try {
    const [pid, startTime, place] = readFileSync(path, 'latin1').split(' ');
    if (pid === undefined || startTime === undefined || place === undefined) return undefined;
    return { pid: Number(pid), startTime, place };
  } catch {
    return undefined;
  }
}

async function findHolder(locks: string, name: string, highest: number, place: string): Promise<Holder | undefined> {
  const holder = highest === 0 ? undefined : readHolder(join(locks, `${name}.${highest}`));
  if (holder === undefined || holder.place !== place) return undefined;
  return (await isRunning(holder.pid, holder.startTime)) ? holder : undefined;
}

/** Who holds the lock now. */
export async function lockHolder(dir: string, name: LockName): Promise<number | undefined> {
  const { locks } = imagePaths(dir);
  try {
    return (await findHolder(locks, name, numbersOf(locks, name).at(-1) ?? 0, placeOf(dir)))?.pid;
  } catch {
    return undefined;
  }
}

/** @throws TelosError IMAGE_LOCKED when a running process holds it, NO_PERMISSION, DISK_FULL */
export async function acquireLock(dir: string, name: LockName): Promise<Lock> {
  const { locks, reserve } = imagePaths(dir);
  try {
    await mkdir(locks, { recursive: true });
    return await withRoom(reserve, () => tryToAcquire(dir, locks, name));
  } catch (error) {
    throw fileError(error, 'lock', join(locks, name));
  }
}

async function tryToAcquire(dir: string, locks: string, name: LockName): Promise<Lock> {
  const place = placeOf(dir);
  const mine = `${process.pid} ${await myStartTime()} ${place}`;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const highest = numbersOf(locks, name).at(-1) ?? 0;
    const holder = await findHolder(locks, name, highest, place);
    if (holder !== undefined) throw locked(dir, name, holder);
    const path = join(locks, `${name}.${highest + 1}`);
    if (!createWhole(path, mine)) continue;
    if (numbersOf(locks, name).at(-1) !== highest + 1) {
      rmSync(path, { force: true });
      continue;
    }
    for (const old of numbersOf(locks, name))
      if (old <= highest) rmSync(join(locks, `${name}.${old}`), { force: true });
    return lockOf(path);
  }
  throw new TelosError(
    'IMAGE_LOCKED',
    `the lock ${name} of ${dir} changed hands ${MAX_TRIES} times while this process tried to take it`,
  );
}

/**
 * Makes the file with its content in one step; false when there is one. A volume without hard links takes two steps, and RocksDB's
 * own lock is what keeps two openers apart there.
 */
function createWhole(path: string, content: string): boolean {
  const temporary = `${path}-${process.pid}`;
  try {
    writeFileSync(temporary, content);
    linkSync(temporary, path);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errno)) throw error;
    return createExclusive(path, content);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function createExclusive(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw error;
  }
}

const lockOf = (path: string): Lock => {
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      try {
        writeFileSync(path, '');
      } catch {
        // the image is gone, or its volume is: a holder that has ended releases as well
      }
    },
  };
};

const locked = (dir: string, name: LockName, holder: Holder): TelosError =>
  new TelosError('IMAGE_LOCKED', `process ${holder.pid} has the ${name} lock of the image ${dir}`, {
    details: { pid: holder.pid },
  });
