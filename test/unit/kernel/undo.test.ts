/** Undo: who is named as a dependent, what it waits for, what it costs. */
import {
  ABSENT,
  diff,
  pack,
  PARENTS,
  SHAPE,
  T,
  unpack,
  VERDICT,
  WRITE,
  type Attempt,
  type CommitBody,
  type Content,
  type NameRead,
  type NameWrite,
  type NewTimer,
  type Run,
  type Seq,
  type SlotWrite,
} from '../../../protocol/index.js';
import { encodeRecord, keys, type TurnRecord } from '../../../runtime/journal/index.js';
import { oid, world, type World } from './world.js';

interface Parts {
  readonly reads?: [object: string, slot: string, attempt?: Attempt][];
  readonly nameReads?: NameRead[];
  readonly creates?: string[];
  readonly writes?: [object: string, ...writes: SlotWrite[]][];
  readonly names?: NameWrite[];
  readonly timers?: NewTimer[];
}

/** One host that holds both objects, one client, and its numbers. */
class Bench {
  #no = 0;

  private constructor(readonly w: World) {}

  static async begin(): Promise<Bench> {
    const w = await world();
    w.host(1);
    await w.join(1);
    await w.load(1, '#a', '#b', '#lobby');
    w.kernel.fromHost(1, [T.LOAD, 2, [], ['a', 'taken', 'made', 'newcomer']], w.now);
    await w.settle();
    return new Bench(w);
  }

  run(target = '#b'): Run {
    this.w.ask(1, ++this.#no, target, 'change');
    return this.w.runs(1).at(-1) as Run;
  }

  attemptOf(object: string, slot: string): Attempt {
    const held = this.w.kernel.core.state.objects.get(oid(object));
    if (slot === SHAPE) return held?.shape ?? ABSENT;
    if (slot === PARENTS) return held?.parents ?? ABSENT;
    return this.w.accepted(object, slot);
  }

  body({ reads = [], nameReads = [], creates = [], writes = [], names = [], timers = [] }: Parts): CommitBody {
    return [
      reads.map(([object, slot, attempt]) => [oid(object), [slot, attempt ?? this.attemptOf(object, slot)]]),
      nameReads,
      creates.map(oid),
      writes.map(([object, ...all]) => [oid(object), all]),
      names,
      [],
      timers,
      [true, null, null],
    ];
  }

  /** A turn with these effects; answers its seq. */
  async turn(parts: Parts): Promise<number> {
    const { w } = this;
    w.commit(1, this.run(), { body: this.body(parts) });
    expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.ACCEPTED);
    await w.settle();
    return w.kernel.core.groups.acceptedSeq;
  }

