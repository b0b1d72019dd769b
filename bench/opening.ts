/**
 * Opening a large image: time from `telos up` to the first answer, memory of the kernel beside that with an image without objects, and loading what
 * is passive.
 *
 * The copy that is opened was made a moment before, so its files are in the system's cache; the first row opens an image that was stopped in
 * order, with nothing to replay, the second one whose processes were all killed under a load of writes.
 */
import { join } from 'node:path';
import { connect } from '../clients/library/index.js';
import { OUTSTANDING } from './baseline-echo.js';
import { measure, medianBy, megabytes, perSecond, ROUNDS, type Row, type Settings } from './harness.js';
import { fresh, imageOf, type Prepared } from './objects.js';
import { residentBytes, up, type Telos } from './telos.js';

const FIRST_ANSWER_MS = 3000;
const MORE_MEMORY = 300 * 2 ** 20;
/** Passive objects that are loaded in one round, at most. */
const LOADED = 50_000;
/** Objects that are written before the kill. */
const WRITTEN = 1000;
/** Tables of a large journal are read through in the background after the first answer: memory is looked at for so long. */
const WATCHED_MS = 10_000;
const LOOK_MS = 250;

interface Opened {
  readonly telos: Telos;
  readonly firstAnswerMs: number;
}

async function open({ dir, oids }: Prepared): Promise<Opened> {
  const begun = performance.now();
  const telos = await up(dir);
  const image = await connect({ image: dir });
  await image.send(oids.at(-1) ?? 'counter', 'read');
  const firstAnswerMs = performance.now() - begun;
  await image.close();
  return { telos, firstAnswerMs };
}

/** The most that the kernel takes from now on. */
async function kernelBytes(telos: Telos): Promise<number> {
  const kernel = telos.processes().find((row) => row.role === 'kernel');
  if (kernel === undefined) throw new Error('telos status names no kernel');
  const end = performance.now() + WATCHED_MS;
  let most = 0;
  while (performance.now() < end) {
    most = Math.max(most, residentBytes(kernel.pid));
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return most;
}

async function stopped(prepared: Prepared): Promise<{ firstAnswerMs: number; bytes: number }> {
  const copy = fresh(prepared, 'stopped');
  const { telos, firstAnswerMs } = await open(copy);
  const bytes = await kernelBytes(telos);
  await telos.stop();
  copy.dispose();
  return { firstAnswerMs, bytes };
}

async function killed(prepared: Prepared, { seconds }: Settings): Promise<number> {
  const copy = fresh(prepared, 'killed');
  const before = await up(copy.dir);
  const oids = copy.oids.slice(0, WRITTEN);
  await measure('ask-client', { image: copy.dir, oids, selector: 'increment', outstanding: OUTSTANDING, seconds });
  await before.kill();
  const { telos, firstAnswerMs } = await open(copy);
  await telos.stop();
  copy.dispose();
  return firstAnswerMs;
}

// ---- loading -------------------------------------------------------------------------------------------------------------------------

interface Loading {
  readonly bare: number;
  readonly loaded: number;
}

/** Every round takes other objects, since those of the last one are not passive any more. */
async function loading(prepared: Prepared): Promise<{ rounds: Loading[]; asked: number }> {
  const order = shuffled(prepared.oids);
  const each = Math.min(LOADED, Math.floor(order.length / (ROUNDS + 1)));
  const part = (i: number): string[] => order.slice(i * each, (i + 1) * each);
  const rounds: Loading[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const copy = fresh(prepared, 'loading');
    const bare = await measure<Rate>('bare-reads', { journal: join(copy.dir, 'journal'), oids: part(i) });
    const loaded = await measure<Rate>('load-objects', { image: copy.dir, oids: part(i) });
    copy.dispose();
    rounds.push({ bare: bare.perSecond, loaded: loaded.perSecond });
  }
  return { rounds, asked: await askedOnce(prepared, part(ROUNDS)) };
}

interface Rate {
  readonly perSecond: number;
}

async function askedOnce(prepared: Prepared, oids: readonly string[]): Promise<number> {
  const copy = fresh(prepared, 'passive');
  const { telos } = await open(copy);
  const options = { image: copy.dir, oids, outstanding: 4 * OUTSTANDING };
  const { perSecond: rate } = await measure<Rate>('load-passive', options);
  await telos.stop();
  copy.dispose();
  return rate;
}

function shuffled(values: readonly string[]): string[] {
  const order = values.map((value, i) => [(i * 2654435761) % 4294967296, value] as const);
  return order.sort((a, b) => a[0] - b[0]).map(([, value]) => value);
}

// ---- the rows ----------------------------------------------------------------------------------------------------------------------------

export async function opening(settings: Settings): Promise<Row[]> {
  const size = settings.sizes.at(-1) as number;
  const none = await imageOf(0, settings);
  const large = await imageOf(size, settings);
  const empty = await stopped(none);
  const full = await stopped(large);
  const afterKill = await killed(large, settings);
  const objects = size.toLocaleString('en');
  const first = (claim: string, ms: number): Row => ({
    claim,
    measured: `${Math.round(ms)} ms`,
    baseline: `3 s; an image without objects takes ${Math.round(empty.firstAnswerMs)} ms`,
    ratio: ms / FIRST_ANSWER_MS,
    bound: { at: 'most', value: 1 },
  });
  return [
    first(`opening ${objects} objects, to the first answer`, full.firstAnswerMs),
    first('the same after kill -9 of all processes under writes', afterKill),
    {
      claim: `memory of the kernel with ${objects} objects, more than with none`,
      measured: megabytes(full.bytes - empty.bytes),
      baseline: `300 MB; ${megabytes(empty.bytes)} and ${megabytes(full.bytes)}`,
      ratio: (full.bytes - empty.bytes) / MORE_MEMORY,
      bound: { at: 'most', value: 1 },
    },
    ...loadingRows(await loading(large)),
  ];
}

function loadingRows({ rounds, asked }: { rounds: readonly Loading[]; asked: number }): Row[] {
  const { bare, loaded } = medianBy(rounds, (round) => round.loaded / round.bare);
  const baseline = `${perSecond(bare)} keys by bare getMany, once each`;
  return [
    {
      claim: 'loading passive objects, kernel and host without the socket',
      measured: perSecond(loaded),
      baseline,
      ratio: loaded / bare,
      bound: { at: 'least', value: 0.2 },
    },
    {
      claim: 'asking each of them once, client to answer',
      measured: perSecond(asked),
      baseline,
      ratio: asked / bare,
      bound: null,
    },
  ];
}
