/** Images with many counters, made once through the client library and kept between runs; and the counters to send to. */
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type Image } from '../clients/library/index.js';
import type { Settings } from './harness.js';
import { up } from './telos.js';

const INCREMENT = 'async (self, by) => { self.count = self.count + by; return self.count }';
const READ = 'async (self) => self.count';

/** Clones asked for at once; the library holds back what does not fit its window. */
const AT_ONCE = 2000;
/** Objects whose oids are kept for the measurements, spread evenly over all. */
const SAMPLE = 100_000;

interface Prototype {
  clone(slots: object): Promise<unknown>;
  setMethod(name: string, source: string): Promise<unknown>;
}

async function makePrototype(image: Image): Promise<Prototype> {
  const prototype = (await image.actor<Prototype>('genesis').clone({ name: 'counter', count: 0 })) as Prototype;
  await prototype.setMethod('increment', INCREMENT);
  await prototype.setMethod('read', READ);
  return prototype;
}

async function makeCounters(image: Image, count: number, say: (line: string) => void): Promise<string[]> {
  const prototype = await makePrototype(image);
  const every = Math.max(1, Math.floor(count / SAMPLE));
  const oids: string[] = [];
  const begun = performance.now();
  for (let done = 0; done < count; done += AT_ONCE) {
    const size = Math.min(AT_ONCE, count - done);
    const made = await Promise.all(Array.from({ length: size }, (_, i) => prototype.clone({ count: done + i })));
    made.forEach((handle, i) => {
      if ((done + i) % every === 0) oids.push(image.idOf(handle) as string);
    });
    const rate = ((done + size) / (performance.now() - begun)) * 1000;
    if ((done / AT_ONCE) % 50 === 49) say(`  ${done + size} of ${count} objects, ${Math.round(rate)}/s`);
  }
  return oids;
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
    const telos = await up(dir);
    const image = await connect({ image: dir });
    const oids = await makeCounters(image, count, say);
    await image.close();
    await telos.stop();
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
