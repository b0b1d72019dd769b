/** Names in memory are bounded, and none is forgotten that somebody could then see as it was (names.ts N1 to N4, reader.ts R1). */
import { defaultConfig } from '../../../config/index.js';
import { T, type Attempt, type CommitBody, type Run } from '../../../protocol/index.js';
import { Names } from '../../../runtime/kernel/names.js';
import { Reader } from '../../../runtime/kernel/reader.js';
import { oid, world } from './world.js';

const LIMIT = 8;
const present = (name: string): readonly [ReturnType<typeof oid>, Attempt] => [oid(`#${name}`), 1 as Attempt];

function flood(names: Names, from: number, absent: boolean, count = 100): void {
  for (let i = from; i < from + count; i++) names.adopt(`f${i}`, absent ? null : present(`f${i}`));
}

test.each([true, false])('a flood of names (absent: %s) takes bounded room (N3)', (absent) => {
  const names = new Names(LIMIT, () => Infinity);
  for (let i = 0; i < 100; i++) {
    flood(names, i * 10, absent, 10);
    expect(names.size).toBeLessThanOrEqual(LIMIT);
  }
});

test('absent names go first, then those that were not used (N3)', () => {
  const names = new Names(LIMIT, () => Infinity);
  names.adopt('used', present('used'));
  flood(names, 0, true);
  expect(names.get('used')?.oid).toBe('#used');
  for (let i = 0; i < 100; i++) {
    names.get('used');
    names.adopt(`g${i}`, present(`g${i}`));
  }
  expect(names.get('used')?.oid).toBe('#used');
  expect(names.get('g1')).toBeUndefined();
});

test.each([null, '#new'])('a name that became %s stays until every read under way has seen it (N1)', (to) => {
  let seen = 4;
  const names = new Names(LIMIT, () => seen);
  const entry = names.adopt('x', present('x'));
  Object.assign(entry, { oid: to, seq: 5 });
  flood(names, 0, true);
  flood(names, 1000, false);
  expect(names.adopt('x', present('x'))).toBe(entry);
  seen = 5;
  flood(names, 2000, false);
  expect(names.get('x')).toBeUndefined();
});

test('what is pinned stays, what changed since somebody began to read all names too (N1, N2)', () => {
  let seen = 4;
  const names = new Names(LIMIT, () => seen);
  names.pin(['p']);
  names.adopt('p', null);
  const release = names.hold();
  const entry = names.adopt('x', present('x'));
  entry.seq = seen = 5;
  flood(names, 0, false);
  expect([names.has('p'), names.has('x')]).toEqual([true, true]);
  release();
  names.unpin(['p']);
  flood(names, 1000, false);
  expect([names.has('p'), names.has('x')]).toEqual([false, false]);
});

test('a reader says what its oldest read has seen, also while that comes (R1)', () => {
  let durable = 1;
  const reader = new Reader(
    () => undefined,
    () => undefined,
    () => durable,
  );
  const during: number[] = [];
  reader.get([Buffer.from('a')], () => during.push(reader.oldest));
  reader.flush();
  durable = 2;
  reader.get([Buffer.from('b')], () => during.push(reader.oldest));
  expect(reader.oldest).toBe(1);
  reader.flush();
  reader.readDone(2, [undefined], 0);
  expect(reader.oldest).toBe(1);
  reader.readDone(1, [undefined], 0);
  expect(during).toEqual([1, 1]);
  expect(reader.oldest).toBe(Infinity);
});

test('the kernel: unknown names take bounded room, a listing and a watch by name miss nothing for it', async () => {
  const w = await world({}, { ...defaultConfig, kernel: { ...defaultConfig.kernel, maxNameCache: LIMIT } });
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#lobby');
  w.kernel.fromClient(1, [T.SUBSCRIBE, 7, 'a', 100], w.now);
  w.kernel.fromHost(1, [T.LOAD, 2, [], ['fresh']], w.now);
  await w.settle();
  w.ask(1, 1, '#a', 'name');
  const named: CommitBody = [[], [], [], [], [['fresh', oid('#a')]], [], [], [true, null, null]];
  w.autoSync = false;
  w.commit(1, w.runs(1).at(-1) as Run, { body: named });
  for (let no = 2; no <= 200; no++) {
    w.ask(1, no, `unknown${no}`, 'x');
    await w.settle();
  }
  expect(w.runs(1)).toHaveLength(200);
  expect(w.kernel.core.state.names.size).toBeLessThanOrEqual(LIMIT + 4);
  w.query(1, 900, 'names');
  await w.settle();
  w.autoSync = true;
  await w.settle();
  const listing = w.answers(1).find(([type, no]) => type === T.ANSWER && no === 900);
  expect(Buffer.from(listing?.[2] as Uint8Array).toString('latin1')).toContain('fresh');
  w.ask(1, 901, '#a', 'deposit');
  w.add(1, w.runs(1).at(-1) as Run, '#a', 1);
  await w.settle();
  expect(w.answers(1).filter(([type, sub]) => type === T.NOTICE && sub === 7)).toHaveLength(1);
  w.ask(1, 902, 'fresh', 'x');
  await w.settle();
  expect(w.runs(1).at(-1)?.[4]).toBe('#a');
});

test('a load of more names than are kept is answered right', async () => {
  const w = await world({}, { ...defaultConfig, kernel: { ...defaultConfig.kernel, maxNameCache: 2 } });
  w.host(1);
  w.kernel.fromHost(1, [T.LOAD, 2, [], ['x', 'a', 'y', 'b', 'z', 'lobby']], w.now);
  await w.settle();
  const loaded = w.toHost.map(([, envelope]) => envelope).filter((envelope) => envelope[0] === T.LOADED);
  const states = loaded.flatMap((envelope) => envelope[3]);
  expect(states.map(([name, to]) => [name, to])).toEqual([
    ['x', null],
    ['a', '#a'],
    ['y', null],
    ['b', '#b'],
    ['z', null],
    ['lobby', '#lobby'],
  ]);
});
