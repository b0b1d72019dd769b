/** Sessions: greeted twice at once, forgotten and read again, ended with all that was kept for them (client-side.ts C3, sessions.ts). */
import { defaultConfig } from '../../../config/index.js';
import { pack, T, TelosError, type Run } from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

async function bank(): Promise<World> {
  const w = await world();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b');
  return w;
}

const nextRun = (w: World, host = 1): Run => w.runs(host).at(-1) as Run;
const greet = (w: World, peer: number, session: number, key = 'key'): void =>
  w.kernel.clientJoined(peer, { session, key, rights: ['author'], agent: 'test' }, w.now);
const keysOf = (w: World, letter: string): string[] =>
  w.store
    .page({ gte: Buffer.from(letter), lt: Buffer.from([letter.charCodeAt(0) + 1]) }, 9999)
    .map(([key]) => Buffer.from(key).toString('hex'));
const headersOf = (w: World): number => keysOf(w, 'd').filter((key) => key.endsWith('0000000000000000')).length;
const service = ([, session, no]: Run): Parameters<World['kernel']['fromHost']>[1] => [
  T.SERVICE,
  1,
  session,
  no,
  'key',
  'oracle',
  'ask',
  pack([]),
];

test('two greetings of one session at once: one session in memory, what the first has asked is answered once (C3)', async () => {
  const w = await bank();
  const session = w.welcomed.get(1) as number;
  await w.restart();
  w.host(2);
  await w.load(2, '#a');
  greet(w, 5, session);
  greet(w, 6, session);
  greet(w, 7, session, 'another key');
  await w.settle();
  expect([w.welcomed.get(5), w.welcomed.get(6)]).toEqual([session, session]);
  expect(w.refused).toEqual([[7, 'FORBIDDEN']]);
  w.ask(6, 1, '#a', 'deposit');
  // A later read of the same session finds what is there.
  greet(w, 8, session, 'another key');
  await w.settle();
  w.add(2, nextRun(w, 2), '#a', 5);
  await w.settle();
  expect(w.answers(6)).toEqual([[T.ANSWER, 1, 105, expect.any(Number)]]);
});

test('a session of this life that was forgotten goes on: lowest, replies and the time of its last word are in the journal', async () => {
  const config = { ...defaultConfig, kernel: { ...defaultConfig.kernel, maxSessions: 3 } };
  const w = await world({}, config);
  w.host(1);
  await w.load(1, '#a', '#b');
  const session = await w.join(1);
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  w.ask(1, 2, '#a', 'deposit', { lowest: 2 });
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  // The answer of a turn that wrote nothing holds no session in memory.
  w.ask(1, 3, '#a', 'balance', { lowest: 2 });
  w.commit(1, nextRun(w), { reads: [[oid('#a'), ['balance', w.accepted('#a', 'balance')]]], answer: 110 });
  await w.settle();
  w.kernel.clientLost(1, w.now);
  for (let i = 0; i < 4; i++) await w.tick(1000);
  for (const peer of [2, 3, 4]) await w.join(peer);
  expect(w.refused).toEqual([]);
  expect(w.kernel.core.sessions.byId.has(session)).toBe(false);
  w.kernel.clientLost(2, w.now);
  w.toClient.length = 0;
  expect(await w.join(9, session)).toBe(session);
  const runs = w.runs(1).length;
  w.ask(9, 2, '#a', 'deposit', { lowest: 2 });
  w.ask(9, 1, '#a', 'deposit');
  await w.settle();
  expect(w.runs(1)).toHaveLength(runs);
  expect(w.answers(9).map((env) => [env[0], env[1], env[0] === T.ERROR ? (env[2] as string[])[0] : env[2]])).toEqual(
    expect.arrayContaining([
      [T.ERROR, 1, 'EXPIRED'],
      [T.ANSWER, 2, 110],
    ]),
  );
});

test('a session that has just said goodbye is not read back', async () => {
  const w = await bank();
  const session = w.welcomed.get(1) as number;
  w.autoSync = false;
  w.kernel.clientGoodbye(1, w.now);
  greet(w, 2, session);
  await w.settle();
  w.autoSync = true;
  await w.settle();
  expect(w.refused).toEqual([[2, 'EXPIRED']]);
});

test('goodbye leaves nothing: replies without and with a key, strikes and recorded answers of what was declined', async () => {
  const w = await bank();
  w.kernel.serviceJoined(50, ['oracle'], w.now);
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  await w.tick(1000);
  await w.tick(1000);
  expect(keysOf(w, 'd').length).toBe(2);
  w.ask(1, 2, '#b', 'unlucky');
  w.kernel.hostLost(1, w.now);
  w.host(2, true);
  w.kernel.hostLost(2, w.now);
  w.host(3, true);
  w.kernel.fromHost(3, service(nextRun(w, 3)), w.now);
  w.kernel.fromService(50, [T.SERVED, 1, 0, true, 'yes'], w.now);
  const [, session, no] = nextRun(w, 3);
  w.kernel.fromHost(3, [T.DECLINED, session, no, new TelosError('BUSY', 'about to stop').toWire()], w.now);
  w.host(4);
  await w.load(4, '#a');
  w.ask(1, 3, '#a', 'deposit');
  w.add(4, nextRun(w, 4), '#a', 5);
  await w.settle();
  expect(keysOf(w, 's').length).toBe(1);
  w.kernel.clientGoodbye(1, w.now);
  await w.settle();
  for (let i = 0; i < 4; i++) await w.tick(1000);
  expect([keysOf(w, 'd'), keysOf(w, 's')]).toEqual([[], []]);
});

