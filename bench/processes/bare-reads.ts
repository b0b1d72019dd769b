/**
 * A bare RocksDB over the tables of a stopped image, opened as the journal is: getMany of snapshot keys in random order, 256 a call, each key once.
 * The cache of blocks is cold; the system's cache of files may be warm, as it is for the other side.
 */
import { defaultConfig } from '../../config/index.js';
import { options, onePass, report } from './options.js';
import { openStore } from './store.js';

const { journal, oids } = options<{ journal: string; oids: readonly string[] }>();
const { cacheBytes, writeBufferBytes, maxOpenFiles } = defaultConfig.journal;
const settings = { cacheSize: cacheBytes, writeBufferSize: writeBufferBytes, maxOpenFiles };
const store = await openStore(journal, true, settings);
const load = async (batch: readonly string[]): Promise<void> => {
  const values = await store.getMany(batch.map((oid) => Buffer.from(`o${oid}`)));
  if (values.includes(undefined)) throw new Error('a snapshot is missing');
};
report({ perSecond: await onePass(oids, load) });
await store.close();
