/** Sends inside a turn, from one object's method to another's, against nact's bare dispatch. */
import { measure, perSecond, type Row, type Settings } from './harness.js';

const SLICES = 3;

export async function nestedSends({ seconds }: Settings): Promise<Row[]> {
  const rates = { sends: 0, nact: 0 };
  // In slices, so that a busy machine is busy for both.
  for (let i = 0; i < SLICES; i++) {
    for (const what of ['sends', 'nact'] as const) {
      const { perSecond: rate } = await measure<{ perSecond: number }>('nested-sends', {
        seconds: seconds / SLICES,
        what,
      });
      rates[what] += rate / SLICES;
    }
  }
  return [
    {
      claim: 'nested sends inside a turn',
      measured: perSecond(rates.sends),
      baseline: `${perSecond(rates.nact)} dispatches of bare nact`,
      ratio: rates.sends / rates.nact,
      bound: { at: 'least', value: 0.5 },
    },
  ];
}
