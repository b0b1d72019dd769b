/** Somebody sets the wall clock: durations go on as before, due times and records follow the wall. */
import { pack, T, VERDICT, type CommitBody, type Run } from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

const HOUR = 3_600_000;

async function bank(): Promise<World> {
  const w = await world();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b');
  return w;
}

const nextRun = (w: World): Run => w.runs(1).at(-1) as Run;
const codes = (w: World): unknown[] =>
  w.answers(1).map((env) => (env[0] === T.ERROR ? (env[2] as string[])[0] : 'done'));

test('set back an hour: deadlines pass as they would have', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit', { deadline: 1000 });
  w.skew = -HOUR;
  await w.tick(900);
  expect(codes(w)).toEqual([]);
  await w.tick(200);
  expect(codes(w)).toEqual(['DEADLINE']);
});

test('set forward an hour: nothing that is under way ends, nobody is given up', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit', { deadline: 1000 });
  w.skew = HOUR;
  await w.tick(900);
  expect(codes(w)).toEqual([]);
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  expect(codes(w)).toEqual(['done']);
});

test.each([-HOUR, HOUR])('moved by %i ms: a grant lasts as long as it would have', async (skew) => {
  const w = await bank();
  const limit = w.kernel.core.config.turn.runTimeMs * 4;
  w.ask(1, 1, '#a', 'wide');
  const holder = nextRun(w);
  w.ask(1, 2, '#a', 'deposit');
  const other = nextRun(w);
  w.kernel.fromHost(1, [T.GRANT_REQUEST, holder[1], holder[2], ['#a']], w.now);
  w.skew = skew;
  await w.tick(limit - 100);
  w.add(1, other, '#a', 5);
  expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.GRANTED);
  await w.tick(200);
  expect(w.toHost.at(-1)?.[1]).toEqual([T.RETRY, other[1], other[2]]);
});

test('a declined message of the outbox is sent again after its pause, not an hour later', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'tell');
  const body: CommitBody = [[], [], [], [], [], [[oid('#b'), 'told', pack([])]], [], [true, null, null]];
  w.commit(1, nextRun(w), { body });
  await w.settle();
  const told = nextRun(w);
  const busy: [string, string, string, string, null] = ['BUSY', 'BusyError', 'full', 'later', null];
  w.kernel.fromHost(1, [T.DECLINED, told[1], told[2], busy], w.now);
  w.skew = -HOUR;
  await w.tick(100);
  expect(w.runs(1).filter((run) => run[6] === 'told')).toHaveLength(2);
});

test('a timer is due by the wall; a turn is recorded with its time, and its method sees it', async () => {
  const w = await bank();
  w.skew = 5 * HOUR;
  w.ask(1, 1, '#a', 'later');
  expect(nextRun(w)[8]).toBe(w.now + 5 * HOUR);
  const body: CommitBody = [[], [], [], [], [], [], [[1000, oid('#b'), 'ring', pack([])]], [true, null, null]];
  w.commit(1, nextRun(w), { body });
  await w.settle();
  w.query(1, 2, 'journal', 0, 1);
  await w.settle();
  w.skew = 4 * HOUR;
  await w.tick(2000);
  expect(w.runs(1).filter((run) => run[6] === 'ring')).toHaveLength(0);
  w.skew = 5 * HOUR;
  await w.tick(100);
  expect(w.runs(1).filter((run) => run[6] === 'ring')).toHaveLength(1);
});
