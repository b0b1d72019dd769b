/** A bare RocksDB over the tables of a stopped image: getMany of snapshot keys in random order, 256 a call. */
import { options, report, sustained } from './options.js';
import { openStore } from './store.js';

const BATCH = 256;

const { journal, oids, seconds } = options<{ journal: string; oids: readonly string[]; seconds: number }>();
const store = await openStore(journal, true);
const keys = oids.map((oid) => Buffer.from(`o${oid}`));
let next = 0;
const batch = (): Promise<unknown> => {
  const part: Buffer[] = [];
  for (let i = 0; i < BATCH; i++) part.push(keys[next++ % keys.length] as Buffer);
  return store.getMany(part);
};
const { perSecond } = await sustained(batch, 4, seconds);
report({ perSecond: perSecond * BATCH });
await store.close();
