/**
 * Reading the files of an image beside the kernel that writes them: a slot of `head` may be read half written, and a table be replaced before
 * it is opened. So what fails is tried again, a few times.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { TelosError } from '../../protocol/index.js';
import type { ImagePaths } from '../image/index.js';
import { readHead, type HeadContent } from './head.js';
import { openDatabase, type Database, type DatabaseOptions } from './rocksdb.js';

const TRIES = 10;
const PAUSE_MS = 50;
/** RocksDB's -1, as the add-on takes it: all tables are opened at once and kept, so that they stay readable when they are replaced. */
const ALL_FILES = 0xffffffff;

/** To be read before the journal is opened, which then reaches at least as far. */
export async function readHeadLive(path: string): Promise<HeadContent> {
  for (let attempt = 1; ; attempt++) {
    const head = readHead(path);
    if (head.damaged.length === 0 || attempt === TRIES) return head;
    await sleep(PAUSE_MS);
  }
}

export async function openLive(paths: ImagePaths, options: DatabaseOptions): Promise<Database> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openDatabase(paths.journal, { ...options, maxOpenFiles: ALL_FILES }, 'read');
    } catch (error) {
      if (!(error instanceof TelosError) || error.code !== 'DAMAGED' || attempt === TRIES) throw error;
      await sleep(PAUSE_MS);
    }
  }
}
