/** Requests of turns to services: which overlap, which stay in order. Invariants: F (frame.ts). */
/* eslint-disable @typescript-eslint/no-explicit-any -- the methods in here are fixtures: plain JavaScript */
import { SHAPE } from '../../protocol/index.js';
import { decode, encode, method, ref, World } from '../support/world.js';

let world: World;
beforeEach(() => {
  world = new World();
});

/** Answers of services wait for `answer`. */
const heldServices = (): (() => void)[] => {
  const held: (() => void)[] = [];
  world.service = (request, resume) => {
    world.services.push(request);
    held.push(() => resume(World.value(request.op)));
  };
  return held;
};
const rounds = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
};

test('requests to services that one method begins overlap (F1)', async () => {
  const held = heldServices();
  const ask = 'async (_self, p) => Promise.all(["a", "b", "c"].map((x) => p.infer_(x)))';
  world.object('#a', { run: method(ask) });
  const answered = world.send('#a', 'run', ref('#pllm'));
  await rounds();
  expect(held).toHaveLength(3);
  for (const answer of held.reverse()) answer();
  expect(await answered).toEqual(['infer', 'infer', 'infer']);
});

test('other sends stay in order, before and after a request to a service that is still out (F1, F2)', async () => {
  const held = heldServices();
  world.object('#b', {
    order: [],
    rest: async () => null,
    note: async (self: any, x: number) => {
      self.order.push(`begin ${x}`);
      await self.rest();
      self.order.push(`end ${x}`);
    },
  });
  world.object('#a', {
    run: async (_self: any, b: any, p: any) => {
      const all = [b.note(1), p.infer_('x'), b.note(2), p.infer_('y'), b.note(3)];
      return all.length;
    },
  });
  const answered = world.commit('#a', 'run', [ref('#b'), ref('#pllm')]);
  await rounds();
  expect(held).toHaveLength(2);
  const over = await Promise.race([answered.then(() => true), rounds().then(() => false)]);
  expect(over).toBe(false);
  for (const answer of held) answer();
  expect((await answered).body[7][1]).toBe(5);
  expect(world.slot('#b', 'order')).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'begin 3', 'end 3']);
});

test('a service that fails fails its own send only', async () => {
  world.answer = ({ key }) => (key.startsWith('/0/1:') ? { ok: false, body: encode('broken') } : World.value('fine'));
  world.object('#a', {
    run: async (_self: any, p: any) => {
      const [a, b] = [p.infer_('a'), p.infer_('b')];
      return [await a, await b.catch((error: any) => error.code)];
    },
  });
  expect(await world.send('#a', 'run', ref('#pllm'))).toEqual(['fine', 'UNAVAILABLE']);
});

test('a history is of the object as the turn has read it: all its slots, drafted ones too, and which there are', async () => {
  world.answer = () => World.value([]);
  world.object('#a', {
    n: 1,
    m: 2,
    run: async (self: any) => {
      self.m = 3;
      return self.history();
    },
  });
  const { body } = await world.commit('#a', 'run');
  const [, reads = []] = body[0].find(([oid]) => oid === '#a') ?? [];
  expect(reads.filter((_, i) => i % 2 === 0)).toEqual(expect.arrayContaining([SHAPE, 'parent*', 'n', 'm', 'run']));
});

test('thousands of requests that wait in line behind another send go out one after another, not one inside another', async () => {
  world.object('#b', { rest: async () => null, slow: async (self: any) => self.rest() });
  world.object('#a', {
    run: async (_self: any, b: any, p: any) => {
      const all = [b.slow()];
      for (let i = 0; i < 6000; i++) all.push(p.infer_(1));
      return (await Promise.all(all)).length;
    },
  });
  expect(await world.send('#a', 'run', ref('#b'), ref('#pllm'))).toBe(6001);
  expect(world.services).toHaveLength(6000);
});

test('services are asked once: the same request in a later try gets the recorded answer', async () => {
  world.answer = () => World.value('hm');
  world.object('#a', {
    'parent*': ref('#pllm'),
    run: async (self: any) => [await self.infer_('a'), await self.infer_('a')],
  });
  const recorded = new Map();
  await world.turn('#a', 'run', [], recorded, 5).run(); // loads
  const first = await world.turn('#a', 'run', [], recorded, 5).run();
  expect(world.services).toHaveLength(2);
  expect(new Set(world.services.map(({ key }) => key)).size).toBe(2);
  expect(decode((first as any).body[7][1])).toEqual(['hm', 'hm']);
});
