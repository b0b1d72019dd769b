/** Images with many counters, made once and kept between runs; and the counters to send to. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../clients/library/index.js';
import { measure, type Settings } from './harness.js';
import { telos, up } from './telos.js';

const INCREMENT = 'async (self, by) => { self.count = self.count + by; return self.count }';
const READ = 'async (self) => self.count';

interface Prototype {
  clone(slots: object): Promise<unknown>;
  setMethod(name: string, source: string): Promise<unknown>;
}

/** The prototype of all counters, made as a user would. Answers its oid. */
async function makePrototype(dir: string): Promise<string> {
  const running = await up(dir);
  const image = await connect({ image: dir });
  const prototype = (await image.actor<Prototype>('genesis').clone({ name: 'counter', count: 0 })) as Prototype;
  await prototype.setMethod('increment', INCREMENT);
  await prototype.setMethod('read', READ);
  await image.close();
  // The snapshots of what was written last are written when the kernel has been idle for a while; filling goes on behind them.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await running.stop();
  return image.idOf(prototype) as string;
}

export interface Prepared {
  readonly dir: string;
  readonly oids: readonly string[];
}

/** An image with `count` counters, stopped. What a measurement does to it stays in it, so each takes its own `fresh` copy. */
export async function imageOf(count: number, { cache, say }: Settings): Promise<Prepared> {
  const home = join(cache, `objects-${count}`);
  const list = join(home, 'oids.json');
  const dir = join(home, 'image');
  if (!existsSync(list)) {
    say(`making an image of ${count} objects in ${home} …`);
    rmSync(home, { recursive: true, force: true });
    mkdirSync(home, { recursive: true });
    const parent = await makePrototype(dir);
    const { oids } = await measure<{ oids: string[] }>('fill-image', { image: dir, parent, count });
    // What was written past the kernel has to be what the kernel would have written: throws where it is not.
    telos(['verify', '--image', dir]);
    writeFileSync(`${list}.new`, JSON.stringify(oids));
    renameSync(`${list}.new`, list);
  }
  return { dir, oids: JSON.parse(readFileSync(list, 'utf8')) as string[] };
}

/** A copy of a prepared image that may be written to; give it back with `dispose`. */
export function fresh(prepared: Prepared, name: string): Prepared & { dispose(): void } {
  const dir = join(prepared.dir, '..', `copy-${name}`);
  rmSync(dir, { recursive: true, force: true });
  cpSync(prepared.dir, dir, { recursive: true });
  return { dir, oids: prepared.oids, dispose: () => rmSync(dir, { recursive: true, force: true }) };
}
