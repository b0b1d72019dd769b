/** Genesis: what it makes, that it is one commit, and that it never touches what is there. */
import { contentKind, decodeContent, type CommitBody } from '../../protocol/index.js';
import { genesisCommit, genesisObjects } from '../../runtime/genesis/index.js';
import { rangeOf } from '../../runtime/journal/index.js';
import { oid, World } from './kernel/world.js';

const OBJECTS = [
  ...['lobby', 'traits', 'genesis', 'pllm', 'alfred', 'brick', 'robin', 'babs', 'memory', 'backup'],
  ...['hypervector', 'context_fractal', 'concept_fractal', 'retrievable', 'morph', 'covenant'],
];

const decoded = (content: Parameters<typeof decodeContent>[0]): unknown =>
  decodeContent(content, { makeRef: (id: string) => ({ $ref: id }) });

/** Slots of a definition by their kind, as they stand in the image. */
function slotsOf(object: string): { data: string[]; documented: Record<string, unknown>; parents: unknown[] } {
  const slots = genesisObjects().find(([id]) => id === `#${object}`)?.[1] ?? [];
  const data: string[] = [];
  const parents: unknown[] = [];
  let documented: Record<string, unknown> = {};
  for (const [slot, content] of slots) {
    if (contentKind(content) !== 'data') continue;
    if (slot.endsWith('*')) parents.push(decoded(content));
    else if (slot === 'documentation') documented = decoded(content) as Record<string, unknown>;
    else data.push(slot);
  }
  return { data, documented, parents };
}

async function started(world: World): Promise<World> {
  await world.settle();
  await world.tick(1000);
  expect(world.fatal).toBeNull();
  return world;
}

const begin = (genesis: CommitBody = genesisCommit()): Promise<World> =>
  started(new World(undefined, undefined, undefined, genesis));
const again = async (world: World): Promise<World> => {
  await world.restart();
  return started(world);
};
const rows = (world: World, letter: string): string[] =>
  world.store
    .page(rangeOf(letter), 1000)
    .map(([key, value]) => `${Buffer.from(key).toString('latin1')} ${Buffer.from(value).toString('hex')}`);
const turnsOf = (world: World): number => world.kernel.core.groups.acceptedSeq;

test('every-object-of-the-design: is there under its name, with a parent', () => {
  const names = new Map(genesisCommit()[4]);
  expect([...names.keys()].sort()).toEqual([...OBJECTS].sort());
  for (const name of OBJECTS) {
    expect(names.get(name)).toBe(`#${name}`);
    expect(slotsOf(name).parents).toHaveLength(name === 'traits' ? 0 : 1);
  }
});

test.each(OBJECTS)('documented: %s and each of its data slots have a text', (name) => {
  const { data, documented } = slotsOf(name);
  for (const slot of ['self', ...data])
    expect([slot, documented[slot]]).toEqual([slot, expect.stringMatching(/\w{3}/)]);
});

test('parents-exist: whatever genesis refers to, it makes', () => {
  const made = new Set(OBJECTS.map((name) => `#${name}`));
  const referred = [
    ...JSON.stringify(
      genesisObjects().map(([, slots]) =>
        slots.filter(([, content]) => contentKind(content) === 'data').map(([, content]) => decoded(content)),
      ),
    ).matchAll(/"\$ref":"([^"]+)"/g),
  ];
  expect(referred.length).toBeGreaterThan(OBJECTS.length - 1);
  for (const [, id] of referred) expect(made).toContain(id);
});

test('one-commit: a new image has exactly one turn, and all of it', async () => {
  const world = await begin();
  expect(turnsOf(world)).toBe(1);
  expect(rows(world, 'j')).toHaveLength(1);
  expect(rows(world, 'n')).toHaveLength(OBJECTS.length);
});

test('power-cut-in-the-first-breath: none of it is there, and the next start makes all of it', async () => {
  const world = new World(undefined, undefined, undefined, genesisCommit());
  world.autoSync = false;
  await world.settle();
  expect(rows(world, 'n')).toEqual([]);
  world.autoSync = true;
  await again(world);
  expect([turnsOf(world), rows(world, 'n').length]).toEqual([1, OBJECTS.length]);
});

test('second-start: writes no turn, no object and no name', async () => {
  const world = await again(await begin());
  const before = ['j', 'o', 'n', 'x'].map((letter) => rows(world, letter));
  await again(world);
  expect(turnsOf(world)).toBe(1);
  expect(['j', 'o', 'n', 'x'].map((letter) => rows(world, letter))).toEqual(before);
});

test('names-that-a-person-has-changed: stay as they are', async () => {
  const world = await begin();
  world.host(1);
  await world.join(1);
  await world.load(1, '#lobby', '#morph', '#brick');
  world.ask(1, 1, '#lobby', 'setSlot');
  const run = world.runs(1).at(-1);
  if (run === undefined) throw new Error('nothing runs');
  const names: CommitBody[4] = [
    ['morph', null],
    ['brick', oid('#morph')],
  ];
  world.commit(1, run, { body: [[], [], [], [], names, [], [], [true, null, null]] });
  await world.settle();
  const changed = rows(world, 'n');
  expect(changed).toHaveLength(OBJECTS.length - 1);
  await again(world);
  expect([turnsOf(world), rows(world, 'n')]).toEqual([2, changed]);
});

test('object-that-an-older-version-did-not-know: is added alone, in one commit', async () => {
  const [reads, nameReads, creates, writes, names, outbox, timers, reply] = genesisCommit();
  const known = (id: string | null): boolean => id !== '#covenant';
  const world = await begin([
    reads,
    nameReads,
    creates.filter(known),
    writes.filter(([id]) => known(id)),
    names.filter(([, id]) => known(id)),
    outbox,
    timers,
    reply,
  ]);
  const before = new Set([...rows(world, 'o'), ...rows(world, 'n')]);
  world.genesis = genesisCommit();
  await again(world);
  expect(turnsOf(world)).toBe(2);
  const added = [...rows(world, 'o'), ...rows(world, 'n')].filter((row) => !before.has(row));
  // The lobby, because its shape is that of its names.
  expect(added.map((row) => row.split(' ')[0]).sort()).toEqual(['ncovenant', 'o#covenant', 'o#lobby']);
});
