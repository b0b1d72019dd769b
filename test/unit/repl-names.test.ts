/** Names of the image as variables: R1 new ones at once, R2 who hides whom, R3 what does not exist. */
import type { Holder } from '../../clients/repl/globals.js';
import { Names, type NameSource } from '../../clients/repl/names.js';

interface World {
  readonly names: Names;
  readonly scope: Record<string, unknown>;
  readonly existing: Set<string>;
  readonly hidden: string[];
  asked: string[][];
}

async function world(existing: string[], holders: Record<string, Holder> = {}): Promise<World> {
  const image: NameSource = {
    connected: true,
    names: async () => [...made.existing].map((name, i) => [name, `#${i}`]),
    turn: async (_source, wanted) => {
      made.asked.push(wanted as string[]);
      return (wanted as string[]).filter((name) => made.existing.has(name));
    },
    with: () => image,
  };
  const scope: Record<string, unknown> = {};
  const hidden: string[] = [];
  const holderOf = (name: string): Holder => holders[name] ?? (Object.hasOwn(scope, name) ? 'user' : 'nobody');
  const names = new Names(
    image,
    (name) => `<${name}>`,
    holderOf,
    (name) => hidden.push(name),
    scope,
  );
  const made: World = { names, scope, existing: new Set(existing), hidden, asked: [] };
  await names.refresh();
  return made;
}

test('R1 a name that a line mentions is a variable, one that its first half has given as well', async () => {
  const { names, scope, existing } = await world(['acct']);
  await names.begin('await acct.clone({name: "till"}), await till.open()');
  expect([scope['acct'], 'till' in scope]).toEqual(['<acct>', false]);
  existing.add('till');
  await names.lookUp();
  expect(scope['till']).toBe('<till>');
});

test('R2 modules of Node give way, Node itself does not and that is told once, the user is never overruled', async () => {
  const { names, scope, hidden, asked } = await world(['events', 'process', 'mine'], {
    events: 'module',
    path: 'module',
    process: 'node',
    console: 'node',
    mine: 'user',
  });
  scope['events'] = 'of Node';
  scope['path'] = 'of Node';
  await names.begin('events.add(path, process, console, mine)');
  expect(scope).toMatchObject({ events: '<events>', path: 'of Node' });
  expect(asked).toEqual([['events', 'path']]);
  expect([hidden, 'process' in scope, 'mine' in scope]).toEqual([['process'], false, false]);
  names.end();
  await names.begin('process.exit()');
  expect(hidden).toEqual(['process']);
  expect(['events', 'path', 'process', 'mine'].map((name) => names.offers(name))).toEqual([true, false, false, false]);
});

test('R2 what the user assigns replaces the name, also while it is being looked up', async () => {
  const { names, scope, existing } = await world(['acct']);
  await names.begin('acct = 5; later = 7');
  scope['acct'] = 5;
  scope['later'] = 7;
  existing.add('later');
  await names.lookUp();
  names.end();
  await names.begin('acct + later');
  expect(scope).toEqual({ acct: 5, later: 7 });
});

test('R3 what is no name of the image leaves no trace, not even while its line runs', async () => {
  const { names, scope } = await world([]);
  await names.begin('typeof nosuch');
  expect(Object.getOwnPropertyNames(scope)).toEqual([]);
});
