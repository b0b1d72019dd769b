import { ABSENT, pack, T, VERDICT, type CommitBody, type Run } from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

/** A world with one host that holds both accounts, and one client. */
async function bank(): Promise<World> {
  const w = await world();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b');
  return w;
}

const nextRun = (w: World, host = 1): Run => w.runs(host).at(-1) as Run;

test('an answer does not leave before its group is durable (G1)', async () => {
  const w = await bank();
  w.autoSync = false;
  w.ask(1, 1, 'a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.ACCEPTED);
  expect(w.answers(1)).toEqual([]);
  w.sync();
  expect(w.answers(1)).toEqual([[T.ANSWER, 1, 105, expect.any(Number)]]);
});

test('a read of what is accepted and not durable waits for it', async () => {
  const w = await bank();
  w.autoSync = false;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  w.kernel.flush(w.now);
  w.ask(1, 2, '#a', 'balance');
  w.commit(1, nextRun(w), { reads: [[oid('#a'), ['balance', w.accepted('#a', 'balance')]]], answer: 105 });
  w.ask(1, 3, '#b', 'balance');
  w.commit(1, nextRun(w), { reads: [[oid('#b'), ['balance', w.accepted('#b', 'balance')]]], answer: 100 });
  expect(w.answers(1).map((env) => env[1])).toEqual([3]);
  w.sync();
  expect(w.answers(1).map((env) => env[1])).toEqual([3, 1, 2]);
});

test('two turns that read the same version: the second is in conflict and names the object', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit');
  const first = nextRun(w);
  w.ask(1, 2, '#a', 'deposit');
  const second = nextRun(w);
  const stale = w.accepted('#a', 'balance');
  w.add(1, first, '#a', 5);
  w.commit(1, second, { reads: [[oid('#a'), ['balance', stale]]], writes: [[oid('#a'), [['balance', 0, 1]]]] });
  expect(w.verdicts(1).map(([, , kind, keys]) => [kind, keys])).toEqual([
    [VERDICT.ACCEPTED, []],
    [VERDICT.CONFLICT, ['#a']],
  ]);
  expect(w.value('#a', 'balance')).toBe(105);
});

test('who read a refused attempt falls with it', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'x');
  const first = nextRun(w);
  w.ask(1, 2, '#b', 'y');
  const lost = w.attempt(1);
  w.commit(1, first, {
    attempt: lost,
    reads: [[oid('#a'), ['balance', ABSENT]]],
    writes: [[oid('#a'), [['balance', 0, 7]]]],
  });
  w.commit(1, nextRun(w), { reads: [[oid('#a'), ['balance', lost]]], writes: [[oid('#b'), [['balance', 0, 7]]]] });
  expect(w.verdicts(1).map(([, , kind]) => kind)).toEqual([VERDICT.CONFLICT, VERDICT.CONFLICT]);
});

test('absence is a read: a slot that came meanwhile is a conflict, a listing reads the shape', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'grow');
  w.commit(1, nextRun(w), { writes: [[oid('#a'), [['limit', 0, 5]]]] });
  w.ask(1, 2, '#a', 'look');
  w.commit(1, nextRun(w), { reads: [[oid('#a'), ['limit', ABSENT]]] });
  const shape = w.kernel.core.state.objects.get(oid('#a'))?.shape ?? ABSENT;
  w.ask(1, 3, '#a', 'list');
  const lister = nextRun(w);
  w.ask(1, 4, '#a', 'shrink');
  w.commit(1, nextRun(w), { writes: [[oid('#a'), [['limit', 1, null]]]] });
  w.commit(1, lister, { reads: [[oid('#a'), ['', shape]]] });
  expect(w.verdicts(1).map(([, , kind]) => kind)).toEqual([
    VERDICT.ACCEPTED,
    VERDICT.CONFLICT,
    VERDICT.ACCEPTED,
    VERDICT.CONFLICT,
  ]);
});