test('what was kept for a declined message goes when its sender waits for it no more', async () => {
  const w = await bank();
  w.ask(1, 1, '#b', 'unlucky');
  w.kernel.hostLost(1, w.now);
  w.host(2, true);
  w.kernel.hostLost(2, w.now);
  w.host(3, true);
  const [, session, no] = nextRun(w, 3);
  w.kernel.fromHost(3, [T.DECLINED, session, no, new TelosError('BUSY', 'about to stop').toWire()], w.now);
  await w.settle();
  expect(keysOf(w, 's').length).toBe(1);
  w.ask(1, 2, '#a', 'x', { lowest: 2 });
  await w.settle();
  expect(keysOf(w, 's')).toEqual([]);
});

test('two days without a word: the session ends in one group, with all its keys, and orphans of others go', async () => {
  const w = await bank();
  const session = w.welcomed.get(1) as number;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  w.kernel.clientLost(1, w.now);
  await w.tick(1000);
  const orphan = Buffer.concat([Buffer.from('d'), Buffer.from('00000007000000010000000000000001', 'hex')]);
  w.kernel.core.groups.put(orphan, [1, true, null, null]);
  await w.tick(1000);
  expect([headersOf(w), keysOf(w, 'd').length]).toEqual([1, 3]);
  for (let hours = 0; hours < 50; hours++) await w.tick(3_600_001);
  expect(keysOf(w, 'd')).toEqual([]);
  greet(w, 2, session);
  await w.settle();
  expect(w.refused).toEqual([[2, 'EXPIRED']]);
});

test('two days without a word: an answer whose key is on its way to the journal goes with its session', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  w.kernel.clientLost(1, w.now);
  w.autoSync = false;
  // The machine slept: what is written in idle time and what ends after two days are due at once.
  await w.tick(50 * 3_600_000);
  expect(w.appends.length).toBe(1);
  w.autoSync = true;
  await w.settle();
  expect(keysOf(w, 'd')).toEqual([]);
});

test('a session that began while the disk was full goes on when there is room, and is durable then; one made up is refused (C1)', async () => {
  const w = await bank();
  w.readOnly = true;
  await w.restart();
  const session = await w.join(2);
  w.readOnly = false;
  await w.restart();
  greet(w, 3, session);
  greet(w, 4, session, 'another key');
  greet(w, 5, session + 2 ** 33);
  await w.settle();
  expect(w.welcomed.get(3)).toBe(session);
  expect(w.refused.sort()).toEqual([
    [4, 'FORBIDDEN'],
    [5, 'EXPIRED'],
  ]);
  await w.restart();
  expect(await w.join(6, session)).toBe(session);
});

/** A session that was granted while the disk was full, and is durable since. */
async function lateSession(w: World): Promise<number> {
  w.readOnly = true;
  await w.restart();
  const session = await w.join(2);
  w.readOnly = false;
  await w.restart();
  expect(await w.join(3, session)).toBe(session);
  return session;
}

async function expectEnded(w: World, session: number): Promise<void> {
  greet(w, 6, session);
  await w.settle();
  await w.restart();
  greet(w, 7, session);
  await w.settle();
  await w.tick(100 * 3_600_000);
  await w.settle();
  greet(w, 8, session);
  await w.settle();
  expect(w.refused.filter(([peer]) => peer > 5)).toEqual([6, 7, 8].map((peer) => [peer, 'EXPIRED']));
}

test('a session that began while the disk was full and said goodbye never begins anew', async () => {
  const w = await bank();
  const session = await lateSession(w);
  w.host(1);
  await w.load(1, '#a');
  w.ask(3, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  w.kernel.clientGoodbye(3, w.now);
  greet(w, 4, session);
  await w.settle();
  expect(w.refused).toEqual([[4, 'EXPIRED']]);
  await expectEnded(w, session);
});

test('a session that began while the disk was full and was silent for two days never begins anew, nor while it is being removed', async () => {
  const w = await bank();
  const session = await lateSession(w);
  w.kernel.clientLost(3, w.now);
  w.autoSync = false;
  await w.tick(50 * 3_600_000);
  greet(w, 4, session);
  await w.settle();
  w.autoSync = true;
  await w.settle();
  expect(w.refused).toEqual([[4, 'EXPIRED']]);
  await expectEnded(w, session);
});
