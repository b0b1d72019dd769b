/** Questions to the kernel: what they show is durable (G1), and no answer is larger than a frame, whatever it is about. */
import { defaultConfig } from '../../../config/index.js';
import { pack, T, unpack, type CommitBody, type Envelope, type Run } from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

async function bank(maxFrameBytes = defaultConfig.link.maxFrameBytes): Promise<World> {
  const w = await world({}, { ...defaultConfig, link: { ...defaultConfig.link, maxFrameBytes } });
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b', '#lobby');
  return w;
}

const nextRun = (w: World, host = 1): Run => w.runs(host).at(-1) as Run;
const answerTo = (w: World, no: number): Envelope | undefined => w.answers(1).find((env) => env[1] === no);
const bytesOf = (answer: Envelope | undefined): number => (answer?.[2] as Uint8Array).length;

function deposit(w: World, no: number): void {
  w.ask(1, no, '#a', 'deposit', { lowest: no });
  w.add(1, nextRun(w), '#a', 1);
}

async function ask<R>(w: World, no: number, op: string, ...args: unknown[]): Promise<R> {
  w.query(1, no, op, ...args);
  await w.settle();
  const answer = answerTo(w, no);
  if (answer?.[0] !== T.ANSWER) throw new Error(JSON.stringify(answer));
  return unpack(answer[2] as Uint8Array) as R;
}

test.each([
  ['inspect', ['#a']],
  ['history', ['#a']],
  ['names', []],
])('%s shows nothing that is not durable: its answer waits (G1)', async (op, args) => {
  const w = await bank();
  w.autoSync = false;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  w.query(1, 2, op, ...args);
  await w.settle();
  expect(answerTo(w, 2)).toBeUndefined();
  w.sync();
  expect(answerTo(w, 2)?.[0]).toBe(T.ANSWER);
});

test('a turn that asks the kernel for names or history gets them when they are durable', async () => {
  const w = await bank();
  w.autoSync = false;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  w.ask(1, 2, '#b', 'look');
  const [, session, no] = nextRun(w);
  w.kernel.fromHost(1, [T.SERVICE, 1, session, no, 'key1', 'kernel', 'history', pack(['#a', null])], w.now);
  w.kernel.fromHost(1, [T.SERVICE, 2, session, no, 'key2', 'kernel', 'names', pack([])], w.now);
  await w.settle();
  const told = (): unknown[] =>
    w.toHost.filter(([, envelope]) => envelope[0] === T.SERVICE_ANSWER).map(([, envelope]) => envelope[1]);
  expect(told()).toEqual([]);
  w.sync();
  await w.settle();
  expect(told().sort()).toEqual([1, 2]);
});

test('the history of a hot object, none of it durable, is told without recursion', async () => {
  const w = await bank();
  w.autoSync = false;
  for (let no = 1; no <= 4000; no++) deposit(w, no);
  w.query(1, 4001, 'history', '#a', 10_000);
  await w.settle();
  w.autoSync = true;
  await w.settle();
  const turns = unpack(answerTo(w, 4001)?.[2] as Uint8Array) as { seq: number }[];
  expect(turns.length).toBe(4001);
  expect(turns[0]?.seq).toBe(4001);
});

test('history in parts: what fits, then on before the last, over snapshots and what is in memory; nothing twice', async () => {
  const w = await bank(64 * 1024);
  for (let no = 1; no <= 600; no++) {
    deposit(w, no);
    if (no % 50 === 0) {
      await w.settle();
      await w.tick(1000);
      await w.tick(1000);
    }
  }
  await w.settle();
  const seqs: number[] = [];
  for (let no = 1000; no < 1100; no++) {
    const part: { seq: number }[] = await ask(w, no, 'history', '#a', 10_000, seqs.at(-1) ?? 0);
    expect(bytesOf(answerTo(w, no))).toBeLessThan(64 * 1024);
    if (part.length === 0) break;
    seqs.push(...part.map(({ seq }) => seq));
  }
  expect(seqs).toEqual(Array.from({ length: 601 }, (_, i) => 601 - i));
  const few: { seq: number }[] = await ask(w, 1200, 'history', '#a', 3, 300);
  expect(few.map(({ seq }) => seq)).toEqual([299, 298, 297]);
});

test('the journal in parts, in order', async () => {
  const w = await bank(64 * 1024);
  for (let no = 1; no <= 600; no++) deposit(w, no);
  await w.settle();
  const seqs: number[] = [];
  for (let no = 1000; no < 1100; no++) {
    const part: { seq: number }[] = await ask(w, no, 'journal', (seqs.at(-1) ?? 0) + 1, 10_000);
    expect(bytesOf(answerTo(w, no))).toBeLessThan(64 * 1024);
    if (part.length === 0) break;
    seqs.push(...part.map(({ seq }) => seq));
  }
  expect(seqs).toEqual(Array.from({ length: 601 }, (_, i) => i + 1));
});

test('names in parts, those not yet in the journal too, in the order of their bytes', async () => {
  const w = await bank(64 * 1024);
  const made = Array.from({ length: 3000 }, (_, i) => `n${i}${'x'.repeat(20)}`);
  w.kernel.fromHost(1, [T.LOAD, 2, [], made], w.now);
  await w.settle();
  for (const [no, names] of [
    [1, made.slice(0, 1500)],
    [2, made.slice(1500)],
  ] as const) {
    w.ask(1, no, '#a', 'name');
    const given = names.map((name): CommitBody[4][number] => [name, oid('#b')]);
    w.commit(1, nextRun(w), { body: [[], [], [], [], given, [], [], [true, null, null]] });
    if (no === 1) await w.settle();
  }
  const found: string[] = [];
  for (let no = 1000; no < 1100; no++) {
    const part: [string, string][] = await ask(w, no, 'names', found.at(-1) ?? null);
    expect(bytesOf(answerTo(w, no))).toBeLessThan(64 * 1024);
    if (part.length === 0) break;
    found.push(...part.map(([name]) => name));
  }
  expect(found).toEqual([...made, 'a', 'b', 'lobby'].sort());
});

test('a large object is shown in parts', async () => {
  const w = await bank(64 * 1024);
  const slots = Array.from({ length: 1500 }, (_, i) => `slot${i}${'y'.repeat(40)}`);
  for (let i = 0; i < 3; i++) {
    w.ask(1, i + 1, '#b', 'grow');
    w.commit(1, nextRun(w), {
      writes: [[oid('#b'), slots.slice(i * 500, i * 500 + 500).map((slot) => [slot, 0, 1])]],
    });
  }
  await w.settle();
  const found: string[] = [];
  for (let no = 1000, more = true; more; no++) {
    const part: { slots: { slot: string }[]; more: boolean } = await ask(w, no, 'inspect', '#b', found.at(-1) ?? null);
    expect(bytesOf(answerTo(w, no))).toBeLessThan(64 * 1024);
    found.push(...part.slots.map(({ slot }) => slot));
    more = part.more;
  }
  expect(found).toEqual([...slots, 'balance'].sort());
});