test('the same number again: joined while under way, the saved answer after, one effect', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit');
  w.ask(1, 1, '#a', 'deposit');
  expect(w.runs(1)).toHaveLength(1);
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  w.ask(1, 1, '#a', 'deposit');
  expect(w.runs(1)).toHaveLength(1);
  expect(w.answers(1)).toEqual([
    expect.arrayContaining([T.ANSWER, 1, 105]),
    expect.arrayContaining([T.ANSWER, 1, 105]),
  ]);
});

test('the same number after a kernel restart and a power cut: the same answer, also an error', async () => {
  const w = await bank();
  const session = w.welcomed.get(1) as number;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  w.ask(1, 2, '#a', 'fail');
  const failed: CommitBody = [
    [],
    [],
    [],
    [],
    [],
    [],
    [],
    [false, null, ['METHOD_FAILED', 'RangeError', 'too much', 'less', null]],
  ];
  w.commit(1, nextRun(w), { body: failed });
  await w.settle();
  await w.restart();
  expect(await w.join(2, session)).toBe(session);
  w.ask(2, 1, '#a', 'deposit');
  w.ask(2, 2, '#a', 'fail');
  expect(w.answers(2)).toEqual([expect.arrayContaining([T.ANSWER, 1, 105]), [T.ERROR, 2, failed[7][2]]]);
  await w.load(1, '#a');
});

test('a power cut before the sync: nobody was answered, nothing is there, the repeat runs anew', async () => {
  const w = await bank();
  w.autoSync = false;
  const session = w.welcomed.get(1) as number;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  expect(w.answers(1)).toEqual([]);
  w.autoSync = true;
  await w.restart();
  w.host(3);
  await w.load(3, '#a');
  expect(w.value('#a', 'balance')).toBe(100);
  await w.join(2, session);
  w.ask(2, 1, '#a', 'deposit');
  expect(w.runs(3)).toHaveLength(1);
});

test('replay brings back what had no snapshot yet', async () => {
  const w = await bank();
  for (let no = 1; no <= 20; no++) {
    w.ask(1, no, '#a', 'deposit', { lowest: no });
    w.add(1, nextRun(w), '#a', 1);
  }
  await w.settle();
  await w.restart();
  w.host(5);
  await w.load(5, '#a');
  expect(w.value('#a', 'balance')).toBe(120);
  expect(w.kernel.core.state.objects.get(oid('#a'))?.slots.get('balance')?.version).toBe(21);
});

test('a session that said goodbye is refused EXPIRED, also after a restart', async () => {
  const w = await bank();
  const session = w.welcomed.get(1) as number;
  w.kernel.clientGoodbye(1, w.now);
  await w.settle();
  w.kernel.clientJoined(2, { session, key: 'key', rights: [], agent: 'test' }, w.now);
  await w.settle();
  await w.restart();
  w.kernel.clientJoined(3, { session, key: 'key', rights: [], agent: 'test' }, w.now);
  await w.settle();
  expect(w.refused).toEqual([
    [2, 'EXPIRED'],
    [3, 'EXPIRED'],
  ]);
});

test('numbers below the lowest are refused EXPIRED and never run', async () => {
  const w = await bank();
  w.ask(1, 5, '#a', 'x', { lowest: 5 });
  w.ask(1, 3, '#a', 'x', { lowest: 5 });
  expect(w.runs(1)).toHaveLength(1);
  expect(w.answers(1)[0]?.[2]).toEqual(expect.arrayContaining(['EXPIRED']));
});

test('DEADLINE is saved, and the commit that comes later is void', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'slow', { deadline: 100 });
  const run = nextRun(w);
  await w.tick(200);
  expect(w.answers(1)[0]?.[2]).toEqual(expect.arrayContaining(['DEADLINE']));
  w.add(1, run, '#a', 5);
  expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.VOID);
  w.ask(1, 1, '#a', 'slow');
  expect(w.answers(1)).toHaveLength(2);
  expect(w.runs(1)).toHaveLength(1);
});

