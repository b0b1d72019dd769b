/** What clients make the kernel hold is bounded in bytes (sessions.ts S4, replies.ts P1 to P3, groups.ts G5), in length and in number. */
import { defaultConfig, type Config } from '../../../config/index.js';
import { ORIGIN, pack, T, type CommitBody, type Envelope, type Run, type SessionId } from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

const KiB = 1024;

const limits = (part: { message?: Partial<Config['message']>; kernel?: Partial<Config['kernel']> }): Config => ({
  ...defaultConfig,
  message: { ...defaultConfig.message, ...part.message },
  kernel: { ...defaultConfig.kernel, ...part.kernel },
});

async function bank(config: Config): Promise<World> {
  const w = await world({}, config);
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b');
  return w;
}

const lastRun = (w: World, host = 1): Run => w.runs(host).at(-1) as Run;
const lastAnswer = (w: World, peer = 1): Envelope => w.answers(peer).at(-1) as Envelope;
const textOf = (envelope: Envelope): string => JSON.stringify(envelope[2]);

function askWith(w: World, peer: number, no: number, bytes: number, target = '#a', selector = 'x'): void {
  w.kernel.fromClient(peer, [T.ASK, no, 1, 20_000, '', target, selector, new Uint8Array(bytes), ORIGIN.PROGRAM], w.now);
}

/** A turn that writes one number and answers `bytes` bytes. */
function write(w: World, no: number, bytes: number, extra: { lowest?: number; peer?: number } = {}): void {
  w.ask(extra.peer ?? 1, no, '#a', 'write', { lowest: extra.lowest ?? 1 });
  w.commit(1, lastRun(w), { writes: [[oid('#a'), [['balance', 0, no]]]], answer: Buffer.alloc(bytes, no) });
}

function read(w: World, no: number, bytes: number, lowest = 1): void {
  w.ask(1, no, '#a', 'read', { lowest });
  w.commit(1, lastRun(w), { answer: Buffer.alloc(bytes, no) });
}

test('arguments under way: BUSY past the bytes of one session, with the limit; room again when one ends', async () => {
  const w = await bank(limits({ message: { windowBytes: 100 * KiB, maxBodyBytes: 64 * KiB } }));
  askWith(w, 1, 1, 60 * KiB);
  askWith(w, 1, 2, 60 * KiB);
  expect(lastAnswer(w).slice(0, 2)).toEqual([T.ERROR, 2]);
  expect(textOf(lastAnswer(w))).toMatch(/BUSY.*message\.window_bytes is 102400/);
  askWith(w, 1, 3, 30 * KiB);
  expect(w.runs(1)).toHaveLength(2);
  w.kernel.fromClient(1, [T.CANCEL, 1], w.now);
  askWith(w, 1, 2, 60 * KiB);
  expect(w.runs(1)).toHaveLength(3);
  w.kernel.clientGoodbye(1, w.now);
  expect(w.kernel.core.sessions.inFlightBytes).toBe(0);
});

test('arguments under way: BUSY past the bytes of all sessions, with the limit; questions count too', async () => {
  const w = await bank(limits({ kernel: { maxInFlightBytes: 100 * KiB } }));
  await w.join(2);
  askWith(w, 1, 1, 60 * KiB);
  w.kernel.fromClient(2, [T.QUERY, 1, 1, 20_000, 'verify', pack(['x'.repeat(60 * KiB)])], w.now);
  expect(textOf(lastAnswer(w, 2))).toMatch(/BUSY.*kernel\.max_in_flight_bytes is 102400/);
  w.kernel.hostLost(1, w.now);
  w.kernel.clientGoodbye(1, w.now);
  w.kernel.fromClient(2, [T.QUERY, 2, 1, 20_000, 'verify', pack(['x'.repeat(60 * KiB)])], w.now);
  expect(w.external).toEqual([[1, 'verify']]);
});

test('a receiver or selector that is too long is refused with its limit, also a body of a question', async () => {
  const w = await bank(limits({ message: { maxBodyBytes: 64 * KiB } }));
  askWith(w, 1, 1, 1, 'n'.repeat(257));
  expect(textOf(lastAnswer(w))).toMatch(/TOO_LARGE.*nnn….*message\.max_target_length is 256/);
  askWith(w, 1, 2, 1, 'a', 's'.repeat(257));
  expect(textOf(lastAnswer(w))).toMatch(/TOO_LARGE.*sss….*message\.max_selector_length is 256/);
  w.query(1, 3, 'inspect', 'x'.repeat(65 * KiB));
  expect(textOf(lastAnswer(w))).toMatch(/TOO_LARGE.*message\.max_body_bytes is 65536/);
  w.query(1, 4, 'inspect', 'x'.repeat(300));
  await w.settle();
  expect(lastAnswer(w)[0]).toBe(T.ERROR);
  expect(w.kernel.core.state.names.has('x'.repeat(300))).toBe(false);
  expect(w.runs(1)).toEqual([]);
});

