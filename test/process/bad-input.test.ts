/** What a peer may send wrong: frames, greetings, names, values, sources. A clear code each, and the kernel goes on. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, temporary } from './support/processes.js';
import { SEED, rowsOf } from './support/storm.js';

let running: Running;
let driver: Driver;
let kernel: number | undefined;

const kernelPid = async (): Promise<number | undefined> =>
  (await rowsOf(driver)).find(({ role }) => role === 'kernel')?.pid;

beforeAll(async () => {
  const image = join(temporary(), 'image');
  running = await Running.up(image, ['--hosts', '1']);
  driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    await it.actor('genesis').clone({ name: 'thing', count: 0 });
    return null;
  });
  kernel = await kernelPid();
});
afterEach(async () => {
  expect(await driver.send('thing', 'count')).toBe(0);
  expect(kernel).toEqual(expect.any(Number));
  expect(await kernelPid()).toBe(kernel);
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
  expect(outcome).toEqual(['no answer', [4, 'UNAUTHORIZED'], [4, 'FORBIDDEN'], [4, 'VERSION_MISMATCH']]);
  await raw.close();
});

/** The code with which a link was refused, what an honest ask after the bad frame ended with, or null: nothing came at all. */
type Offence = readonly [kind: string, outcome: string | null];

/**
 * Each link greets, or not, and sends one bad frame: a real one of each kind of envelope, with bytes flipped, cut, put in or doubled, with a position
 * of the wrong type, with a number out of turn; one that only a worker may send; or noise. Then an honest ask.
 */
