/**
 * The layout of an image directory. No file of ours has a name that begins with a digit and ends in `.log` or `.sst`: those are
 * RocksDB's.
 */
import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface ImagePaths {
  readonly root: string;
  /** RocksDB. */
  readonly journal: string;
  /** Two slots that say how far the journal reached: see journal/head.ts. */
  readonly head: string;
  /** Room kept for a reopen on a full disk: see journal/reserve.ts. */
  readonly reserve: string;
  readonly keys: string;
  readonly serverKeys: string;
  readonly ownerKeys: string;
  readonly run: string;
  readonly endpoint: string;
  readonly processes: string;
  readonly locks: string;
  readonly logs: string;
  readonly blobs: string;
  readonly indexes: string;
  readonly backups: string;
  readonly config: string;
}

export function imagePaths(dir: string): ImagePaths {
  const root = resolve(dir);
  return {
    root,
    journal: join(root, 'journal'),
    head: join(root, 'head'),
    reserve: join(root, 'reserve'),
    keys: join(root, 'keys'),
    serverKeys: join(root, 'keys', 'server.json'),
    ownerKeys: join(root, 'keys', 'owner.json'),
    run: join(root, 'run'),
    endpoint: join(root, 'run', 'endpoint.json'),
    processes: join(root, 'run', 'processes'),
    locks: join(root, 'run', 'locks'),
    logs: join(root, 'logs'),
    blobs: join(root, 'blobs'),
    indexes: join(root, 'indexes'),
    backups: join(root, 'backups'),
    config: join(root, 'config.json'),
  };
}

/**
 * Names the directory itself, not its path: what a running process wrote into a copy of the image does not count there, and still
 * counts after the image was moved.
 */
export function placeOf(dir: string): string {
  const { dev, ino } = statSync(dir, { bigint: true });
  return `${dev}-${ino}`;
}
