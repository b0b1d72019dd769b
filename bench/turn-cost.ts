/**
 * The cost of a turn beside the number of objects and the length of the journal: the same 1,000 objects among ever more. In each round every size has
 * its turn, up and down in alternation, so that a machine that slows down is slow for all of them.
 */
import { OUTSTANDING } from './baseline-echo.js';
import { measure, medianBy, perSecond, ROUNDS, type Row, type Settings } from './harness.js';
import { fresh, imageOf, type Prepared } from './objects.js';
import type { Rate } from './processes/options.js';
import { up } from './telos.js';

const USED = 1000;

async function rateOf(copy: Prepared, { seconds }: Settings): Promise<number> {
  const every = Math.max(1, Math.floor(copy.oids.length / USED));
  const oids = copy.oids.filter((_, i) => i % every === 0).slice(0, USED);
  const telos = await up(copy.dir);
  const options = { image: copy.dir, oids, selector: 'increment', outstanding: OUTSTANDING, seconds };
  // The first is for processes that have just started, to be warm, and for all the objects, to be loaded.
  await measure<Rate>('ask-client', options);
  const rate = await measure<Rate>('ask-client', options);
  await telos.stop();
  return rate.perSecond;
}

export async function turnCost(settings: Settings): Promise<Row[]> {
  const copies = [];
  for (const size of settings.sizes) copies.push(fresh(await imageOf(size, settings), 'turns'));
  /** Turns a second, by size, one list a round. */
  const rounds: number[][] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const rates = new Array<number>(copies.length).fill(NaN);
    const order = [...copies.keys()];
    if (i % 2 === 1) order.reverse();
    for (const index of order) rates[index] = await rateOf(copies[index] as Prepared, settings);
    rounds.push(rates);
  }
  for (const copy of copies) copy.dispose();
  return settings.sizes.slice(1).map((size, i) => rowOf(size, i + 1, rounds, settings));
}

function rowOf(size: number, index: number, rounds: readonly number[][], { sizes }: Settings): Row {
  const ratioOf = (rates: readonly number[]): number => (rates[0] ?? NaN) / (rates[index] ?? NaN);
  const rates = medianBy(rounds, ratioOf);
  const [first = NaN, rate = NaN] = [rates[0], rates[index]];
  return {
    claim: `cost of a turn among ${size.toLocaleString('en')} objects`,
    measured: `${(1e6 / rate).toFixed(1)} µs (${perSecond(rate)})`,
    baseline: `${(1e6 / first).toFixed(1)} µs among ${(sizes[0] as number).toLocaleString('en')}`,
    ratio: ratioOf(rates),
    bound: index === sizes.length - 1 ? { at: 'most', value: 1.3 } : null,
  };
}
