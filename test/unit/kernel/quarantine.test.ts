/** Who is charged when a quarantine host dies, and what is remembered of those that were on a host that died. */
import { pack, T, TelosError, type FromHost, type Run } from '../../../protocol/index.js';
import { world, type World } from './world.js';

/** Two messages that were on a host when it died: 1 to #a, 2 to #b. The quarantine host is not there yet. */
async function suspects(): Promise<World> {
  const w = await world();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b');
  w.ask(1, 1, '#a', 'bad');
  w.ask(1, 2, '#b', 'good');
  w.kernel.hostLost(1, w.now);
  return w;
}

/** A new life of the quarantine host. */
function quarantine(w: World, host: number): void {
  w.host(host, true);
}

const runsOf = (w: World, host: number): number[] => w.runs(host).map((run) => run[2]);
const strikesOf = (w: World, no: number): number =>
  w.kernel.core.sessions.byId.get(w.welcomed.get(1) as never)?.inFlight.get(no)?.strikes ?? -1;
const service = ([, session, no]: Run, request: number, name = 'oracle'): FromHost => [
  T.SERVICE,
  request,
  session,
  no,
  `key${request}`,
  name,
  'ask',
  pack([]),
];
const answersToHost = (w: World, host: number): unknown[] =>
  w.toHost
    .filter(([id, envelope]) => id === host && envelope[0] === T.SERVICE_ANSWER)
    .map(([, envelope]) => envelope[1]);

test('who asked a service that nobody serves runs on: its end is charged to it, and no other begins beside it (R3, B3)', async () => {
  const w = await suspects();
  for (const [life, strikes] of [
    [2, 1],
    [3, 2],
  ] as const) {
    quarantine(w, life);
    expect(runsOf(w, life)).toEqual([life === 2 ? 1 : 2]);
    if (life === 3) {
      await w.load(3, '#b');
      w.add(3, w.runs(3)[0] as Run, '#b', 1);
      await w.settle();
    }
    w.kernel.fromHost(life, service(w.runs(life).at(-1) as Run, 7), w.now);
    expect(answersToHost(w, life)).toEqual([7]);
    expect(runsOf(w, life)).toEqual(life === 2 ? [1] : [2, 1]);
    w.kernel.hostLost(life, w.now);
    expect(strikesOf(w, 1)).toBe(strikes);
    expect(strikesOf(w, 2)).toBe(life === 2 ? 0 : -1);
  }
});

test('who waits for a service lets the next begin; its answer is held until that one has ended (R3)', async () => {
  const w = await suspects();
  w.kernel.serviceJoined(9, ['oracle'], w.now);
  quarantine(w, 2);
  w.kernel.fromHost(2, service(w.runs(2)[0] as Run, 7), w.now);
  expect(runsOf(w, 2)).toEqual([1, 2]);
  const asked = w.toHost.find(([id]) => id === 9)?.[1];
  w.kernel.fromService(9, [T.SERVED, asked?.[1] as number, 0, true, 'yes'], w.now);
  expect(answersToHost(w, 2)).toEqual([]);
  await w.load(2, '#b');
  w.add(2, w.runs(2)[1] as Run, '#b', 1);
  expect(answersToHost(w, 2)).toEqual([7]);
});

test('who asks a service and runs on without awaiting it is found: after a death in company each of them runs alone (B3)', async () => {
  const w = await suspects();
  w.kernel.serviceJoined(9, ['oracle'], w.now);
  quarantine(w, 2);
  // It asks, does not await the answer, and ends the host while the other runs.
  w.kernel.fromHost(2, service(w.runs(2)[0] as Run, 7), w.now);
  expect(runsOf(w, 2)).toEqual([1, 2]);
  w.kernel.hostLost(2, w.now);
  expect([strikesOf(w, 1), strikesOf(w, 2)]).toEqual([0, 1]);
  let host = 3;
  for (; host < 12 && w.answers(1).length < 2; host++) {
    quarantine(w, host);
    for (let run = w.runs(host).at(-1); run !== undefined && run[6] === 'good'; run = undefined) {
      await w.load(host, '#b');
      w.add(host, run, '#b', 1);
      await w.settle();
    }
    const bad = w.runs(host).find((run) => run[6] === 'bad');
    if (bad === undefined) continue;
    w.kernel.fromHost(host, service(bad, 20 + host), w.now);
    expect(runsOf(w, host).filter((no) => no === 2 && !w.answers(1).some((env) => env[1] === 2))).toEqual([]);
    w.kernel.hostLost(host, w.now);
    await w.settle();
  }
  expect(w.answers(1).find((env) => env[1] === 1)?.[2]).toEqual(expect.arrayContaining(['DEAD_LETTER']));
  expect(w.answers(1).find((env) => env[1] === 2)).toEqual(expect.arrayContaining([T.ANSWER, 2, 101]));
  expect(host).toBeLessThan(12);
});

test('a suspect that is declined stays one, with its strikes, when its sender sends it again', async () => {
  const w = await suspects();
  quarantine(w, 2);
  w.kernel.hostLost(2, w.now);
  quarantine(w, 3);
  await w.load(3, '#b');
  w.add(3, w.runs(3)[0] as Run, '#b', 1);
  const [, session, no] = w.runs(3)[1] as Run;
  w.kernel.fromHost(3, [T.DECLINED, session, no, new TelosError('BUSY', 'about to stop').toWire()], w.now);
  await w.settle();
  w.host(4);
  w.ask(1, 1, '#a', 'bad');
  expect(runsOf(w, 4)).toEqual([]);
  expect(runsOf(w, 3)).toEqual([2, 1, 1]);
  expect(strikesOf(w, 1)).toBe(1);
  w.kernel.hostLost(3, w.now);
  expect(strikesOf(w, 1)).toBe(2);
});