const offend = (raw: Driver, links: number, seed: number): Promise<Offence[]> =>
  raw.run<Offence[]>(
    async (peer: RemoteImage, count: number, start: number) => {
      let state = start >>> 0;
      const random = (n: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * n);
      };
      const oneOf = <V>(values: readonly V[]): V => values[random(values.length)] as V;
      const bytes = (n: number): Buffer => Buffer.from(Array.from({ length: n }, () => random(256)));
      const args = peer.pack([]) as Uint8Array;
      const good: readonly unknown[][] = [
        [1, 2, 1, 5000, 't', 'thing', 'count', args, 0],
        [2, 1],
        [3, 1, 'thing', 10],
        [4, 1, 10],
        [5, 1],
        [7, [1, 1]],
        [6, 2, 1, 5000, 'names', args],
        [6, 2, 1, 5000, 'inspect', peer.pack(['thing'])],
      ];
      const workers: readonly unknown[][] = [
        [48, 1, ['#genesis'], []],
        [49, 2 ** 32 + 1, 2 ** 32 + 1, 1, peer.pack([[], [], [], [], [], [], [], [true, null, null]])],
        [50, ['#genesis']],
        [53, 1, 1, true],
        [55, 1, 1, ['BUSY', 'TelosError', 'no', '', null]],
        [56, { turns: 1 }],
        [65, 1, 0, true, null],
        [32, 1, 1, 'thing', null, 0, 'count', args, 0, 0, 0, '', null],
      ];
      const odd: readonly unknown[] = [
        null,
        true,
        -1,
        1.5,
        2 ** 60,
        NaN,
        '',
        'x'.repeat(300),
        [],
        {},
        bytes(5),
        10n ** 18n,
      ];
      const flipped = (frame: Buffer): Buffer => {
        for (let i = 0; i <= random(3); i++) frame[random(frame.length)] = random(256);
        return frame;
      };
      const kinds: Record<string, () => Buffer[]> = {
        flipped: () => [Buffer.of(3), flipped(Buffer.from(peer.pack([++peer.frameNo, oneOf(good)])))],
        cut: () => {
          const frame = Buffer.from(peer.pack([++peer.frameNo, oneOf(good)]));
          return [Buffer.of(3), frame.subarray(0, random(frame.length))];
        },
        inserted: () => {
          const frame = Buffer.from(peer.pack([++peer.frameNo, oneOf(good)]));
          const at = random(frame.length);
          return [Buffer.of(3), Buffer.concat([frame.subarray(0, at), bytes(1 + random(9)), frame.subarray(at)])];
        },
        doubled: () => {
          const frame = Buffer.from(peer.pack([++peer.frameNo, oneOf(good), oneOf(good)]));
          return [Buffer.of(3), Buffer.concat([frame, frame])];
        },
        'wrong type': () => {
          const envelope = [...oneOf(good)];
          envelope[random(envelope.length)] = oneOf(odd);
          return [Buffer.of(3), peer.pack([++peer.frameNo, envelope])];
        },
        short: () => {
          const envelope = oneOf(good);
          return [Buffer.of(3), peer.pack([++peer.frameNo, envelope.slice(0, random(envelope.length))])];
        },
        "a worker's": () => [Buffer.of(3), peer.pack([++peer.frameNo, oneOf(workers)])],
        'out of turn': () => [Buffer.of(3), peer.pack([Number(peer.frameNo) + 2 + random(9), oneOf(good)])],
        'no list': () => [Buffer.of(3), peer.pack(oneOf(odd))],
        deep: () => [Buffer.of(3), Buffer.concat([Buffer.of(0x92, ++peer.frameNo), Buffer.alloc(5000, 0x91)])],
        heartbeat: () => [Buffer.of(2), peer.pack([oneOf(odd)])],
        greeting: () => [
          Buffer.of(1),
          flipped(Buffer.from(peer.pack(['TelOS', 1, 'client', 0, 'k', 't', 0, 'a', []]))),
        ],
        'no signal': () => [Buffer.of(random(200) + 6), bytes(random(40))],
        parts: () => [Buffer.of(3), peer.pack([++peer.frameNo, oneOf(good)]), bytes(10)],
        'one part': () => [bytes(random(40))],
        noise: () => [Buffer.of(3), bytes(random(400))],
      };
      const names = Object.keys(kinds);
      const seen: [string, string | null][] = [];
      for (let link = 0; link < count; link++) {
        const kind = names[link % names.length] as string;
        // Every tenth has not greeted.
        if (link % 10 === 9) peer.open();
        else if ((await peer.greet()) === null) throw new Error(`link ${link} was not greeted`);
        await peer.send(...(kinds[kind] as () => Buffer[])());
        await peer.work([1, 1000, 1, 5000, 't', 'thing', 'count', args, 0]);
        seen.push([kind, await peer.outcome(1000)]);
      }
      peer.close();
      return seen;
    },
    links,
    seed,
  );

const LINKS = 192;

test('fuzz: a bad frame on each of many greeted links is refused with a code or harmless; an honest client is served all the while', async () => {
  const raw = await Driver.raw(running.image);
  let done = false;
  const offences = offend(raw, LINKS, SEED).finally(() => (done = true));
  let served = 0;
  for (; !done; served++) expect(await driver.send('thing', 'count')).toBe(0);
  const outcomes = await offences;
  process.stderr.write(`fuzz: seed ${SEED}, ${served} honest asks\n`);
  expect(outcomes.filter(([, outcome]) => outcome === null)).toEqual([]);
  const known = ['answer', 'MALFORMED', 'LINK_LOST', 'VERSION_MISMATCH', 'UNAUTHORIZED', 'FORBIDDEN', 'EXPIRED'];
  expect(outcomes.filter(([, outcome]) => !known.includes(outcome ?? ''))).toEqual([]);
  expect(outcomes.filter(([, outcome]) => outcome === 'MALFORMED').length).toBeGreaterThan(LINKS / 4);
  for (const kind of ['cut', "a worker's", 'no list', 'deep', 'parts', 'one part', 'noise']) {
    const harmless = outcomes.filter(([one, outcome]) => one === kind && outcome === 'answer');
    expect([kind, harmless.length]).toEqual([kind, 0]);
  }
  expect(served).toBeGreaterThan(LINKS);
  await raw.close();
});
