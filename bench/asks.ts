/** Rates of asks (client process → object → synced commit → answer) and the latency of one at a time. */
import { OUTSTANDING, type Baseline } from './baseline-echo.js';
import { measure, milliseconds, perSecond, type Row, type Settings } from './harness.js';
import { fresh, imageOf } from './objects.js';
import type { Rate } from './processes/options.js';
import { up } from './telos.js';

const OBJECTS = 1000;

interface Case {
  readonly claim: string;
  readonly selector: 'increment' | 'read';
  readonly objects: number;
  readonly least: number;
}

const CASES: readonly Case[] = [
  { claim: 'durable asks, 1,000 objects', selector: 'increment', objects: OBJECTS, least: 0.4 },
  { claim: 'durable asks, one hot object', selector: 'increment', objects: 1, least: 0.4 },
  { claim: 'read-only asks, 1,000 objects', selector: 'read', objects: OBJECTS, least: 1.0 },
];

export async function asks(settings: Settings, base: Baseline): Promise<Row[]> {
  const copy = fresh(await imageOf(OBJECTS, settings), 'asks');
  const telos = await up(copy.dir);
  const ask = (selector: string, objects: number, outstanding: number): Promise<Rate> =>
    measure('ask-client', {
      image: copy.dir,
      oids: copy.oids.slice(0, objects),
      selector,
      outstanding,
      seconds: settings.seconds,
    });
  const rows: Row[] = [];
  for (const { claim, selector, objects, least } of CASES) {
    const rate = await ask(selector, objects, OUTSTANDING);
    rows.push({
      claim,
      measured: perSecond(rate.perSecond),
      baseline: `${perSecond(base.echo.perSecond)} bare echoes`,
      ratio: rate.perSecond / base.echo.perSecond,
      bound: { at: 'least', value: least },
    });
  }
  rows.push(latencyRow(await ask('increment', OBJECTS, 1), base));
  await telos.stop();
  copy.dispose();
  return rows;
}

function latencyRow(one: Rate, { echoAlone, syncedWrite }: Baseline): Row {
  const allowed = 4 * echoAlone.p50 + 1.5 * syncedWrite.p50;
  return {
    claim: 'durable ask, one outstanding, median',
    measured: milliseconds(one.p50),
    baseline: `${milliseconds(allowed)} = 4 echoes of ${milliseconds(echoAlone.p50)} + 1.5 writes of ${milliseconds(syncedWrite.p50)}`,
    ratio: one.p50 / allowed,
    bound: { at: 'most', value: 1 },
  };
}