  ask(seq: number): number {
    this.w.query(1, ++this.#no, 'undo', seq);
    return this.#no;
  }

  answerTo(no: number): [code: string, message: string] | null {
    const answer = this.w.answers(1).find((env) => env[1] === no);
    if (answer === undefined) return null;
    return answer[0] === T.ANSWER ? ['done', ''] : [(answer[2] as string[])[0] ?? '', (answer[2] as string[])[2] ?? ''];
  }

  async undo(seq: number): Promise<[code: string, message: string] | null> {
    const no = this.ask(seq);
    await this.w.settle();
    return this.answerTo(no);
  }
}

const set = (slot: string, content: Content): SlotWrite => [slot, WRITE.SET, content];
const remove = (slot: string): SlotWrite => [slot, WRITE.REMOVE, null];
const reference = (to: string): Uint8Array => Uint8Array.from(pack({ deep: [{ $ref: to }] }));

test('slots and names stand as before: changed, made and removed ones', async () => {
  const it = await Bench.begin();
  await it.turn({ writes: [['#a', set('old', 'kept'), set('gone', 'was here')]], names: [['taken', oid('#a')]] });
  const seq = await it.turn({
    writes: [['#a', set('old', 'changed'), remove('gone'), set('fresh', 1)]],
    names: [
      ['taken', null],
      ['a', oid('#b')],
      ['made', oid('#a')],
    ],
  });
  expect(await it.undo(seq)).toEqual(['done', '']);
  const { state } = it.w.kernel.core;
  const slots = Object.fromEntries([...(state.objects.get(oid('#a'))?.slots ?? [])].map(([k, v]) => [k, v.content]));
  expect(slots).toEqual({ balance: 100, old: 'kept', gone: 'was here' });
  expect(['taken', 'a', 'made'].map((name) => state.names.get(name)?.oid)).toEqual(['#a', '#a', null]);
});

describe('a later turn is named that', () => {
  const cases: [string, Parts, (it: Bench) => Parts, string][] = [
    [
      'read as absent a slot that the turn removed',
      { writes: [['#a', remove('balance')]] },
      () => ({ reads: [['#a', 'balance', ABSENT]], writes: [['#b', set('x', 1)]] }),
      'read #a.balance',
    ],
    [
      'read as absent a name that the turn took away',
      { names: [['a', null]] },
      () => ({ nameReads: [['a', ABSENT]], writes: [['#b', set('x', 1)]] }),
      'read the name a',
    ],
    [
      'read a name that the turn gave',
      { names: [['made', oid('#a')]] },
      (it) => ({
        nameReads: [['made', it.w.kernel.core.state.names.get('made')?.attempt ?? ABSENT]],
        writes: [['#b', set('x', 1)]],
      }),
      'read the name made',
    ],
    ['wrote the same slot', { writes: [['#a', set('x', 1)]] }, () => ({ writes: [['#a', set('x', 2)]] }), 'wrote #a.x'],
    [
      'stored a reference to an object that the turn made',
      { creates: ['#new'], writes: [['#new', set('x', 1)]] },
      () => ({ writes: [['#b', set('friends', reference('#new'))]] }),
      'stored a reference to #new in #b.friends',
    ],
    [
      'gave a name to an object that the turn made',
      { creates: ['#new'] },
      () => ({ names: [['newcomer', oid('#new')]] }),
      'gave the name newcomer to #new',
    ],
    [
      'sent a message with a reference to an object that the turn made',
      { creates: ['#new'] },
      () => ({ timers: [[60_000, oid('#b'), 'greet', Uint8Array.from(pack([{ $ref: '#new' }]))]] }),
      'sent greet with a reference to #new',
    ],
    [
      'saw that an object which the turn made lacks a slot',
      { creates: ['#new'], writes: [['#new', set('x', 1)]] },
      () => ({ reads: [['#new', 'y', ABSENT]], writes: [['#b', set('x', 1)]] }),
      'read #new.y',
    ],
  ];
  test.each(cases)('%s', async (_what, first, second, why) => {
    const it = await Bench.begin();
    const seq = await it.turn(first);
    const later = await it.turn(second(it));
    const [code, message] = (await it.undo(seq)) ?? [];
    expect([code, message]).toEqual(['UNDO_REFUSED', expect.stringContaining(`${later} (change ${why})`)]);
    expect(await it.undo(later)).toEqual(['done', '']);
    expect(await it.undo(seq)).toEqual(['done', '']);
  });

  test.each([
    ['slots', SHAPE, 'fresh'],
    ['parents', PARENTS, 'fresh*'],
  ])('listed the %s, also when another turn changed them in between', async (_what, pseudo, slot) => {
    const it = await Bench.begin();
    const seq = await it.turn({ writes: [['#a', set(slot, reference('#b'))]] });
    const between = await it.turn({ writes: [['#a', set(`other${slot.slice(5)}`, reference('#b'))]] });
    const later = await it.turn({ reads: [['#a', pseudo]], writes: [['#b', set('seen', 2)]] });
    const [code, message] = (await it.undo(seq)) ?? [];
    expect([code, message]).toEqual(['UNDO_REFUSED', expect.stringContaining(`${later} (change`)]);
    expect(message).not.toContain(`${between} (`);
  });

  test('holds a reference after a patch that shows only a part of it', async () => {
    const it = await Bench.begin();
    const friends = (last: string): Uint8Array =>
      Uint8Array.from(pack([...Array.from({ length: 400 }, (_, i) => `friend number ${i}`), { $ref: last }]));
    await it.turn({ writes: [['#b', set('friends', friends('#newA'))]] });
    const seq = await it.turn({ creates: ['#newB'] });
    const patch = diff(friends('#newA'), friends('#newB')) as Uint8Array;
    expect(Buffer.from(patch).includes('#newB')).toBe(false);
    const later = await it.turn({ reads: [['#b', 'friends']], writes: [['#b', ['friends', WRITE.PATCH, patch]]] });
    expect(await it.undo(seq)).toEqual(['UNDO_REFUSED', expect.stringContaining(`${later} (`)]);
  });
});

test('a turn that saw things as they were before, while the turn was undone, does not depend on it', async () => {
  const it = await Bench.begin();
  const seq = await it.turn({ writes: [['#a', set('fresh', 1)]] });
  expect(await it.undo(seq)).toEqual(['done', '']);
  const undoing = it.w.kernel.core.groups.acceptedSeq;
  await it.turn({ reads: [['#a', SHAPE]], writes: [['#b', set('seen', 1)]] });
  expect((await it.undo(undoing))?.[0]).toBe('UNDO_REFUSED');
});

test('what the undo of a dependent brought back beside what the turn had made is not of the turn', async () => {
  const it = await Bench.begin();
  await it.turn({ writes: [['#b', set('other', 1)]] });
  const seq = await it.turn({ writes: [['#a', set('mine', 1)]] });
  const dependent = await it.turn({
    reads: [['#a', 'mine']],
    writes: [
      ['#a', set('mine', 2)],
      ['#b', set('other', 2)],
    ],
  });
  expect(await it.undo(dependent)).toEqual(['done', '']);
  await it.turn({ reads: [['#b', 'other']], writes: [['#b', set('later', 1)]] });
  expect(await it.undo(seq)).toEqual(['done', '']);
});

test('text that looks like the oid of a made object is no reference', async () => {
  const it = await Bench.begin();
  const seq = await it.turn({ creates: ['#new'] });
  await it.turn({
    writes: [['#b', set('note', Uint8Array.from(pack({ $$ref: '#new', text: '#new', $ref: '#newer' })))]],
  });
  expect(await it.undo(seq)).toEqual(['done', '']);
});

test('undo waits for a grant on what it writes, and looks again at who came in between', async () => {
  const it = await Bench.begin();
  const { w } = it;
  const seq = await it.turn({ writes: [['#a', set('x', 1)]] });
  const holder = it.run();
  w.kernel.fromHost(1, [T.GRANT_REQUEST, holder[1], holder[2], ['#a']], w.now);
  const no = it.ask(seq);
  await w.settle();
  expect(it.answerTo(no)).toBeNull();
  expect(w.value('#a', 'x')).toBe(1);
  w.commit(1, holder, { body: it.body({ reads: [['#a', 'x']], writes: [['#a', set('y', 2)]] }) });
  await w.settle();
  expect(it.answerTo(no)).toEqual(['UNDO_REFUSED', expect.stringContaining(`${seq + 1} (change read #a.x)`)]);
});

test('undo commits when the grant that it waited for ends without a commit', async () => {
  const it = await Bench.begin();
  const { w } = it;
  const seq = await it.turn({ writes: [['#a', set('x', 1)]] });
  const holder = it.run();
  w.kernel.fromHost(1, [T.GRANT_REQUEST, holder[1], holder[2], ['#a']], w.now);
  const no = it.ask(seq);
  const second = it.ask(seq);
  await w.settle();
  w.kernel.fromClient(1, [T.CANCEL, holder[2]], w.now);
  await w.settle();
  expect(it.answerTo(no)).toEqual(['done', '']);
  expect(it.answerTo(second)?.[0]).toBe('UNDO_REFUSED');
  expect(w.kernel.core.grants.count).toBe(0);
});

test('an undo whose time is up leaves the line of grants and frees what it held', async () => {
  const it = await Bench.begin();
  const { w } = it;
  const seq = await it.turn({ writes: [['#a', set('x', 1)]] });
  const holder = it.run();
  w.kernel.fromHost(1, [T.GRANT_REQUEST, holder[1], holder[2], ['#a']], w.now);
  const no = it.ask(seq);
  await w.settle();
  w.kernel.fromClient(1, [T.CANCEL, no], w.now);
  await w.settle();
  expect(it.answerTo(no)?.[0]).toBe('CANCELLED');
  expect(w.kernel.core.grants.count).toBe(1);
  w.kernel.fromClient(1, [T.CANCEL, holder[2]], w.now);
  await w.settle();
  expect(await it.undo(seq)).toEqual(['done', '']);
});

test('a scan of the journal ends when its message is over; undos take turns', async () => {
  const it = await Bench.begin();
  const { w } = it;
  const seq = await it.turn({ writes: [['#a', set('x', 1)]] });
  for (let i = 0; i < 64; i++) await it.turn({ writes: [['#b', set('x', i)]] });
  let pages = 0;
  const { ports } = w.kernel.core;
  const page = ports.page.bind(ports);
  const counted: typeof page = (...given) => {
    pages++;
    page(...given);
  };
  Object.assign(ports, { page: counted });
  const first = it.ask(seq);
  const others = [it.ask(seq), it.ask(seq), it.ask(seq)];
  for (const no of [first, ...others]) w.kernel.fromClient(1, [T.CANCEL, no], w.now);
  await w.settle();
  expect([first, ...others].map((no) => it.answerTo(no)?.[0])).toEqual(Array(4).fill('CANCELLED'));
  expect(pages).toBeLessThanOrEqual(3);
});

test('dependents are counted up to a bound', async () => {
  const { Dependents, MOST_DEPENDENTS } = await import('../../../runtime/kernel/undo.js');
  const record = (attempt: number, before: TurnRecord[10]): TurnRecord => {
    const body: CommitBody = [[], [], [], [[oid('#a'), [set('x', attempt)]]], [], [], [], [true, null, null]];
    const fields = [attempt, 1, attempt, 0, 'test', '#a', 'set', 0, '', pack(body), before, [], 1, null];
    return fields as unknown as TurnRecord;
  };
  const dependents = new Dependents(record(1, [[oid('#a'), 'x', ABSENT, 0, null]]), 1);
  let visited = 0;
  while (dependents.visit(visited + 2, record(visited + 2, [[oid('#a'), 'x', (visited + 1) as Attempt, 1, 0]])))
    visited++;
  expect(visited + 1).toBe(MOST_DEPENDENTS);
  expect([dependents.complete, dependents.list().length]).toEqual([false, MOST_DEPENDENTS]);
});

/** How often what stood before is looked at when a later turn of `size` patches is searched for references. */
async function looks(size: number): Promise<number> {
  const { Dependents } = await import('../../../runtime/kernel/undo.js');
  const old = Buffer.alloc(4096, 7);
  const patch = diff(old, Buffer.from(old).fill(8, 100, 110)) as Uint8Array;
  const slots = Array.from({ length: size }, (_, i) => `s${i}`);
  const record = (attempt: number, creates: string[], writes: CommitBody[3], before: TurnRecord[10]): TurnRecord => {
    const body: CommitBody = [[], [], creates.map(oid), writes, [], [], [], [true, null, null]];
    const fields = [attempt, 1, attempt, 0, 'test', '#a', 'set', 0, '', pack(body), before, [], 1, null];
    return fields as unknown as TurnRecord;
  };
  let count = 0;
  const before: TurnRecord[10] = slots.map((slot) => [oid('#b'), slot, 1 as Attempt, 1, old]);
  const counted = new Proxy(before, {
    get: (list, key, self) => {
      if (typeof key === 'string' && key !== 'length') count++;
      return Reflect.get(list, key, self) as unknown;
    },
  });
  const dependents = new Dependents(record(1, ['#new'], [], []), 1);
  const patches = slots.map((slot): SlotWrite => [slot, WRITE.PATCH, patch]);
  dependents.visit(2, record(2, [], [[oid('#b'), patches]], counted));
  expect(dependents.list()).toEqual([]);
  return count;
}

test('looking for references takes time in proportion to the turn, also when it wrote patches', async () => {
  const [small, large] = [await looks(200), await looks(2000)];
  expect(large / small).toBeLessThan(11);
});

test('what a host stored that is no value holds no reference, and is shown as it is', async () => {
  const it = await Bench.begin();
  const broken = Buffer.concat([Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff]), Buffer.from('$ref')]);
  const seq = await it.turn({ creates: ['#new'] });
  await it.turn({ writes: [['#b', set('odd', broken)]] });
  expect(await it.undo(seq)).toEqual(['done', '']);
  it.w.query(1, 900, 'inspect', '#b');
  await it.w.settle();
  expect(it.answerTo(900)).toEqual(['done', '']);
});

