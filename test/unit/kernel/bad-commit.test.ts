/** What no honest host sends: the host is at fault, never the journal, and nothing of it is applied (commit.ts, C1 to C3). */
import {
  ABSENT,
  diff,
  pack,
  T,
  VERDICT,
  type Attempt,
  type Bytes,
  type CommitBody,
  type Run,
  type SlotWrite,
  type Verdict,
  type WriteSet,
} from '../../../protocol/index.js';
import { applyTurn, validate } from '../../../runtime/kernel/commit.js';
import { AcceptedState, LOBBY } from '../../../runtime/kernel/objects.js';
import { oid, world, type World } from './world.js';

const LARGE = Buffer.alloc(4096, 7);
const CHANGED = Buffer.from(LARGE).fill(8, 100, 110);
const FITTING = diff(LARGE, CHANGED) as Bytes;

async function bank(): Promise<World> {
  const w = await world();
  w.host(1);
  await w.join(1);
  await w.load(1, '#a', '#b', '#lobby');
  w.ask(1, 1, '#a', 'fill');
  w.commit(1, w.runs(1).at(-1) as Run, { writes: [[oid('#a'), [['text', 0, LARGE]]]] });
  await w.settle();
  return w;
}

const body = (part: {
  reads?: CommitBody[0];
  creates?: string[];
  writes?: WriteSet[];
  names?: CommitBody[4];
}): CommitBody => [
  part.reads ?? [],
  [],
  (part.creates ?? []).map(oid),
  part.writes ?? [],
  part.names ?? [],
  [],
  [],
  [true, null, null],
];

const patch = (slot: string, bytes: Uint8Array): SlotWrite => [slot, 2, bytes];
const malformed = expect.objectContaining({ code: 'MALFORMED' }) as Error;

test('a patch of what was read is applied', async () => {
  const w = await bank();
  w.ask(1, 2, '#a', 'change');
  const reads: CommitBody[0] = [[oid('#a'), ['text', w.accepted('#a', 'text')]]];
  w.commit(1, w.runs(1).at(-1) as Run, { body: body({ reads, writes: [[oid('#a'), [patch('text', FITTING)]]] }) });
  expect(w.verdicts(1).at(-1)?.[2]).toBe(VERDICT.ACCEPTED);
  expect(Buffer.from(w.value('#a', 'text') as Uint8Array).equals(CHANGED)).toBe(true);
});

const read = (w: World, slot: string): CommitBody[0] => [[oid('#a'), [slot, w.accepted('#a', slot)]]];
const huge = pack([LARGE.length, 64 * 1024 * 1024, 0, ...Array.from({ length: 16_384 }, () => [0, 4096]).flat()]);

const OFFENCES: [string, (w: World) => CommitBody][] = [
  [
    'random bytes for a patch',
    (w) => body({ reads: read(w, 'text'), writes: [[oid('#a'), [patch('text', Buffer.from('nonsense'))]]] }),
  ],
  [
    'a patch of another content',
    (w) =>
      body({
        reads: read(w, 'text'),
        writes: [[oid('#a'), [patch('text', diff(CHANGED.fill(1), LARGE) ?? pack([5, 5, 5]))]]],
      }),
  ],
  [
    'a patch of a number',
    (w) => body({ reads: read(w, 'balance'), writes: [[oid('#a'), [patch('balance', FITTING)]]] }),
  ],
  [
    'a patch of a slot that is absent',
    () => body({ reads: [[oid('#a'), ['none', ABSENT]]], writes: [[oid('#a'), [patch('none', FITTING)]]] }),
  ],
  [
    'a patch that makes more than a body may have',
    (w) => body({ reads: read(w, 'text'), writes: [[oid('#a'), [patch('text', huge)]]] }),
  ],
  [
    'a slot written twice',
    (w) => body({ reads: read(w, 'text'), writes: [[oid('#a'), [['text', 0, 'x'], patch('text', FITTING)]]] }),
  ],
  [
    'an object written twice',
    () =>
      body({
        writes: [
          [oid('#b'), [['balance', 0, 1]]],
          [oid('#b'), [['balance', 0, 2]]],
        ],
      }),
  ],
  ['an object created twice', () => body({ creates: ['#new', '#new'] })],
  [
    'a name given twice',
    () =>
      body({
        names: [
          ['a', oid('#b')],
          ['a', null],
        ],
      }),
  ],
  ['a pseudo slot written', () => body({ writes: [[oid('#b'), [['', 0, 1]]]] })],
];

