/**
 * Sends inside a turn, from one object's method to another's, against nact's bare dispatch. The rate is that of the turn engine alone (locked-down
 * realm, compartment, commit built and dropped; no kernel, no link, fuel without an end): that is what a nested send costs. The second row sends
 * as many within one ask through a real `telos up`, from its client to its answer.
 */
import { connect } from '../clients/library/index.js';
import { measure, medianBy, perSecond, ROUNDS, type Row, type Settings } from './harness.js';
import { fresh, imageOf } from './objects.js';
import { up } from './telos.js';

const OBJECTS = 1000;
const SENDS = 20_000;
const MANY = `async (self, other, times) => {
  let sum = 0
  for (let i = 0; i < times; i++) sum += await other.next(i)
  return sum
}`;
const NEXT = 'async (self, n) => n + self.count';

interface Round {
  readonly sends: number;
  readonly nact: number;
}

async function rate(what: 'sends' | 'nact', seconds: number): Promise<number> {
  return (await measure<{ perSecond: number }>('nested-sends', { seconds, what })).perSecond;
}

/** Nested sends a second, in turns of 20,000 that are asked for one after another. */
async function throughUp(settings: Settings): Promise<number> {
  const copy = fresh(await imageOf(OBJECTS, settings), 'nested');
  const telos = await up(copy.dir);
  const image = await connect({ image: copy.dir });
  const [one, other] = copy.oids as [string, string];
  await image.send(one, 'setMethod', 'many', MANY);
  await image.send(other, 'setMethod', 'next', NEXT);
  const ask = (): Promise<unknown> => image.send(one, 'many', image.ref(other), SENDS);
  const warm = performance.now() + (settings.seconds * 1000) / 3;
  while (performance.now() < warm) await ask();
  const begun = performance.now();
  let asks = 0;
  for (; performance.now() - begun < settings.seconds * 1000; asks++) await ask();
  const perSecondMeasured = (asks * SENDS * 1000) / (performance.now() - begun);
  await image.close();
  await telos.stop();
  copy.dispose();
  return perSecondMeasured;
}

export async function nestedSends(settings: Settings): Promise<Row[]> {
  const rounds: Round[] = [];
  for (let i = 0; i < ROUNDS; i++)
    rounds.push({ sends: await rate('sends', settings.seconds), nact: await rate('nact', settings.seconds) });
  const { sends, nact } = medianBy(rounds, (round) => round.sends / round.nact);
  const real = await throughUp(settings);
  const baseline = `${perSecond(nact)} dispatches of bare nact`;
  return [
    {
      claim: 'nested sends inside a turn (the turn engine alone)',
      measured: perSecond(sends),
      baseline,
      ratio: sends / nact,
      bound: { at: 'least', value: 0.5 },
    },
    {
      claim: 'the same through telos up, 20,000 in one ask',
      measured: perSecond(real),
      baseline,
      ratio: real / nact,
      bound: null,
    },
  ];
}