test.each([['x'.repeat(100_000)], [['x'.repeat(100_000)]], [{ toString: 1 }], [null], ['5']])(
  'what is no number of a turn is refused, and neither journal nor error repeats it (%#)',
  async (seq) => {
    const it = await Bench.begin();
    it.w.query(1, 900, 'undo', seq);
    await it.w.settle();
    const [code, message] = it.answerTo(900) ?? [];
    expect(code).toBe('UNKNOWN_TURN');
    expect(message?.length).toBeLessThan(120);
    it.w.query(1, 901, 'journal');
    await it.w.settle();
    const journal = JSON.stringify(unpack(it.w.answers(1).find((env) => env[1] === 901)?.[2] as Uint8Array));
    expect(journal).toContain('"selector":"undo"');
    expect(journal.length).toBeLessThan(3000);
  },
);

test('two retries of one dead letter at once send it once', async () => {
  const it = await Bench.begin();
  const { w } = it;
  const error: [string, string, string, string, null] = ['BUDGET', 'BudgetError', 'too long', 'make it shorter', null];
  const letter = [[oid('#b'), 'greet', Buffer.from(pack([])), 1, 'test', '', 0], error, [], 0, 7, 3];
  w.store.apply({
    record: null,
    firstSeq: (w.kernel.core.groups.acceptedSeq + 1) as Seq,
    lastSeq: w.kernel.core.groups.acceptedSeq as Seq,
    puts: [[keys.deadLetter(7), encodeRecord(letter)]],
    deletes: [],
  });
  w.store.sync();
  w.query(1, 901, 'deadLetterRetry', 7);
  w.query(1, 902, 'deadLetterRetry', 7);
  w.query(1, 903, 'deadLetterDrop', 7);
  await w.settle();
  w.query(1, 904, 'deadLetterRetry', 7);
  await w.settle();
  expect(w.runs(1).filter((run) => run[6] === 'greet')).toHaveLength(1);
  expect([901, 902, 903, 904].map((no) => it.answerTo(no)?.[0])).toEqual([
    'done',
    'UNKNOWN_DEAD_LETTER',
    'UNKNOWN_DEAD_LETTER',
    'UNKNOWN_DEAD_LETTER',
  ]);
});