test.each(OFFENCES)('%s: an offence of the host, before any verdict; the kernel goes on', async (_, bad) => {
  const w = await bank();
  const sent = w.verdicts(1).length;
  const seq = w.kernel.core.groups.acceptedSeq;
  w.ask(1, 2, '#b', 'bad');
  const run = w.runs(1).at(-1) as Run;
  expect(() => w.commit(1, run, { body: bad(w) })).toThrow(malformed);
  expect(w.verdicts(1)).toHaveLength(sent);
  expect(w.kernel.core.groups.acceptedSeq).toBe(seq);
  expect(w.value('#b', 'balance')).toBe(100);
  w.kernel.hostLost(1, w.now);
  w.host(2, true);
  await w.load(2, '#b');
  const again = w.runs(2).at(-1) as Run;
  expect(again[2]).toBe(2);
  w.add(2, again, '#b', 1);
  await w.settle();
  expect(w.answers(1).at(-1)?.slice(0, 3)).toEqual([T.ANSWER, 2, 101]);
  expect(w.fatal).toBeNull();
});

test.each([
  ['a number', pack(5)],
  ['nothing', pack(null)],
  ['a map', pack({ length: 2 })],
  ['half a list', Buffer.from([0x92, 1])],
])('look-up of the kernel with %s for arguments: an offence of the host; the kernel goes on', async (_, args) => {
  const w = await bank();
  w.ask(1, 2, '#b', 'look');
  const run = w.runs(1).at(-1) as Run;
  expect(() => w.kernel.fromHost(1, [T.SERVICE, 1, run[1], run[2], 'key', 'kernel', 'history', args], w.now)).toThrow(
    malformed,
  );
  w.add(1, run, '#b', 1);
  await w.settle();
  expect(w.answers(1).at(-1)?.slice(0, 3)).toEqual([T.ANSWER, 2, 101]);
  expect(w.fatal).toBeNull();
});

test('a stale patch is a conflict, not an offence', async () => {
  const w = await bank();
  const reads = read(w, 'text');
  w.ask(1, 2, '#a', 'first');
  w.commit(1, w.runs(1).at(-1) as Run, { writes: [[oid('#a'), [['text', 0, CHANGED]]]] });
  w.ask(1, 3, '#a', 'second');
  w.commit(1, w.runs(1).at(-1) as Run, { body: body({ reads, writes: [[oid('#a'), [patch('text', FITTING)]]] }) });
  const [, , kind, keys] = w.verdicts(1).at(-1) as Verdict;
  expect([kind, new Set(keys)]).toEqual([VERDICT.CONFLICT, new Set(['#a'])]);
});

/** The same value; each look at an element of one of its lists is counted. */
function counting<V>(value: V, count: () => unknown): V {
  if (!Array.isArray(value)) return value;
  return new Proxy(
    value.map((item: unknown) => counting(item, count)),
    {
      get: (list, key, self) => {
        if (typeof key === 'string' && key !== 'length') count();
        return Reflect.get(list, key, self) as unknown;
      },
    },
  ) as V;
}

/** How often a turn of `size` new objects, names, reads and patches has its parts looked at, validated and applied. */
function looks(size: number): number {
  const state = new AcceptedState();
  const old = oid('#old');
  const each = Array.from({ length: size }, (_, i) => i);
  const slots = each.map((i): SlotWrite => [`s${i}`, 0, LARGE]);
  for (const i of each) state.adoptName(`n${i}`, undefined);
  state.adopt(LOBBY, undefined).exists = true;
  applyTurn(state, body({ creates: ['#old'], writes: [[old, slots]] }), 1 as Attempt, 1);
  const turn = body({
    reads: [[old, each.flatMap((i): [string, Attempt] => [`s${i}`, 1 as Attempt])]],
    creates: each.map((i) => `#${i}`),
    writes: [
      ...each.map((i): WriteSet => [oid(`#${i}`), [['x', 0, i]]]),
      [old, each.map((i) => patch(`s${i}`, FITTING))],
    ],
    names: each.map((i) => [`n${i}`, oid(`#${i}`)]),
  });
  let count = 0;
  const counted = counting(turn, () => count++);
  const { stale, patched } = validate(state, counted, 8192);
  expect(stale).toEqual([]);
  const { changed } = applyTurn(state, counted, 2 as Attempt, 2, patched);
  expect(changed).toHaveLength(size + 2);
  return count;
}

test('validating and applying takes time in proportion to the turn (C3)', () => {
  const [small, large] = [looks(200), looks(2000)];
  expect(large / small).toBeLessThan(11);
});
