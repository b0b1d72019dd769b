/** The turn engine, hazard by hazard. Invariants: U (turn.ts), F (frame.ts), W (view.ts), P (lookup.ts), C (copies.ts). */
/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/restrict-plus-operands, @typescript-eslint/await-thenable -- the methods in here are fixtures: plain JavaScript */
import { WRITE, type CommitBody } from '../../protocol/index.js';
import { decode, method, ref, RefTo, World } from '../support/world.js';

let world: World;
beforeEach(() => {
  world = new World();
});

const code = (name: string) => expect.objectContaining({ code: name });
const writesOf = (body: CommitBody): Record<string, string[]> =>
  Object.fromEntries(body[3].map(([oid, writes]) => [oid, writes.map(([slot]) => slot)]));
const readsOf = (body: CommitBody, oid: string): unknown[] =>
  body[0].find(([read]) => read === oid)?.[1].filter((_, i) => i % 2 === 0) ?? [];

describe('slots of self', () => {
  test('a method reads and writes its own slots', async () => {
    world.object('#a', { n: 1, add: async (self: any, by: number) => (self.n += by) });
    expect(await world.send('#a', 'add', 2)).toBe(3);
    expect(world.slot('#a', 'n')).toBe(3);
  });

  test('an absent slot is undefined, a read with attempt 0 all the way up, and starts nothing', async () => {
    world.object('#a', { look: async (self: any) => self.nothing === undefined && !('nothing' in self) });
    const { body } = await world.commit('#a', 'look');
    expect(body[7][1]).toBe(true);
    expect(body[0].find(([oid]) => oid === '#a')?.[1].join()).toContain('nothing,0,*');
    expect(readsOf(body, '#traits')).toContain('nothing');
  });

  test('an inherited value is read by delegation; setting it makes an own slot', async () => {
    world.object('#proto', { color: 'red', paint: async (self: any, color: string) => (self.color = color) });
    world.object('#a', { 'parent*': ref('#proto') });
    expect(await world.send('#a', 'color')).toBe('red');
    await world.send('#a', 'paint', 'blue');
    expect([world.slot('#a', 'color'), world.slot('#proto', 'color')]).toEqual(['blue', 'red']);
  });

  test('a setter does not read what it overwrites', async () => {
    world.object('#a', { n: 1, set: async (self: any) => void (self.n = 2) });
    const { body } = await world.commit('#a', 'set');
    expect(readsOf(body, '#a')).toEqual(['set']);
  });

  test('delete, in, keys and spread go through the slots', async () => {
    world.object('#a', {
      x: 1,
      y: [2],
      run: async (self: any) => {
        delete self.x;
        return ['x' in self, 'y' in self, Object.keys(self), { ...self }];
      },
    });
    expect(await world.send('#a', 'run')).toEqual([false, true, ['y'], { y: [2] }]);
    expect(world.slot('#a', 'x')).toBeUndefined();
  });

  test.each([
    ['a parent slot', "self['parent*'] = null", 'BAD_NAME'],
    ['then', 'self.then = 1', 'BAD_NAME'],
    ['no identifier', "self['a b'] = 1", 'BAD_NAME'],
    ['a function', 'self.f = () => 1', 'BAD_VALUE'],
    ['a Date', 'self.d = { at: [new (Object.getPrototypeOf(new Map()).constructor)()] }', 'BAD_VALUE'],
    ['NaN', 'self.n = NaN', 'BAD_VALUE'],
  ])('%s can not be set', async (_name, statement, expected) => {
    world.object('#a', { run: method(`async (self) => { ${statement}; }`) });
    await expect(world.send('#a', 'run')).rejects.toEqual(code(expected));
    expect(world.slot('#a', 'n')).toBeUndefined();
  });

  test('a cyclic value is refused with its path', async () => {
    world.object('#a', {
      run: async (self: any) => {
        const items: any[] = [{}];
        items[0].all = items;
        self.items = items;
      },
    });
    await expect(world.send('#a', 'run')).rejects.toThrow(/#a\.items\[0\]\.all/);
  });
});

describe('values in place (C1-C3)', () => {
  test('a nested value that is changed after an await is written', async () => {
    world.object('#b', { ping: async () => 1 });
    world.object('#a', {
      items: [{ n: 1 }],
      other: ref('#b'),
      run: async (self: any) => {
        const items = self.items;
        await self.other.ping();
        items[0].n = 2;
        await self.other.ping();
        items.push(3);
        return self.items === items;
      },
    });
    expect(await world.send('#a', 'run')).toBe(true);
    expect(world.slot('#a', 'items')).toEqual([{ n: 2 }, 3]);
  });

  test('an assigned value may go on changing', async () => {
    world.object('#a', {
      run: async (self: any) => {
        const list: number[] = [];
        self.a = list;
        list.push(1);
        self.b = list;
        list.push(2);
      },
    });
    await world.send('#a', 'run');
    expect([world.slot('#a', 'a'), world.slot('#a', 'b')]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('an unchanged value is not written', async () => {
    world.object('#a', { items: { a: [1, 2] }, sum: async (self: any) => self.items.a[0] + self.items.a[1] });
    const { body } = await world.commit('#a', 'sum');
    expect(body[3]).toEqual([]);
  });

  test('a clone that changes an inherited list gets its own', async () => {
    world.object('#proto', { items: [1], add: async (self: any, x: number) => void self.items.push(x) });
    world.object('#a', { 'parent*': ref('#proto') });
    await world.send('#a', 'add', 2);
    expect([world.slot('#a', 'items'), world.slot('#proto', 'items')]).toEqual([[1, 2], [1]]);
  });

  test('what another send replaced meanwhile is STALE_VALUE, not lost', async () => {
    world.object('#a', {
      items: [1],
      replace: async (self: any) => void (self.items = [9]),
      run: async (self: any) => {
        const items = self.items;
        await self.replace();
        items.push(2);
      },
    });
    await expect(world.send('#a', 'run')).rejects.toThrow(/#a\.items/);
    await expect(world.send('#a', 'run')).rejects.toEqual(code('STALE_VALUE'));
    expect(world.slot('#a', 'items')).toEqual([1]);
  });

  test('the same after the slot was read anew', async () => {
    world.object('#a', {
      items: [1],
      replace: async (self: any) => void (self.items = [9]),
      run: async (self: any) => {
        const items = self.items;
        await self.replace();
        const fresh = self.items;
        items.push(2);
        return fresh;
      },
    });
    // Only looked at before the commit: the old copy is detached.
    await expect(world.send('#a', 'run')).rejects.toEqual(code('STALE_VALUE'));
  });

  test('a frame that ends writes what its callee must see, and sees what the callee wrote', async () => {
    world.object('#a', {
      items: [1],
      add: async (self: any, x: number) => void self.items.push(x),
      run: async (self: any) => {
        self.items.push(2);
        await self.add(3);
        self.items.push(4);
        return self.items;
      },
    });
    expect(await world.send('#a', 'run')).toEqual([1, 2, 3, 4]);
    expect(world.slot('#a', 'items')).toEqual([1, 2, 3, 4]);
  });

  test('arguments and answers are copies', async () => {
    world.object('#b', {
      keep: [],
      take: async (self: any, list: number[]) => (list.push(9), (self.keep = list), list),
    });
    world.object('#a', {
      run: async (_self: any, b: any) => {
        const mine = [1];
        const theirs = await b.take(mine);
        theirs.push(7);
        mine.push(8);
        return [mine, theirs, await b.keep()];
      },
    });
    expect(await world.send('#a', 'run', ref('#b'))).toEqual([
      [1, 8],
      [1, 9, 7],
      [1, 9],
    ]);
  });

  test('bytes are copied too', async () => {
    world.object('#a', { run: async (self: any) => ((self.b = new Uint8Array([1, 2])), (self.b[0] = 7), self.b) });
    expect(await world.send('#a', 'run')).toEqual(new Uint8Array([7, 2]));
    expect(world.slot('#a', 'b')).toEqual(new Uint8Array([7, 2]));
  });

  test('a large value that changes a little travels as a patch', async () => {
    world.object('#a', {
      items: Array.from({ length: 2000 }, (_, i) => i),
      add: async (self: any) => void self.items.push('new'),
    });
    const { body } = await world.commit('#a', 'add');
    const [, [[slot, op, payload]]] = body[3][0] as any;
    expect([slot, op]).toEqual(['items', WRITE.PATCH]);
    expect(payload.length).toBeLessThan(200);
  });
});

describe('sends', () => {
  test('two objects that call each other', async () => {
    world.object('#a', {
      n: 0,
      other: ref('#b'),
      hit: async (self: any, left: number) => ((self.n += 1), left > 0 ? self.other.hit(left - 1) : self.n),
    });
    world.object('#b', {
      n: 0,
      other: ref('#a'),
      hit: async (self: any, left: number) => ((self.n += 1), left > 0 ? self.other.hit(left - 1) : self.n),
    });
    expect(await world.send('#a', 'hit', 5)).toBe(3);
    expect([world.slot('#a', 'n'), world.slot('#b', 'n')]).toEqual([3, 3]);
  });

  test('sends begun together run one after another, in the order begun (F1)', async () => {
    world.object('#b', {
      order: [],
      note: async (self: any, x: number) => {
        self.order.push(`begin ${x}`);
        await null;
        await self.rest();
        self.order.push(`end ${x}`);
        return x;
      },
      rest: async () => null,
    });
    world.object('#a', { run: async (_self: any, b: any) => Promise.all([b.note(1), b.note(2), b.note(3)]) });
    expect(await world.send('#a', 'run', ref('#b'))).toEqual([1, 2, 3]);
    expect(world.slot('#b', 'order')).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'begin 3', 'end 3']);
  });

  test('a send that fails undoes its own writes, and only them (F2)', async () => {
    world.object('#b', {
      n: 1,
      fail: async (self: any) => {
        self.n = 2;
        self.m = 1;
        await self.deeper();
        throw new RangeError('no');
      },
      deeper: async (self: any) => void (self.n = 3),
    });
    world.object('#a', {
      n: 0,
      run: async (self: any, b: any) => {
        self.n = 1;
        try {
          await b.fail();
        } catch (error: any) {
          return [error.code, error.name, error.message, typeof error.remedy, await b.n(), Object.isFrozen(error)];
        }
        return null;
      },
    });
    const { body, turn } = await world.commit('#a', 'run', [ref('#b')]);
    expect(decode(body[7][1])).toEqual(['METHOD_FAILED', 'RangeError', 'no', 'string', 1, true]);
    expect(writesOf(body)).toEqual({ '#a': ['n'] });
    expect(turn.over).toBe(true);
  });

  test('undo is exact when caller and callee write one slot in turns', async () => {
    world.object('#a', {
      n: 0,
      inner: async (self: any, fail: boolean) => {
        self.n += 10;
        if (fail) throw new Error('x');
      },
      run: async (self: any) => {
        self.n = 1;
        await self.inner(false);
        self.n += 1;
        await self.inner(true).catch(() => null);
        self.n += 1;
        return self.n;
      },
    });
    expect(await world.send('#a', 'run')).toBe(13);
  });

  test('what a failed frame created, named, told and timed is gone', async () => {
    world.object('#a', {
      inner: async () => {
        throw new Error('after all');
      },
      make: method(`async (self) => {
        const made = await image.create({ x: 1 });
        await image.ref('genesis').clone({ name: 'made' });
        image.tell(self, 'n'); image.after(5, self, 'n');
        throw new Error('no');
      }`),
      run: async (self: any) => self.make().catch(() => 'caught'),
    });
    const { body } = await world.commit('#a', 'run');
    expect([body[2], body[3], body[4], body[5], body[6]]).toEqual([[], [], [], [], []]);
    expect(body[1].map(([name]) => name)).toContain('made');
  });

  test('a data slot takes no arguments', async () => {
    world.object('#a', { n: 1 });
    await expect(world.send('#a', 'n', 5)).rejects.toEqual(code('BAD_ARGUMENT'));
  });

  test('unknown names, oids and selectors say so, with near selectors', async () => {
    world.object('#a', { balance: 1, run: async (_self: any, who: any) => who.hello() });
    await expect(world.send('nobody', 'x')).rejects.toEqual(code('UNKNOWN_NAME'));
    await expect(world.send('#nobody', 'x')).rejects.toEqual(code('UNKNOWN_OBJECT'));
    await expect(world.send('#a', 'balnce')).rejects.toEqual(
      expect.objectContaining({ code: 'NOT_UNDERSTOOD', remedy: expect.stringContaining('balance') }),
    );
    await expect(world.send('#a', 'run', ref('#nobody'))).rejects.toEqual(code('UNKNOWN_OBJECT'));
    await expect(world.send('#a', 'run', ref('nobody'))).rejects.toEqual(code('UNKNOWN_NAME'));
  });

  test('an error commits its reads and nothing else', async () => {
    world.object('#a', { n: 1, run: async (self: any) => ((self.n += 1), Promise.reject(new Error('x'))) });
    const { body } = await world.commit('#a', 'run');
    expect(body.slice(2, 7)).toEqual([[], [], [], [], []]);
    expect(readsOf(body, '#a')).toContain('n');
  });

  test('what a method throws can not pass for an error of the runtime', async () => {
    world.object('#a', {
      run: async () => Promise.reject(Object.assign(new Error('mine'), { code: 'CONFLICT' })),
      odd: method('async () => { throw 7; }'),
    });
    await expect(world.send('#a', 'run')).rejects.toEqual(
      expect.objectContaining({ code: 'METHOD_FAILED', message: 'mine' }),
    );
    await expect(world.send('#a', 'odd')).rejects.toEqual(
      expect.objectContaining({ code: 'METHOD_FAILED', message: '7' }),
    );
  });

  test('sends nested too deep are refused, and the caller may go on', async () => {
    world.object('#a', {
      down: async (self: any) => self.down(),
      run: async (self: any) => self.down().catch((error: any) => error.code),
    });
    expect(await world.send('#a', 'run')).toBe('TOO_DEEP');
  });
});

describe('handles', () => {
  test('self, handles and references answer as references, and nothing asks them for then', async () => {
    world.object('#b', { x: 5 });
    world.object('#a', {
      other: ref('#b'),
      me: async (self: any) => self,
      them: async (self: any) => self.other,
      both: async (self: any) => ({ list: [self, self.other] }),
      nested: async (self: any) => (await self.them()).x(),
    });
    expect(await world.send('#a', 'me')).toEqual(new RefTo('#a'));
    expect(await world.send('#a', 'them')).toEqual(new RefTo('#b'));
    expect(await world.send('#a', 'both')).toEqual({ list: [ref('#a'), ref('#b')] });
    expect(await world.send('#a', 'nested')).toBe(5);
    const { body } = await world.commit('#a', 'them');
    expect(readsOf(body, '#b')).toEqual([]);
  });

  test('probes find nothing and start nothing', async () => {
    world.object('#a', {
      run: async (self: any, other: any) =>
        [
          other.then,
          other.toJSON,
          other.toString,
          other.valueOf,
          other.inspect,
          other.constructor,
          other[Symbol.iterator],
          self.then,
          self[Symbol.toPrimitive],
        ].every((probe) => probe === undefined) &&
        Object.getPrototypeOf(other) === null &&
        Object.getPrototypeOf(self) === null,
    });
    expect(await world.send('#a', 'run', ref('#genesis'))).toBe(true);
  });

  test('handles can not be changed, and are equal for equal objects', async () => {
    world.object('#a', {
      run: method(`async (self, other) => {
        'use strict';
        const refused = (act) => { try { act(); return false; } catch { return true; } };
        return [
          refused(() => { other.x = 1; }), refused(() => Object.defineProperty(other, 'x', { value: 1 })), refused(() => Object.setPrototypeOf(other, {})),
          refused(() => Object.defineProperty(self, 'x', { value: 1 })), refused(() => Object.freeze(self)), refused(() => { delete other.x; }),
          image.ref('#genesis') === other, image.ref(other) === other, image.ref(self) !== self,
        ];
      }`),
    });
    expect(await world.send('#a', 'run', ref('genesis'))).toEqual(Array(9).fill(true));
  });

  test('a name that is not yet loaded can be stored, sent and told', async () => {
    world.name('zoe', '#genesis');
    world.object('#a', {
      keep: method(
        `async (self) => { self.friend = image.ref('zoe'); self.list = [image.ref('zoe')]; image.tell(image.ref('zoe'), 'greet', image.ref('zoe')); return image.ref('zoe'); }`,
      ),
    });
    const { body } = await world.commit('#a', 'keep');
    expect(decode(body[7][1])).toEqual(ref('#genesis'));
    expect([world.slot('#a', 'friend'), world.slot('#a', 'list')]).toEqual([ref('#genesis'), [ref('#genesis')]]);
    expect(body[5]).toEqual([['#genesis', 'greet', expect.anything()]]);
    expect(decode(body[5][0]![2])).toEqual([ref('#genesis')]);
    expect(body[1].map(([name]) => name)).toEqual(['zoe']);
  });

  test('a name that nobody has, stored, fails the turn', async () => {
    world.object('#a', {
      keep: method(`async (self) => { self.friend = image.ref('nobody'); }`),
    });
    await expect(world.send('#a', 'keep')).rejects.toEqual(code('UNKNOWN_NAME'));
  });
});

describe('look-up (P1-P3)', () => {
  test('several parents, depth first, in the order of their names, whenever they were made', async () => {
    world.object('#top', { x: 'top', y: 'top' });
    world.object('#p', { 'parent*': ref('#top') });
    world.object('#q', { x: 'q', z: 'q' });
    world.object('#a', { 'second*': ref('#q'), 'first*': ref('#p') });
    expect([await world.send('#a', 'x'), await world.send('#a', 'z')]).toEqual(['top', 'q']);
    expect(await world.send('#a', 'parents')).toEqual([ref('#p'), ref('#traits'), ref('#q')]);
    await world.send('#a', 'removeSlot', 'first*');
    expect(await world.send('#a', 'x')).toBe('q');
    await world.send('#a', 'setSlot', 'first*', ref('#p'));
    expect(await world.send('#a', 'x')).toBe('top');
  });

  test('a clone of a clone, and its own slots', async () => {
    await world.send('genesis', 'clone', { name: 'one', n: 1 });
    await world.send('one', 'clone', { name: 'two', m: 2 });
    const two = await world.send('two', 'clone', {});
    const oid = (two as RefTo).id;
    expect([await world.send(oid, 'n'), await world.send(oid, 'm')]).toEqual([1, 2]);
    expect(await world.send(oid, 'greet', 'x')).toContain('x');
    await expect(world.send('genesis', 'clone', { name: 'one' })).rejects.toEqual(code('NAME_TAKEN'));
  });

  test('a clone does not read its original beyond the way to traits', async () => {
    const { body } = await world.commit('genesis', 'clone', [{ n: 1 }]);
    expect(readsOf(body, '#genesis')).toEqual(['clone', '*']);
    expect(body[2]).toHaveLength(1);
  });

  test('a cycle of parents is refused with its path', async () => {
    world.object('#c', { 'parent*': ref('#traits') });
    world.object('#b', { 'parent*': ref('#c') });
    world.object('#a', { 'parent*': ref('#b') });
    await expect(world.send('#c', 'setSlot', 'mixin*', ref('#a'))).rejects.toThrow(/#c > #a > #b > #c/);
    await expect(world.send('#c', 'setSlot', 'mixin*', ref('#c'))).rejects.toEqual(code('PARENT_CYCLE'));
    const { body } = await world.commit('#c', 'setSlot', ['mixin*', ref('#genesis')]);
    expect(readsOf(body, '#genesis')).toContain('*');
  });

  test('a cycle that is there all the same ends look-up, not the host', async () => {
    world.object('#a', { 'parent*': ref('#b') });
    world.object('#b', { 'parent*': ref('#a'), x: 1 });
    expect(await world.send('#a', 'x')).toBe(1);
    await expect(world.send('#a', 'y')).rejects.toThrow(/#a > #b > #a/);
  });

  test('a parent may be given by a name that is not yet loaded', async () => {
    world.object('#base', { x: 'inherited' });
    world.name('base', '#base');
    world.object('#a', {
      run: method(
        "async (self) => { await self.setSlot('mixin*', image.ref('base')); return [await self.x, await image.ref(self).x()]; }",
      ),
    });
    expect(await world.send('#a', 'run')).toEqual(['inherited', 'inherited']);
  });

  test('resend goes on above the holder of the method, with the same self', async () => {
    world.object('#base', { name: async (self: any) => `base of ${self.label}` });
    world.object('#mid', {
      'parent*': ref('#base'),
      name: method('async (self) => `mid, ${await image.resend.name()}`'),
    });
    world.object('#a', {
      'parent*': ref('#mid'),
      label: 'a',
      name: method('async (self) => `own, ${await image.resend.name()}`'),
    });
    expect(await world.send('#a', 'name')).toBe('own, mid, base of a');
  });

  test('doesNotUnderstand_ may be overridden, with a message to look into', async () => {
    world.object('#a', {
      doesNotUnderstand_: async (_self: any, message: any) => [
        message.selector,
        message.args,
        await message.receiver.n(),
      ],
      n: 3,
    });
    expect(await world.send('#a', 'what', 1, [2])).toEqual(['what', [1, [2]], 3]);
  });

  test('what a synchronous read finds unloaded is loaded, and the message run again', async () => {
    world.object('#lobbyist', { 'parent*': ref('#lobby'), run: async (self: any) => self.n });
    expect(await world.send('lobby', 'genesis')).toEqual(ref('#genesis'));
  });
});

describe('powers', () => {
  test('time, chance and ids are the same in every try, and others in another message', async () => {
    world.object('#a', {
      run: method(
        'async (self) => [Date.now(), new Date().getTime(), new Date(5).getTime(), Math.random(), Math.random(), image.newId(), Math.max(1, 2)]',
      ),
    });
    const first = await world.turn('#a', 'run', [], new Map(), 77).run();
    const again = await world.turn('#a', 'run', [], new Map(), 77).run();
    const other = await world.turn('#a', 'run', [], new Map(), 78).run();
    const answer = (outcome: any): any[] => decode(outcome.body[7][1]) as any[];
    expect(answer(first)).toEqual(answer(again));
    expect(answer(first).slice(0, 3)).toEqual([1_700_000_000_000, 1_700_000_000_000, 5]);
    expect(answer(first)[3]).not.toBe(answer(other)[3]);
    expect(answer(first)[5]).not.toBe(answer(other)[5]);
    expect(answer(first)[6]).toBe(2);
  });

  test('create, get and log', async () => {
    world.object('#a', {
      run: method(`async (self) => {
        const made = await image.create({ x: [1], friend: self });
        image.log('made', made, { deep: self });
        return [await made.x(), (await image.get('nobody')) === undefined, (await image.get('#nowhere')) === undefined, (await image.get('genesis')) === image.ref('genesis'), made];
      }`),
    });
    const { body, turn } = await world.commit('#a', 'run');
    const [x, nobody, nowhere, same, made] = decode(body[7][1]) as any[];
    expect([x, nobody, nowhere, same]).toEqual([[1], true, true, true]);
    expect(body[2]).toEqual([made.id]);
    expect(turn.logged).toEqual([`made "${made.id}" {"deep":"#a"}`]);
  });

  test('tell and after leave with the commit', async () => {
    world.object('#a', {
      run: method(`async (self) => { image.tell('genesis', 'greet', 1, [self]); image.after(50, self, 'run'); }`),
    });
    const { body } = await world.commit('#a', 'run');
    expect(body[5].map(([target, selector, args]) => [target, selector, decode(args)])).toEqual([
      ['#genesis', 'greet', [1, [ref('#a')]]],
    ]);
    expect(body[6].map(([delay, target, selector]) => [delay, target, selector])).toEqual([[50, '#a', 'run']]);
  });

  test('what was given is dead after the turn', async () => {
    const leaked: any = {};
    (globalThis as any).leak = (self: any, image: any, other: any) => Object.assign(leaked, { self, image, other });
    world.object('#a', { n: 1, run: method(`async (self, other) => { leak(self, image, other); }`) });
    await world.send('#a', 'run', ref('#genesis'));
    expect(() => leaked.self.n).toThrow(expect.objectContaining({ code: 'REVOKED' }));
    expect(() => (leaked.self.n = 2)).toThrow(expect.objectContaining({ code: 'REVOKED' }));
    expect(() => leaked.image.newId()).toThrow(expect.objectContaining({ code: 'REVOKED' }));
    await expect(leaked.other.greet()).rejects.toEqual(code('REVOKED'));
  });
});

describe('free-standing turns', () => {
  test('the source is called with its arguments, without self', async () => {
    world.object('#a', { n: 1, inc: async (self: any) => (self.n += 1) });
    expect(
      await world.send('', 'turn', 'async (a, by) => { await a.inc(); return (await a.n()) + by; }', ref('#a'), 5),
    ).toBe(7);
    expect(world.slot('#a', 'n')).toBe(2);
    await expect(world.send('', 'turn', 5)).rejects.toEqual(code('BAD_ARGUMENT'));
  });
});

describe('ends', () => {
  test('a promise that nothing can settle is STALLED (U4)', async () => {
    world.object('#a', { run: async () => new Promise(() => undefined), deep: async (self: any) => self.run() });
    await expect(world.send('#a', 'run')).rejects.toEqual(code('STALLED'));
    await expect(world.send('#a', 'deep')).rejects.toEqual(code('STALLED'));
  });

  test('fuel ends a turn, and catching it does not help (U5)', async () => {
    world = new World({ fuel: 5000 });
    world.object('#a', {
      tick: async () => null,
      run: async (self: any) => {
        for (;;) await self.tick().catch(() => null);
      },
    });
    await expect(world.send('#a', 'run')).rejects.toEqual(code('BUDGET'));
  });

  test('running time ends a turn', async () => {
    world = new World({ runTimeMs: 20 });
    world.object('#a', {
      tick: async () => null,
      run: async (self: any) => {
        for (;;) await self.tick();
      },
    });
    await expect(world.send('#a', 'run')).rejects.toThrow(/longer than 20 ms/);
  });

  test('too many writes end a turn', async () => {
    world = new World({ maxWrites: 10 });
    world.object('#a', {
      run: async (self: any) => {
        for (let i = 0; i < 20; i++) self[`s${i}`] = i;
      },
    });
    await expect(world.send('#a', 'run')).rejects.toEqual(code('BUDGET'));
  });

  test('two states of one slot are a conflict, at once (W2)', async () => {
    world.object('#b', { rest: async () => 1 });
    world.object('#a', { n: 1, other: ref('#b'), run: async (self: any) => [self.n, await self.other.rest(), self.n] });
    await world.send('#a', 'n');
    const turn = world.turn('#a', 'run');
    const ended = turn.run();
    world.cache.get('#a')!.set('n', world.nextAttempt(), 5);
    expect(await ended).toEqual({ kind: 'conflict', key: '#a' });
  });
});

describe('what every object gets from traits', () => {
  test('setSlot, setMethod, removeSlot, slots, parents, describe', async () => {
    world.object('#a', { n: 1 });
    await world.send('#a', 'setSlot', 'm', [1]);
    await world.send('#a', 'setMethod', 'twice', 'async (self) => self.n * 2');
    expect(await world.send('#a', 'twice')).toBe(2);
    expect(await world.send('#a', 'removeSlot', 'm')).toBe(true);
    expect(await world.send('#a', 'removeSlot', 'm')).toBe(false);
    expect(await world.send('#a', 'slots')).toEqual(['n', 'parent*', 'twice']);
    expect(await world.send('#a', 'parents')).toEqual([ref('#traits')]);
    const told: any = await world.send('genesis', 'describe');
    expect(told.slots.greet).toEqual({ kind: 'method', doc: expect.stringContaining('greeting') });
    expect(told.understands).toEqual(expect.arrayContaining(['greet', 'clone', 'setMethod']));
  });

  test('a listing reads the shape', async () => {
    world.object('#a', { n: 1 });
    const { body } = await world.commit('#a', 'slots');
    expect(readsOf(body, '#a')).toContain('');
  });

  test('the lobby: names are its slots', async () => {
    world.answer = ({ op }) =>
      World.value(
        op === 'names'
          ? [
              ['genesis', '#genesis'],
              ['lobby', '#lobby'],
            ]
          : null,
      );
    world.object('#a', { n: 1 });
    await world.send('lobby', 'setSlot', 'ann', ref('#a'));
    expect(await world.send('ann', 'n')).toBe(1);
    expect(await world.send('lobby', 'ann')).toEqual(ref('#a'));
    expect(
      await world.send(
        '',
        'turn',
        `async () => { const l = image.ref('lobby'); await l.setSlot('ben', image.ref('ann')); await l.removeSlot('genesis'); return l.slots(); }`,
      ),
    ).toEqual(expect.arrayContaining(['ben', 'lobby']));
    expect(await world.send('lobby', 'removeSlot', 'ann')).toBe(true);
    await expect(world.send('ann', 'n')).rejects.toEqual(code('UNKNOWN_NAME'));
  });
});
