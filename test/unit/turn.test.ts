import { World, ref } from '../support/world.js';

let world: World;
beforeEach(() => {
  world = new World();
});

test('a method reads and writes its own slots', async () => {
  world.object('#a', { n: 1, add: async (self: any, by: number) => (self.n += by) });
  expect(await world.send('#a', 'add', 2)).toBe(3);
  expect(world.slot('#a', 'n')).toBe(3);
});

test('genesis greets', async () => {
  expect(await world.send('genesis', 'greet', 'world')).toContain('Hello, world');
});
