/** Makes the directories of an image, and finds out before anything else whether an image can live there. */
import { accessSync, constants, existsSync, mkdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TelosError } from '../../protocol/index.js';
import { borrowRoom, errnoOf, fileError, isFull } from './files.js';
import { imagePaths, type ImagePaths } from './paths.js';

const isAscii = (text: string): boolean => /^[\x20-\x7e]*$/.test(text);

/** RocksDB opens no path with other than ASCII characters on Windows. */
function checkPath(dir: string, root: string): void {
  if (dir === '') throw new TelosError('BAD_PATH', 'the path of the image is empty');
  if (root.includes('\0'))
    throw new TelosError('BAD_PATH', `the path of the image holds a NUL character: ${JSON.stringify(root)}`);
  if (process.platform === 'win32' && !isAscii(root)) {
    throw new TelosError('BAD_PATH', `on Windows the path of an image may hold ASCII characters only: ${root}`);
  }
  if (existsSync(root) && !statSync(root).isDirectory())
    throw new TelosError('BAD_PATH', `${root} is a file, not a directory`);
}

/** One level at a time: Node's own `recursive` never returns where a file system refuses new directories with ENOENT (/proc). */
function makeDirectory(path: string, mode: number): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeDirectory(dirname(path), 0o777);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    if (errnoOf(error) === 'ENOENT')
      throw new TelosError('BAD_PATH', `no directory can be made at ${path}`, { cause: error });
    throw fileError(error, 'make the directory', path);
  }
}

/** A directory may look writable and not be (read-only mounts, access lists): only a write tells. */
function checkWritable(paths: ImagePaths): void {
  const probe = join(paths.run, `probe.${process.pid}`);
  try {
    accessSync(paths.root, constants.R_OK | constants.W_OK | constants.X_OK);
    writeFileSync(probe, '');
    unlinkSync(probe);
  } catch (error) {
    if (isFull(error) && borrowRoom(paths.reserve)) return;
    throw fileError(error, 'write in', paths.root);
  }
}

/**
 * Makes what is missing of the directories of an image.
 * @throws TelosError BAD_PATH, NO_PERMISSION, DISK_FULL
 */
export function prepareImage(dir: string): ImagePaths {
  const paths = imagePaths(dir);
  checkPath(dir, paths.root);
  makeDirectory(paths.root, 0o700);
  for (const path of [paths.run, paths.processes, paths.locks, paths.logs, paths.blobs, paths.indexes, paths.backups]) {
    makeDirectory(path, 0o755);
  }
  makeDirectory(paths.keys, 0o700);
  checkWritable(paths);
  return paths;
}
