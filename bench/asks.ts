/**
 * Rates of asks (client process → object → synced commit → answer) and the latency of one at a time.
 *
 * Each round measures a bare echo, the asks, and a bare echo again; a rate is compared with the mean of the two echoes of its round. The row
 * shows the round whose ratio is the median.
 */
import { OUTSTANDING, echoes, syncedWrites } from './baseline-echo.js';
import { measure, medianBy, milliseconds, perSecond, ROUNDS, type Row, type Settings } from './harness.js';
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

interface Round {
  /** Bare echoes a second: the mean of before and after. */
  readonly echo: number;
  /** Asks a second, in the order of CASES. */
  readonly asks: readonly number[];
  /** Medians in ms, one outstanding. */
  readonly one: { readonly ask: number; readonly echo: number; readonly write: number };
}

type Ask = (selector: string, objects: number, outstanding: number) => Promise<Rate>;

async function roundOf(ask: Ask, settings: Settings): Promise<Round> {
  const before = await echoes(OUTSTANDING, settings);
  const asks: number[] = [];
  for (const { selector, objects } of CASES) asks.push((await ask(selector, objects, OUTSTANDING)).perSecond);
  const after = await echoes(OUTSTANDING, settings);
  const echo = await echoes(1, settings);
  const one = await ask('increment', OBJECTS, 1);
  const write = await syncedWrites(settings);
  return {
    echo: (before.perSecond + after.perSecond) / 2,
    asks,
    one: { ask: one.p50, echo: echo.p50, write: write.p50 },
  };
}

export async function asks(settings: Settings): Promise<Row[]> {
  const copy = fresh(await imageOf(OBJECTS, settings), 'asks');
  const telos = await up(copy.dir);
  const ask: Ask = (selector, objects, outstanding) =>
    measure('ask-client', {
      image: copy.dir,
      oids: copy.oids.slice(0, objects),
      selector,
      outstanding,
      seconds: settings.seconds,
    });
  const rounds: Round[] = [];
  for (let i = 0; i < ROUNDS; i++) rounds.push(await roundOf(ask, settings));
  await telos.stop();
  copy.dispose();
  return [...CASES.map((one, i) => rateRow(one, i, rounds)), latencyRow(rounds)];
}

function rateRow({ claim, least }: Case, index: number, rounds: readonly Round[]): Row {
  const rateOf = (round: Round): number => round.asks[index] ?? NaN;
  const round = medianBy(rounds, (one) => rateOf(one) / one.echo);
  return {
    claim,
    measured: perSecond(rateOf(round)),
    baseline: `${perSecond(round.echo)} bare echoes`,
    ratio: rateOf(round) / round.echo,
    bound: { at: 'least', value: least },
  };
}

const allowed = ({ one }: Round): number => 4 * one.echo + 1.5 * one.write;

function latencyRow(rounds: readonly Round[]): Row {
  const round = medianBy(rounds, (one) => one.one.ask / allowed(one));
  const { ask, echo, write } = round.one;
  return {
    claim: 'durable ask, one outstanding, median',
    measured: milliseconds(ask),
    baseline: `${milliseconds(allowed(round))} = 4 echoes of ${milliseconds(echo)} + 1.5 writes of ${milliseconds(write)}`,
    ratio: ask / allowed(round),
    bound: { at: 'most', value: 1 },
  };
}
