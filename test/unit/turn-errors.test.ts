/** What methods throw, however it is made: nobody pays for its text (U5). */
/* eslint-disable @typescript-eslint/no-explicit-any -- the methods in here are fixtures: plain JavaScript */
import { method, World } from '../support/world.js';

let world: World;
beforeEach(() => {
  world = new World();
});

test.each([
  ['an object that is no error', 'throw { a };', 'Thrown', 'an Object was thrown'],
  ['an array', 'throw a;', 'Thrown', 'an Array was thrown'],
  ['a text that is none', 'throw Object.assign(new Error(), { message: a });', 'Error', 'an error without a text'],
  ['a name that is none', 'throw Object.assign(new Error("mine"), { name: a });', 'Error', 'mine'],
  ['a constructor that is none', 'throw { a, constructor: a };', 'Thrown', 'an object was thrown'],
  ['a bigint of a million bits', 'throw 2n ** 1000000n;', 'Thrown', 'a bigint was thrown'],
])('%s, thrown, is never written out: its parts have more paths than can be walked', async (_, end, name, message) => {
  const source = `async () => { let a = [1]; for (let i = 0; i < 60; i++) a = [a, a]; ${end} }`;
  world.object('#a', { run: method(source), relay: async (self: any) => self.run() });
  const expected = expect.objectContaining({ code: 'METHOD_FAILED', errorName: name, message });
  await expect(world.send('', 'turn', source)).rejects.toEqual(expected);
  await expect(world.send('#a', 'run')).rejects.toEqual(expected);
  await expect(world.send('#a', 'relay')).rejects.toEqual(expected);
});
