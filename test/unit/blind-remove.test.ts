/** A turn that sets and takes away again what was not there leaves no write. That it is not there is what the turn says, so it is a read. */
/* eslint-disable @typescript-eslint/no-explicit-any -- the methods in here are fixtures: plain JavaScript */
import { ABSENT } from '../../protocol/index.js';
import { method, World } from '../support/world.js';

let world: World;
beforeEach(() => {
  world = new World();
});

test('of a slot', async () => {
  world.object('#a', {
    blink: async (self: any) => {
      self.x = 1;
      delete self.x;
    },
  });
  const { body } = await world.commit('#a', 'blink');
  expect(body[3]).toEqual([]);
  expect(body[0].find(([oid]) => oid === '#a')?.[1]).toEqual(expect.arrayContaining(['x', ABSENT]));
});

test('of a slot that was there: a write, and no read', async () => {
  world.object('#a', {
    x: 0,
    blink: async (self: any) => {
      self.x = 1;
      delete self.x;
    },
  });
  const { body } = await world.commit('#a', 'blink');
  expect(body[3]).toEqual([['#a', [['x', 1, null]]]]);
  expect(body[0].find(([oid]) => oid === '#a')?.[1]).not.toContain('x');
});

test('of a name', async () => {
  world.object('#a', {
    blink: method(
      `async (self) => { const lobby = image.ref('lobby'); await lobby.setSlot('flash', self); await lobby.removeSlot('flash'); }`,
    ),
  });
  const { body } = await world.commit('#a', 'blink');
  expect(body[4]).toEqual([]);
  expect(body[1]).toContainEqual(['flash', ABSENT]);
});