test('answers of turns that read take a bounded room: the oldest go and run anew when repeated (P3)', async () => {
  const w = await bank(limits({ kernel: { maxReplyBytes: 64 * KiB } }));
  for (let no = 1; no <= 40; no++) read(w, no, 4 * KiB);
  expect(w.kernel.core.replies.bytes).toBeLessThanOrEqual(64 * KiB);
  const runs = w.runs(1).length;
  w.ask(1, 40, '#a', 'read');
  expect(w.runs(1)).toHaveLength(runs);
  expect(lastAnswer(w)).toEqual([T.ANSWER, 40, Buffer.alloc(4 * KiB, 40), 0]);
  w.ask(1, 1, '#a', 'read');
  expect(w.runs(1)).toHaveLength(runs + 1);
});

test('answers that a session has not said it got keep it out past its own limit, and nobody else (S4)', async () => {
  const w = await bank(limits({ message: { windowBytes: 64 * KiB, maxBodyBytes: 32 * KiB } }));
  await w.join(2);
  for (let no = 1; no <= 16; no++) read(w, no, 4 * KiB);
  w.ask(1, 17, '#a', 'read');
  expect(textOf(lastAnswer(w))).toMatch(
    /BUSY.*has not said that it got \d+ bytes of answers; message\.window_bytes is 65536/,
  );
  w.ask(2, 1, '#a', 'read');
  expect(lastRun(w)[2]).toBe(1);
  w.ask(1, 17, '#a', 'read', { lowest: 17 });
  expect(lastRun(w)[2]).toBe(17);
  expect(w.kernel.core.replies.bytes).toBe(0);
});

test('answers of turns that wrote count too, as long as they are in memory (S4)', async () => {
  const w = await bank(limits({ message: { windowBytes: 64 * KiB, maxBodyBytes: 32 * KiB } }));
  w.autoSync = false;
  for (let no = 1; no <= 13; no++) write(w, no, 5 * KiB);
  w.ask(1, 14, '#a', 'write');
  expect(textOf(lastAnswer(w))).toMatch(/BUSY.*has not said that it got \d+ bytes.*message\.window_bytes is 65536/);
  w.ask(1, 14, '#a', 'write', { lowest: 10 });
  expect(lastRun(w)[2]).toBe(14);
  w.autoSync = true;
  await w.settle();
  await w.tick(1000);
  expect(w.kernel.core.sessions.byId.get(w.welcomed.get(1) as SessionId)?.answerBytes).toBe(0);
});

/** The sizes of the reads that the kernel asks for from now on. */
function reads(w: World): number[] {
  const sizes: number[] = [];
  const { ports } = w.kernel.core;
  const plain = ports.read.bind(ports);
  const counted: typeof plain = (ticket, keys) => {
    sizes.push(keys.length);
    plain(ticket, keys);
  };
  Object.assign(ports, { read: counted });
  return sizes;
}

test('an answer with a key that is asked for many times at once is read and sent once', async () => {
  const w = await bank(defaultConfig);
  write(w, 1, 10 * KiB);
  await w.settle();
  await w.tick(1000);
  const before = w.answers(1).length;
  const sizes = reads(w);
  for (let i = 0; i < 1000; i++) w.ask(1, 1, '#a', 'write');
  await w.settle();
  expect(sizes).toEqual([1]);
  expect(w.answers(1)).toHaveLength(before + 1);
  w.ask(1, 1, '#a', 'write');
  await w.settle();
  expect(w.answers(1)).toHaveLength(before + 2);
});

test('many answers with keys are read a few at a time, and all are sent', async () => {
  const w = await bank(defaultConfig);
  for (let no = 1; no <= 200; no++) write(w, no, KiB);
  await w.settle();
  for (let i = 0; i < 10; i++) await w.tick(1000);
  expect(w.kernel.core.replies.bytes).toBe(0);
  w.toClient.length = 0;
  const sizes = reads(w);
  for (let no = 1; no <= 200; no++) w.ask(1, no, '#a', 'write');
  await w.settle();
  expect(Math.max(...sizes)).toBeLessThanOrEqual(32);
  expect(new Set(w.answers(1).map(([, no]) => no)).size).toBe(200);
  for (let no = 1; no <= 200; no++) w.ask(1, no, '#a', 'write');
  w.kernel.clientLost(1, w.now);
  await w.settle();
  expect(w.answers(1)).toHaveLength(200);
  await w.join(2, w.welcomed.get(1));
  for (let no = 1; no <= 200; no++) w.ask(2, no, '#a', 'write');
  await w.settle();
  expect(w.answers(2)).toHaveLength(200);
});

