/** What a peer may send wrong: frames, greetings, names, values, sources. A clear code each, and the kernel goes on. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, temporary } from './support/processes.js';

let running: Running;
let driver: Driver;
let kernel: number;

beforeAll(async () => {
  const image = join(temporary(), 'image');
  running = await Running.up(image, ['--hosts', '1']);
  driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    await it.actor('genesis').clone({ name: 'thing', count: 0 });
    return null;
  });
  kernel = await running.pid('kernel');
});
afterEach(async () => {
  expect(await driver.send('thing', 'count')).toBe(0);
  expect(await running.pid('kernel')).toBe(kernel);
});
afterAll(async () => {
  await driver.close();
  await running.down();
  await cleanUp();
});

const codeOf = (selector: string, args: unknown[] = [], target = 'thing'): Promise<string> =>
  driver.refusal(driver.send(target, selector, ...args)).then(({ code }) => code);
const codeOfRun = async (call: (image: RemoteImage) => unknown): Promise<string> =>
  (await driver.refusal(driver.run(call))).code;

test('unknown: name, oid, selector', async () => {
  expect(await codeOf('anything', [], 'nobody')).toBe('UNKNOWN_NAME');
  expect(await codeOf('anything', [], '#nothing.here')).toBe('UNKNOWN_OBJECT');
  expect(await codeOf('doSomethingElse')).toBe('NOT_UNDERSTOOD');
});

test('parents: a cycle is refused, naming the path', async () => {
  const error = await driver.refusal(
    driver.run(async (it: RemoteImage) => {
      const child = await it.actor('thing').clone({ name: 'child' });
      await it.actor('thing').setSlot('parent*', child);
    }),
  );
  expect(error.code).toBe('PARENT_CYCLE');
});

test.each([
  ['a syntax error', 'async (self) => { return ((1 }'],
  ['two expressions', 'async (self) => 1; async (self) => 2'],
  ['no function', '42'],
  ['an import', 'async (self) => import("node:fs")'],
  ['an empty text', ''],
])('source with %s: BAD_SOURCE', async (_, source) => {
  expect(await codeOf('setMethod', ['bad', source])).toBe('BAD_SOURCE');
});

test('values: what can not be stored is refused with its path', async () => {
  const make =
    'async (self, kind) => { const bad = { f: () => 1, m: new Map(), d: new Error("x"), n: NaN, s: Symbol.iterator }[kind]; self.value = { deep: [bad] } }';
  await driver.send('thing', 'setMethod', 'store', make);
  for (const kind of ['f', 'm', 'd', 'n', 's']) {
    const error = await driver.refusal(driver.send('thing', 'store', kind));
    expect([kind, error.code]).toEqual([kind, 'BAD_VALUE']);
    expect(error.message).toContain('deep');
  }
  await driver.send('thing', 'setMethod', 'loop', 'async (self) => { const a = {}; a.a = a; self.value = a }');
  expect(await codeOf('loop')).toBe('BAD_VALUE');
  expect(await codeOfRun((it) => it.send('thing', 'setSlot', 'big', 'x'.repeat(9 * 2 ** 20)))).toBe('TOO_LARGE');
  expect(await codeOfRun((it) => it.send('thing', 'setSlot', 'date', new Date(0)))).toBe('BAD_VALUE');
  expect(await codeOf('value')).toBe('NOT_UNDERSTOOD');
});

test('names: what is no identifier is refused', async () => {
  for (const name of ['two words', '1st', 'a-b', ''])
    expect([name, await codeOf('clone', [{ name }], 'genesis')]).toEqual([name, 'BAD_NAME']);
  expect(await codeOf('setSlot', ['no slot!', 1])).toBe('BAD_NAME');
});

test('strangers: a key that is not admitted, a wrong token, a client that says it is a host', async () => {
  const raw = await Driver.raw(running.image);
  const outcome = await raw.run(async (peer: RemoteImage) => {
    const refusal = ([signal]: [number]): boolean => signal === 4 || signal === 1;
    peer.open(peer.curveKeyPair());
    await peer.hello();
    const stranger = await peer.wait(refusal, 1500);
    peer.close();
    peer.open();
    await peer.hello({ token: 'wrong' });
    const wrongToken = await peer.wait(refusal);
    peer.close();
    peer.open();
    await peer.hello({ role: 'host' });
    const host = await peer.wait(refusal);
    peer.close();
    peer.open();
    await peer.hello({ version: 99 });
    const version = await peer.wait(refusal);
    return [stranger?.[0] ?? 'no answer', wrongToken, host, version].map((frame) =>
      Array.isArray(frame) ? [frame[0], frame[1][0]] : frame,
    );
  });
  expect(outcome).toEqual([
    'no answer',
    [4, 'UNAUTHORIZED'],
    [4, expect.stringMatching(/FORBIDDEN|UNAUTHORIZED|SUPERSEDED/)],
    [4, 'VERSION_MISMATCH'],
  ]);
  await raw.close();
});

test('fuzz: random, truncated and mutated frames from a greeted peer and an ungreeted one', async () => {
  const raw = await Driver.raw(running.image);
  await raw.run(async (peer: RemoteImage) => {
    let seed = 4711;
    const random = (n: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    const bytes = (n: number): Buffer => Buffer.from(Array.from({ length: n }, () => random(256)));
    for (let round = 0; round < 150; round++) {
      if (round % 5 === 0) {
        peer.close();
        if (round % 10 === 0) peer.open();
        else await peer.greet();
      }
      const good = Buffer.from(
        peer.pack([++peer.frameNo, [1, round, 1, 1000, 't', 'thing', 'count', peer.pack([]), 0]]),
      );
      const kinds = [
        () => [bytes(random(40))],
        () => [Buffer.of(random(8)), bytes(random(80))],
        () => [Buffer.of(3), good.subarray(0, random(good.length))],
        () => {
          good[random(good.length)] = random(256);
          return [Buffer.of(3), good];
        },
        () => [Buffer.of(3), peer.pack([peer.frameNo, [random(80), random(5), {}, null, 'x']])],
        () => [Buffer.of(3), good, bytes(10)],
        () => [Buffer.alloc(0)],
      ];
      await peer.send(...kinds[random(kinds.length)]!());
    }
    peer.close();
  });
  await raw.close();
});
