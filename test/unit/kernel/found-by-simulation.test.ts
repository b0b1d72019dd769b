/** What random schedules found in the kernel, each in its shortest form. */
import { pack, T, type CommitBody, type Content, type FromHost, type Run } from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

async function bank(): Promise<World> {
  const w = await world();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b', '#lobby');
  return w;
}

const lastRun = (w: World, host = 1): Run => w.runs(host).at(-1) as Run;
const names = (pairs: [string, string | null][]): CommitBody => [
  [],
  [],
  [],
  [],
  pairs.map(([name, object]) => [name, object === null ? null : oid(object)]),
  [],
  [],
  [true, null, null],
];
const outgoing = (w: World, letter: 'q' | 't'): number =>
  w.store.page({ gte: Buffer.from(letter) }, 99).filter(([key]) => key[0] === letter.charCodeAt(0)).length;

test('a name that is taken away and given again within one group stands afterwards', async () => {
  const w = await bank();
  w.autoSync = false;
  for (const [no, object] of [
    [1, null],
    [2, '#b'],
  ] as const) {
    w.ask(1, no, '#a', 'rename');
    w.commit(1, lastRun(w), { body: names([['a', object]]) });
  }
  await w.settle();
  w.autoSync = true;
  await w.settle();
  await w.restart();
  w.host(2);
  w.kernel.fromHost(2, [T.LOAD, 1, [], ['a']], w.now);
  await w.settle();
  const loaded = w.toHost.map(([, envelope]) => envelope).find((envelope) => envelope[0] === T.LOADED);
  expect(loaded?.[3]).toEqual([['a', '#b', expect.any(Number)]]);
});

test('an object that its last holder drops while its snapshot is being written is not read back as it was before', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, lastRun(w), '#a', 5);
  await w.settle();
  w.autoSync = false;
  await w.tick(1000);
  expect(w.appends.length).toBe(1);
  w.kernel.fromHost(1, [T.DROPPED, [oid('#a')]], w.now);
  w.kernel.fromHost(1, [T.LOAD, 2, [oid('#a')], []], w.now);
  await w.settle();
  expect(w.value('#a', 'balance')).toBe(105);
});

test('a timer that was handled is not read from the journal again before its turn is durable', async () => {
  const w = await bank();
  const timers = Array.from({ length: 5000 }, (): CommitBody[6][number] => [1, oid('#b'), 'x', pack([])]);
  w.ask(1, 1, '#a', 'plan');
  w.commit(1, lastRun(w), { body: [[], [], [], [], [], [], timers, [true, null, null]] });
  await w.settle();
  const handled = new Set<number>();
  for (let round = 0; round < 40 && handled.size < timers.length; round++) {
    w.toHost.length = 0;
    await w.tick(10);
    w.autoSync = round % 3 === 0;
    for (const run of w.runs(1)) {
      expect(handled.has(run[2])).toBe(false);
      handled.add(run[2]);
      w.commit(1, run, { answer: null });
    }
  }
  w.autoSync = true;
  await w.tick(10);
  expect(handled.size).toBe(timers.length);
  expect(outgoing(w, 't')).toBe(0);
}, 20_000);

test('the number of genesis is not given to an outbox message after a restart', async () => {
  const w = await world();
  await w.restart();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b');
  w.ask(1, 1, '#a', 'tell');
  w.commit(1, lastRun(w), { body: [[], [], [], [], [], [[oid('#b'), 'x', pack([])]], [], [true, null, null]] });
  await w.settle();
  expect(lastRun(w)[2]).toBeGreaterThan(1);
});

test('a request to a service that outlives its host is asked once, and answers the run that follows', async () => {
  const w = await bank();
  w.host(2, true);
  w.kernel.serviceJoined(9, ['oracle'], w.now);
  w.ask(1, 1, '#a', 'wonder');
  const service = (request: number): FromHost => [
    T.SERVICE,
    request,
    lastRun(w)[1],
    1,
    'key',
    'oracle',
    'ask',
    pack([]),
  ];
  w.kernel.fromHost(1, service(5), w.now);
  w.kernel.hostLost(1, w.now);
  await w.settle();
  w.kernel.fromHost(2, service(7), w.now);
  const asked = w.toHost.filter(([id]) => id === 9).map(([, envelope]) => envelope);
  expect(asked.length).toBe(1);
  w.kernel.fromService(9, [T.SERVED, asked[0]?.[1] as number, 0, true, 'yes' satisfies Content], w.now);
  expect(w.toHost.at(-1)).toEqual([2, [T.SERVICE_ANSWER, 7, true, 'yes']]);
});

test('a watcher hears of every turn from its subscription on, and of none before', async () => {
  const w = await bank();
  w.autoSync = false;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, lastRun(w), '#a', 5);
  w.kernel.fromClient(1, [T.SUBSCRIBE, 1, '*', 100], w.now);
  w.ask(1, 2, '#a', 'deposit');
  w.add(1, lastRun(w), '#a', 5);
  await w.settle();
  w.autoSync = true;
  await w.settle();
  const notices = w.answers(1).filter(([type]) => type === T.NOTICE);
  expect(notices.map((notice) => [notice[2], notice[3]])).toEqual([[1, 3]]);
});
