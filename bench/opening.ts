/** Opening a large image: time to the first answer, memory of the kernel beside that with an empty image, and loading what is passive. */
import { join } from 'node:path';
import { connect } from '../clients/library/index.js';
import { OUTSTANDING } from './baseline-echo.js';
import { measure, megabytes, perSecond, type Row, type Settings } from './harness.js';
import { fresh, imageOf, type Prepared } from './objects.js';
import { residentBytes, up, type Telos } from './telos.js';

const FIRST_ANSWER_MS = 3000;
const MORE_MEMORY = 300 * 2 ** 20;
/** Passive objects that are loaded for the rate. */
const LOADED = 50_000;

async function kernelBytes(telos: Telos): Promise<number> {
  const kernel = telos.processes().find((row) => row.role === 'kernel');
  if (kernel === undefined) throw new Error('telos status names no kernel');
  return residentBytes(kernel.pid);
}

interface Opening {
  readonly firstAnswerMs: number;
  readonly bytes: number;
  readonly loads: number;
}

async function open(prepared: Prepared, name: string, loads: readonly string[]): Promise<Opening> {
  const copy = fresh(prepared, name);
  const begun = performance.now();
  const telos = await up(copy.dir);
  const image = await connect({ image: copy.dir });
  await image.send(copy.oids.at(-1) as string, 'read');
  const firstAnswerMs = performance.now() - begun;
  await image.close();
  const bytes = await kernelBytes(telos);
  const rate =
    loads.length === 0
      ? { perSecond: 0 }
      : await measure<{ perSecond: number }>('load-passive', {
          image: copy.dir,
          oids: loads,
          outstanding: 4 * OUTSTANDING,
        });
  await telos.stop();
  copy.dispose();
  return { firstAnswerMs, bytes, loads: rate.perSecond };
}

function shuffled(values: readonly string[]): string[] {
  const order = values.map((value, i) => [(i * 2654435761) % 4294967296, value] as const);
  return order.sort((a, b) => a[0] - b[0]).map(([, value]) => value);
}

export async function opening(settings: Settings): Promise<Row[]> {
  const small = await imageOf(settings.sizes[0] as number, settings);
  const size = settings.sizes.at(-1) as number;
  const large = await imageOf(size, settings);
  const random = shuffled(large.oids).slice(0, LOADED);
  const empty = await open(small, 'small', []);
  const full = await open(large, 'large', random);
  const bare = await measure<{ perSecond: number }>('bare-reads', {
    journal: join(large.dir, 'journal'),
    oids: random,
    seconds: settings.seconds,
  });
  const objects = size.toLocaleString('en');
  return [
    {
      claim: `opening ${objects} objects, to the first answer`,
      measured: `${Math.round(full.firstAnswerMs)} ms`,
      baseline: `3 s; with ${small.oids.length} objects ${Math.round(empty.firstAnswerMs)} ms`,
      ratio: full.firstAnswerMs / FIRST_ANSWER_MS,
      bound: { at: 'most', value: 1 },
    },
    {
      claim: `memory of the kernel with ${objects} objects, more than with ${small.oids.length}`,
      measured: megabytes(full.bytes - empty.bytes),
      baseline: `300 MB; ${megabytes(empty.bytes)} and ${megabytes(full.bytes)}`,
      ratio: (full.bytes - empty.bytes) / MORE_MEMORY,
      bound: { at: 'most', value: 1 },
    },
    {
      claim: 'loading passive objects',
      measured: perSecond(full.loads),
      baseline: `${perSecond(bare.perSecond)} keys by bare getMany`,
      ratio: full.loads / bare.perSecond,
      bound: { at: 'least', value: 0.2 },
    },
  ];
}