test('what a dead host had begun runs in quarantine, one at a time; the running one gets strikes, the innocent are answered', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'bad');
  w.ask(1, 2, '#b', 'good');
  w.kernel.hostLost(1, w.now);
  expect(w.quarantineWanted).toBeGreaterThan(0);
  w.host(2, true);
  let badRuns = 0;
  let host = 2;
  for (let i = 0; i < 10 && w.answers(1).length < 2; i++) {
    const run = w.runs(host).at(-1);
    if (run === undefined) break;
    expect(w.runs(host).filter((one) => one[2] === run[2])).toHaveLength(1);
    if (run[6] === 'bad') {
      badRuns++;
      w.kernel.hostLost(host, w.now);
      host++;
      w.host(host, true);
    } else {
      await w.load(host, '#b');
      w.add(host, run, '#b', 1);
    }
    await w.settle();
  }
  expect(badRuns).toBe(3);
  expect(w.answers(1).find((env) => env[1] === 1)?.[2]).toEqual(expect.arrayContaining(['DEAD_LETTER']));
  expect(w.answers(1).find((env) => env[1] === 2)).toEqual(expect.arrayContaining([T.ANSWER, 2, 101]));
  w.query(1, 3, 'deadLetters');
  await w.settle();
  expect(w.answers(1).at(-1)?.[0]).toBe(T.ANSWER);
});

test('outbox messages leave after the commit, take effect once, and survive a restart', async () => {
  const w = await bank();
  w.autoSync = false;
  w.ask(1, 1, '#a', 'tellB');
  const body: CommitBody = [[], [], [], [], [], [[oid('#b'), 'deposit', pack([1])]], [], [true, null, null]];
  w.commit(1, nextRun(w), { body });
  await w.settle();
  expect(w.runs(1)).toHaveLength(1);
  w.autoSync = true;
  await w.settle();
  expect(w.runs(1).map((run) => run[6])).toEqual(['tellB', 'deposit']);
  await w.restart();
  w.host(4);
  await w.load(4, '#b');
  await w.settle();
  const [delivered] = w.runs(4);
  expect(delivered?.[6]).toBe('deposit');
  w.add(4, delivered as Run, '#b', 1);
  await w.settle();
  await w.restart();
  w.host(6);
  await w.settle();
  expect(w.runs(6)).toEqual([]);
});

test('a timer fires when due, also after a restart, and an error of it leaves a dead letter', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'later');
  w.commit(1, nextRun(w), {
    body: [[], [], [], [], [], [], [[5000, oid('#b'), 'ring', pack([])]], [true, null, null]],
  });
  await w.settle();
  await w.restart();
  w.host(4);
  await w.settle();
  await w.tick(4000);
  expect(w.runs(4)).toEqual([]);
  await w.tick(1500);
  expect(w.runs(4).map((run) => run[6])).toEqual(['ring']);
  w.commit(4, w.runs(4)[0] as Run, {
    body: [[], [], [], [], [], [], [], [false, null, ['METHOD_FAILED', 'Error', 'no', '', null]]],
  });
  await w.settle();
  await w.join(9);
  w.query(9, 1, 'deadLetters');
  await w.settle();
  const answer = w.answers(9).at(-1);
  expect(Buffer.from(answer?.[2] as Uint8Array).toString('latin1')).toContain('ring');
  await w.restart();
  w.host(7);
  await w.tick(10_000);
  expect(w.runs(7)).toEqual([]);
});

test('under a grant others are refused GRANTED and told to retry when it ends', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'slow');
  const holder = nextRun(w);
  w.ask(1, 2, '#a', 'fast');
  const other = nextRun(w);
  w.kernel.fromHost(1, [T.GRANT_REQUEST, holder[1], holder[2], ['#a']], w.now);
  expect(w.toHost.some(([, env]) => env[0] === T.GRANT && env[2] === 1)).toBe(true);
  w.add(1, other, '#a', 1);
  expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.GRANTED);
  w.add(1, holder, '#a', 10);
  expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.ACCEPTED);
  expect(w.toHost.at(-1)?.[1]).toEqual([T.RETRY, other[1], 2]);
  w.add(1, other, '#a', 1);
  expect(w.value('#a', 'balance')).toBe(111);
});

