/** How messages end, and what of them and of their objects is kept no longer than it is needed (core.ts K3, objects.ts O2, delivery.ts D2). */
import { defaultConfig } from '../../../config/index.js';
import {
  pack,
  T,
  unpack,
  VERDICT,
  type CommitBody,
  type Envelope,
  type NewTimer,
  type Run,
  type SessionId,
  type ToHost,
} from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

async function bank(): Promise<World> {
  const w = await world();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b', '#lobby');
  return w;
}

const nextRun = (w: World, host = 1): Run => w.runs(host).at(-1) as Run;
const FAILED: CommitBody = [
  [],
  [],
  [],
  [],
  [],
  [],
  [],
  [false, null, ['METHOD_FAILED', 'Error', 'no', 'mend it', null]],
];
const lastAnswer = (w: World, peer = 1): Envelope => w.answers(peer).at(-1) as Envelope;
const keysOf = (w: World, letter: string): number =>
  w.store.page({ gte: Buffer.from(letter) }, 999).filter(([key]) => key[0] === letter.charCodeAt(0)).length;

async function answerTo(w: World, no: number, op: string, ...args: unknown[]): Promise<unknown> {
  w.query(1, no, op, ...args);
  await w.settle();
  const answer = lastAnswer(w);
  return answer[0] === T.ANSWER ? unpack(answer[2] as Uint8Array) : answer[2];
}

/** The message is on a quarantine host that has died once while it ran. */
async function struckOnce(w: World): Promise<Run> {
  w.ask(1, 1, '#a', 'unlucky');
  w.kernel.hostLost(1, w.now);
  w.host(2, true);
  w.kernel.hostLost(2, w.now);
  w.host(3, true);
  await w.settle();
  expect(keysOf(w, 's')).toBe(1);
  return nextRun(w, 3);
}

test('a client message that was struck once and ends in an error of its own is no dead letter', async () => {
  const w = await bank();
  w.commit(3, await struckOnce(w), { body: FAILED });
  await w.settle();
  expect(lastAnswer(w)).toEqual([T.ERROR, 1, FAILED[7][2]]);
  expect(await answerTo(w, 2, 'deadLetters')).toEqual([]);
  expect(keysOf(w, 's')).toBe(0);
});

test('a client message that was struck once and is cancelled is no dead letter', async () => {
  const w = await bank();
  await struckOnce(w);
  w.kernel.fromClient(1, [T.CANCEL, 1], w.now);
  await w.settle();
  expect(await answerTo(w, 2, 'deadLetters')).toEqual([]);
});

test('of a message that only read, or was abandoned, nothing is left: no strikes, no recorded answers', async () => {
  for (const end of ['read', 'goodbye']) {
    const w = await bank();
    const session = w.welcomed.get(1) as number;
    w.kernel.serviceJoined(50, ['oracle'], w.now);
    const run = await struckOnce(w);
    w.kernel.fromHost(3, [T.SERVICE, 1, run[1], run[2], 'key', 'oracle', 'ask', pack([])], w.now);
    w.kernel.fromService(50, [T.SERVED, 1, 0, true, 'yes'], w.now);
    await w.settle();
    expect(w.store.page({ gte: Buffer.from('d') }, 99).filter(([key]) => key.length > 17)).toHaveLength(1);
    if (end === 'read') w.commit(3, run, { answer: 1 });
    else w.kernel.clientGoodbye(1, w.now);
    await w.settle();
    expect(keysOf(w, 's')).toBe(0);
    expect(
      w.store.page({ gte: Buffer.from('d'), lt: Buffer.from('e') }, 99).filter(([key]) => key.length > 17),
    ).toEqual([]);
    expect(w.kernel.core.suspicion.numbers(session as SessionId).length).toBe(0);
    expect(w.kernel.core.sessions.byId.get(session as SessionId)?.recorded.size ?? 0).toBe(0);
  }
});

test('what an earlier life recorded for a message is forgotten with it', async () => {
  const w = await bank();
  const session = w.welcomed.get(1) as number;
  w.kernel.serviceJoined(50, ['oracle'], w.now);
  const run = await struckOnce(w);
  w.kernel.fromHost(3, [T.SERVICE, 1, run[1], run[2], 'key', 'oracle', 'ask', pack([])], w.now);
  w.kernel.fromService(50, [T.SERVED, 1, 0, true, 'yes'], w.now);
  await w.settle();
  await w.restart();
  expect(w.kernel.core.suspicion.numbers(session as SessionId).length).toBe(1);
  await w.join(2, session);
  w.host(4, true);
  w.ask(2, 1, '#a', 'unlucky');
  await w.settle();
  const again = nextRun(w, 4);
  expect(again[12]).toEqual([['key', true, 'yes']]);
  w.commit(4, again, { answer: 1 });
  await w.settle();
  expect(w.kernel.core.suspicion.numbers(session as SessionId).length).toBe(0);
  expect(w.kernel.core.sessions.byId.get(session as SessionId)?.recorded.size).toBe(0);
  expect(keysOf(w, 's')).toBe(0);
});

