/** A bare RocksDB: one synced write of 200 bytes after another. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { options, report, sustained } from './options.js';
import { openStore } from './store.js';

const { seconds, folder } = options<{ seconds: number; folder: string }>();
const dir = mkdtempSync(join(folder, 'synced-'));
const store = await openStore(dir, false);
const value = Buffer.alloc(200, 'x');
report(await sustained((i) => store.put(Buffer.from(String(i).padStart(12, '0')), value), 1, seconds));
await store.close();
rmSync(dir, { recursive: true, force: true });