test('undo restores the slots, and is refused with the later turns named', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  const seq = w.answers(1)[0]?.[3] as number;
  w.ask(1, 2, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 7);
  await w.settle();
  const later = w.answers(1)[1]?.[3] as number;
  w.query(1, 3, 'undo', seq);
  await w.settle();
  const refusal = w.answers(1).at(-1)?.[2] as string[];
  expect(refusal[0]).toBe('UNDO_REFUSED');
  expect(refusal[2]).toContain(String(later));
  w.query(1, 4, 'undo', later);
  await w.settle();
  expect(w.value('#a', 'balance')).toBe(105);
  w.query(1, 5, 'undo', seq);
  await w.settle();
  // The later turn and its undo cancel out: "undo the turns named first, latest first" is a remedy that works.
  expect(w.answers(1).at(-1)?.[0]).toBe(T.ANSWER);
  expect(w.value('#a', 'balance')).toBe(100);
  w.query(1, 6, 'undo', seq);
  await w.settle();
  expect((w.answers(1).at(-1)?.[2] as string[])[0]).toBe('UNDO_REFUSED');
});

test('a failed append: nobody is answered any more, the wiring is told', async () => {
  const w = await bank();
  w.autoSync = false;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  w.kernel.flush(w.now);
  const { TelosError } = await import('../../../protocol/index.js');
  w.kernel.appendFailed(new TelosError('DISK_FULL', 'no room'), w.now);
  await w.settle();
  expect(w.fatal?.code).toBe('DISK_FULL');
  expect(w.answers(1)).toEqual([]);
});

test('changes of one host reach the others that hold the object', async () => {
  const w = await bank();
  w.host(2);
  await w.load(2, '#a', '#b');
  w.ask(1, 1, '#a', 'deposit');
  const [host, run] = w.runs(1).length > 0 ? [1, w.runs(1)[0] as Run] : [2, w.runs(2)[0] as Run];
  w.add(host, run, '#a', 5);
  const other = host === 1 ? 2 : 1;
  const changed = w.toHost.filter(([id, env]) => id === other && env[0] === T.CHANGED).map(([, env]) => env);
  expect(changed).toEqual([
    [T.CHANGED, '#a', expect.any(Number), expect.any(Number), [['balance', expect.any(Number), 2, false, 105]]],
  ]);
});

test('without room to write: reads are answered, writes are refused DISK_FULL, nothing is appended', async () => {
  const w = await bank();
  const session = w.welcomed.get(1) as number;
  w.ask(1, 1, '#a', 'deposit');
  w.add(1, nextRun(w), '#a', 5);
  await w.settle();
  w.readOnly = true;
  await w.restart();
  w.host(3);
  await w.load(3, '#a');
  await w.join(2, session);
  await w.join(3);
  w.ask(2, 1, '#a', 'deposit');
  expect(w.answers(2).at(-1)).toEqual(expect.arrayContaining([T.ANSWER, 1, 105]));
  w.ask(3, 1, '#a', 'balance');
  w.commit(3, nextRun(w, 3), { reads: [[oid('#a'), ['balance', w.accepted('#a', 'balance')]]], answer: 105 });
  w.ask(3, 2, '#a', 'deposit');
  w.add(3, nextRun(w, 3), '#a', 5);
  await w.tick(1000);
  expect(w.answers(3).map((env) => [env[0], (env[2] as string[])[0] ?? env[2]])).toEqual([
    [T.ANSWER, 105],
    [T.ERROR, 'DISK_FULL'],
  ]);
  expect(w.value('#a', 'balance')).toBe(105);
  expect(w.appends).toEqual([]);
});

test('a patch of a slot that the turn has not read is refused, not applied to another content', async () => {
  const w = await bank();
  w.ask(1, 1, '#a', 'patch');
  w.commit(1, nextRun(w), { writes: [[oid('#a'), [['balance', 2, Buffer.from([0x90])]]]] });
  expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.CONFLICT);
  expect(w.value('#a', 'balance')).toBe(100);
});