test('a write that was refused for want of room finds the answers of services again when it is sent again', async () => {
  const w = await bank();
  w.readOnly = true;
  await w.restart();
  w.host(5);
  await w.join(2);
  await w.load(5, '#a');
  w.kernel.serviceJoined(50, ['oracle'], w.now);
  w.ask(2, 1, '#a', 'wonder');
  const run = nextRun(w, 5);
  w.kernel.fromHost(5, [T.SERVICE, 1, run[1], run[2], 'key', 'oracle', 'ask', pack([])], w.now);
  w.kernel.fromService(50, [T.SERVED, 1, 0, true, 'yes'], w.now);
  w.add(5, run, '#a', 5);
  expect(lastAnswer(w, 2)).toEqual([T.ERROR, 1, expect.arrayContaining(['DISK_FULL'])]);
  w.ask(2, 1, '#a', 'wonder');
  expect(nextRun(w, 5)[12]).toEqual([['key', true, 'yes']]);
});

test('history names an answered turn also while the snapshot with its list is being written', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  const seq = w.answers(1)[0]?.[3] as number;
  w.autoSync = false;
  await w.tick(1000);
  expect(w.appends).toHaveLength(1);
  const history = (await answerTo(w, 2, 'history', '#a')) as { seq: number }[];
  expect(history.map((turn) => turn.seq)).toContain(seq);
  w.autoSync = true;
  await w.settle();
  expect(((await answerTo(w, 3, 'history', '#a')) as { seq: number }[]).map((turn) => turn.seq)).toEqual(
    history.map((turn) => turn.seq),
  );
});

test('a timer that is withdrawn while a page with it is being read does not ring (D2)', async () => {
  const w = await world({}, { ...defaultConfig, kernel: { ...defaultConfig.kernel, timerWindow: 4 } });
  w.host(1);
  await w.join(1);
  w.ask(1, 1, '#a', 'later');
  const first = w.kernel.core.nextOutgoing;
  const timers = Array.from({ length: 8 }, (_, i): NewTimer => [5000 + i, oid('#b'), `ring${i}`, pack([])]);
  w.commit(1, nextRun(w), { body: [[], [], [], [], [], [], timers, [true, null, null]] });
  await w.settle();
  await w.restart();
  w.host(2);
  await w.settle();
  // The fourth is the last one in memory, and due in the millisecond at which the next page begins.
  w.now += 5002;
  w.kernel.tick(w.now);
  expect(w.runs(2).map((run) => run[6])).toEqual(['ring0', 'ring1', 'ring2']);
  const { delivery } = w.kernel.core;
  expect(delivery.withdrawable(first + 3)).toBe(true);
  delivery.withdraw(first + 3);
  await w.settle();
  await w.tick(1000);
  expect(w.runs(2).map((run) => run[6])).not.toContain('ring3');
  expect(w.runs(2)).toHaveLength(7);
});

test('after a replay only what is dirty is kept in memory', async () => {
  const w = await bank();
  for (let no = 1; no <= 3; no++) {
    w.ask(1, no, '#a', 'deposit');
    w.add(1, nextRun(w), '#a', 5);
    await w.settle();
  }
  await w.tick(1000);
  w.ask(1, 4, '#b', 'deposit');
  w.add(1, nextRun(w), '#b', 5);
  await w.settle();
  await w.restart();
  expect([...w.kernel.core.state.objects.keys()].sort()).toEqual(['#b', '#lobby']);
});

test('a grant on the lobby holds back who gives or takes a name, and nobody else (grants.ts A2)', async () => {
  const w = await bank();
  const body = (name: string, to: string | null): CommitBody => [
    [],
    [],
    [],
    [],
    [[name, to === null ? null : oid(to)]],
    [],
    [],
    [true, null, null],
  ];
  w.kernel.fromHost(1, [T.LOAD, 2, [], ['a', 'fresh']], w.now);
  await w.settle();
  w.ask(1, 1, '#b', 'list');
  const lister = nextRun(w);
  w.kernel.fromHost(1, [T.GRANT_REQUEST, lister[1], lister[2], ['#lobby']], w.now);
  const verdictOf = (no: number, name: string, to: string | null): unknown => {
    w.ask(1, no, '#a', 'name');
    w.commit(1, nextRun(w), { body: body(name, to) });
    return w.verdicts(1).at(-1)?.[2];
  };
  expect(verdictOf(2, 'fresh', '#a')).toBe(VERDICT.GRANTED);
  expect(verdictOf(3, 'a', null)).toBe(VERDICT.GRANTED);
  expect(verdictOf(4, 'a', '#b')).toBe(VERDICT.ACCEPTED);
  w.commit(1, lister, { answer: 1 });
  const retried = w.toHost.map(([, envelope]) => envelope as ToHost).filter((envelope) => envelope[0] === T.RETRY);
  expect(retried.map((envelope) => envelope[2])).toEqual([2, 3]);
});
