/** The cost of a turn beside the number of objects and the length of the journal: the same 1,000 objects among ever more. */
import { OUTSTANDING } from './baseline-echo.js';
import { measure, perSecond, type Row, type Settings } from './harness.js';
import { fresh, imageOf } from './objects.js';
import type { Rate } from './processes/options.js';
import { up } from './telos.js';

const USED = 1000;

async function rateAmong(count: number, settings: Settings): Promise<number> {
  const copy = fresh(await imageOf(count, settings), 'turns');
  const every = Math.max(1, Math.floor(copy.oids.length / USED));
  const oids = copy.oids.filter((_, i) => i % every === 0).slice(0, USED);
  const telos = await up(copy.dir);
  const options = { image: copy.dir, oids, selector: 'increment', outstanding: OUTSTANDING, seconds: settings.seconds };
  const rate = await measure<Rate>('ask-client', options);
  await telos.stop();
  copy.dispose();
  return rate.perSecond;
}

export async function turnCost(settings: Settings): Promise<Row[]> {
  const rates: number[] = [];
  for (const size of settings.sizes) rates.push(await rateAmong(size, settings));
  const first = rates[0] as number;
  return settings.sizes.slice(1).map((size, i) => {
    const rate = rates[i + 1] as number;
    const last = i === settings.sizes.length - 2;
    return {
      claim: `cost of a turn among ${size.toLocaleString('en')} objects`,
      measured: `${(1e6 / rate).toFixed(1)} µs (${perSecond(rate)})`,
      baseline: `${(1e6 / first).toFixed(1)} µs among ${(settings.sizes[0] as number).toLocaleString('en')}`,
      ratio: first / rate,
      bound: last ? { at: 'most', value: 1.3 } : null,
    };
  });
}