test('an answer that its sender waits for no more leaves memory at once, and gets no key (P2)', async () => {
  const w = await bank(defaultConfig);
  for (let no = 1; no <= 20; no++) {
    write(w, no, 100 * KiB, { lowest: no });
    await w.settle();
    expect(w.kernel.core.replies.bytes).toBeLessThan(150 * KiB);
  }
  await w.tick(1000);
  const saved = w.store
    .page({ gte: Buffer.from('d'), lt: Buffer.from('e') }, 99)
    .filter(([key]) => key.readUInt32BE(13) > 0);
  expect(saved.map(([key]) => key.readUInt32BE(13))).toEqual([20]);
});

test('a goodbye leaves no key of the session, whatever was saved how (A9)', async () => {
  const w = await bank(defaultConfig);
  write(w, 1, KiB);
  await w.settle();
  await w.tick(1000);
  write(w, 2, KiB);
  read(w, 3, KiB);
  await w.settle();
  w.kernel.clientGoodbye(1, w.now);
  expect(w.kernel.core.replies.bytes).toBe(0);
  await w.settle();
  await w.tick(1000);
  expect(w.store.page({ gte: Buffer.from('d'), lt: Buffer.from('e') }, 99)).toEqual([]);
});

test('an answer with a key of its own is not in memory, and is the same when it is asked for again, also an error (P1)', async () => {
  const w = await bank(defaultConfig);
  write(w, 1, 10 * KiB);
  const failed: CommitBody = [
    [],
    [],
    [],
    [],
    [],
    [],
    [],
    [false, null, ['METHOD_FAILED', 'Error', 'no', 'mend', { at: 1 }]],
  ];
  w.ask(1, 2, '#a', 'fail');
  w.commit(1, lastRun(w), { body: failed });
  await w.settle();
  const first = w.answers(1).slice();
  await w.tick(1000);
  expect(w.kernel.core.replies.bytes).toBe(0);
  w.ask(1, 1, '#a', 'write');
  w.ask(1, 2, '#a', 'fail');
  await w.settle();
  expect(w.answers(1).slice(2)).toEqual(first);
  const session = w.welcomed.get(1) as number;
  await w.restart();
  await w.join(2, session);
  expect(w.kernel.core.replies.bytes).toBe(0);
  w.ask(2, 1, '#a', 'write');
  w.ask(2, 2, '#a', 'fail');
  await w.settle();
  expect(w.answers(2)).toEqual(first);
});

test('large answers push the replay mark on: a start has a bounded number of bytes to apply and to hold (G5)', async () => {
  const w = await bank(limits({ kernel: { maxReplayBytes: 256 * KiB } }));
  const session = w.welcomed.get(1) as number;
  for (let no = 1; no <= 100; no++) {
    write(w, no, 16 * KiB);
    w.kernel.flush(w.now);
    w.sync();
    expect(w.kernel.core.replies.bytes).toBeLessThan(320 * KiB);
  }
  await w.settle();
  await w.restart();
  expect(w.kernel.core.replies.bytes).toBeLessThan(320 * KiB);
  w.host(2);
  await w.load(2, '#a');
  expect(w.value('#a', 'balance')).toBe(100);
  await w.join(2, session);
  for (const no of [1, 50, 100]) w.ask(2, no, '#a', 'write');
  await w.settle();
  expect(w.runs(2)).toEqual([]);
  const answers = w.answers(2).map(([type, no, body]) => [type, no, (body as Buffer)[0]]);
  expect(answers).toHaveLength(3);
  expect(answers).toEqual(expect.arrayContaining([1, 50, 100].map((no) => [T.ANSWER, no, no])));
});

test('dirty objects that take too much room are written at once, and nobody is let in while they do not keep up', async () => {
  const w = await bank(limits({ kernel: { maxDirtyBytes: 256 * KiB, maxGroupBytes: 64 * KiB } }));
  w.autoSync = false;
  let refused = 0;
  for (let no = 1; no <= 20; no++) {
    w.ask(1, no, '#a', 'fill');
    if (w.runs(1).length < no - refused) {
      refused++;
      expect(textOf(lastAnswer(w))).toMatch(/BUSY/);
      continue;
    }
    const made = oid(`#n${no}`);
    const body: CommitBody = [
      [],
      [],
      [made],
      [[made, [['x', 0, Buffer.alloc(40 * KiB)]]]],
      [],
      [],
      [],
      [true, null, null],
    ];
    w.commit(1, lastRun(w), { body });
    w.kernel.flush(w.now);
    if (no % 4 === 0) w.sync();
  }
  expect(refused).toBeGreaterThan(0);
  while (w.sync());
  expect(w.kernel.core.state.dirtyBytes).toBeLessThanOrEqual(256 * KiB);
  w.ask(1, 99, '#a', 'fill');
  expect(lastRun(w)[2]).toBe(99);
});
