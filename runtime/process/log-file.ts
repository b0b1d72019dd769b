/**
 * Log files of the image: `NAME.log`, and `NAME.old.log` once it was full. The writer holds the file open for appending and knows
 * nothing of this; whoever supervises it looks at the size now and then, copies the content away and truncates the file.
 */
import { closeSync, copyFileSync, fstatSync, openSync, readSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { TelosError } from '../../protocol/index.js';

/** No file of an image but RocksDB's own may have a name that begins with a digit and ends in `.log`. */
export function logPath(logs: string, name: string): string {
  if (!/^[a-z][a-z0-9-]*$/.test(name))
    throw new TelosError('INTERNAL', `${JSON.stringify(name)} is no name for a log file`);
  return join(logs, `${name}.log`);
}

/** For the stdio of a child. Null when it can't be written: a child without a log is better than none. */
export function openLog(path: string | null): number | null {
  if (path === null) return null;
  try {
    return openSync(path, 'a', 0o600);
  } catch {
    return null;
  }
}

/** Keeps the file under `maxBytes` and a copy of what it held. On a full disk what it held is lost. @returns whether it was full */
export function rotateLog(path: string, maxBytes: number): boolean {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= maxBytes) return false;
  const old = path.replace(/\.log$/, '.old.log');
  try {
    copyFileSync(path, old);
  } catch {
    rmSync(old, { force: true });
  }
  try {
    truncateSync(path, 0);
    return true;
  } catch {
    return false;
  }
}

/** The end of a log, for an error message; '' when there is none. */
export function tailOfLog(path: string, maxBytes = 2048, maxLines = 8): string {
  try {
    const fd = openSync(path, 'r');
    try {
      const { size } = fstatSync(fd);
      const bytes = Buffer.alloc(Math.min(size, maxBytes));
      readSync(fd, bytes, 0, bytes.length, size - bytes.length);
      return bytes.toString('utf8').trim().split('\n').slice(-maxLines).join('\n');
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}
