/** What does not fit: objects, frames, caches. Real kernel, real hosts, small limits; the wire hands back what fits no frame (F2). */
import { T } from '../../protocol/index.js';
import type { ObjectState, Oid } from '../../protocol/index.js';
import { ObjectCache } from '../../runtime/host/cache.js';
import { CachedObject } from '../../runtime/turn/index.js';
import { Image } from '../support/image.js';
import { ref, type RefTo } from '../support/world.js';

const KiB = 1024;
const LIMITS = {
  link: { maxFrameBytes: 256 * KiB },
  message: { maxBodyBytes: 128 * KiB, maxObjectBytes: 192 * KiB },
};

let image: Image;
afterEach(() => image.stop());

const code = (name: string, text: RegExp) =>
  expect.objectContaining({ code: name, message: expect.stringMatching(text) as string });
const big = (kib: number): string => 'x'.repeat(kib * KiB);
const made = async (slots: Record<string, unknown>): Promise<string> =>
  ((await image.send('genesis', 'clone', slots)) as RefTo).id;

describe('an object', () => {
  test('may take message.max_object_bytes and no more, however it grows; what is smaller again is let in', async () => {
    image = await Image.start(1, LIMITS);
    const oid = await made({ a: big(100), n: 0 });
    await image.send(
      oid,
      'setMethod',
      'grow',
      'async (self, by) => { self.text = (self.text ?? "") + "y".repeat(by); }',
    );
    await expect(image.send(oid, 'setSlot', 'b', big(100))).rejects.toEqual(
      code('TOO_LARGE', /#.* would take \d+ bytes; message\.max_object_bytes is 196608/),
    );
    for (let i = 0; i < 8; i++) await image.send(oid, 'grow', 10 * KiB);
    await expect(image.send(oid, 'grow', 20 * KiB)).rejects.toEqual(code('TOO_LARGE', /max_object_bytes/));
    expect(await image.send(oid, 'slots')).toEqual(['a', 'grow', 'n', 'parent*', 'text']);
    expect(((await image.send(oid, 'text')) as string).length).toBe(80 * KiB);
    await image.send(oid, 'removeSlot', 'a');
    await image.send(oid, 'setSlot', 'b', big(90));
    expect(image.unsent).toEqual([]);
  });

  test('to which two hosts add what fits alone: one of them is refused', async () => {
    image = await Image.start(3, LIMITS);
    const oid = await made({});
    await image.send(oid, 'setMethod', 'put', 'async (self, slot, value) => { self[slot] = value; }');
    const callers = await Promise.all(
      Array.from({ length: 9 }, async () => {
        const caller = await made({ target: ref(oid) });
        await image.send(
          caller,
          'setMethod',
          'run',
          'async (self, slot, value) => { await self.target.put(slot, value); }',
        );
        return caller;
      }),
    );
    const outcomes = await Promise.all(
      callers.map((caller, i) =>
        image.send(caller, 'run', `s${i}`, big(60)).then(
          () => 'stored',
          (error: unknown) => (error as { code: string }).code,
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'stored')).toHaveLength(3);
    expect(outcomes.filter((outcome) => outcome === 'TOO_LARGE')).toHaveLength(6);
  });

  test('that an undo would make too large stays as it is', async () => {
    image = await Image.start(1, LIMITS);
    const oid = await made({ a: big(100) });
    await image.send(oid, 'removeSlot', 'a');
    const [removal] = (await image.query('history', oid, 1)) as { seq: number }[];
    await image.send(oid, 'setSlot', 'b', big(100));
    await expect(image.query('undo', removal?.seq)).rejects.toEqual(code('TOO_LARGE', /max_object_bytes/));
    expect(await image.send(oid, 'slots')).toEqual(['b', 'parent*']);
  });

  test('as large as may be is loaded by another host, and its changes reach those who hold it', async () => {
    image = await Image.start(2, LIMITS);
    const oid = await made({ a: big(100) });
    await image.send(oid, 'setSlot', 'b', big(85));
    await image.send(
      oid,
      'setMethod',
      'swap',
      'async (self) => { const a = self.a; self.a = "A" + self.b; self.b = "B" + a; }',
    );
    const readers = await Promise.all(Array.from({ length: 8 }, () => made({ target: ref(oid) })));
    for (const reader of readers)
      await image.send(
        reader,
        'setMethod',
        'look',
        'async (self) => [(await self.target.a())[0], (await self.target.b())[0]]',
      );
    for (let i = 0; i < 4; i++) {
      await image.send(oid, 'swap');
      for (const reader of readers) {
        expect(await image.send(reader, 'look')).toEqual(['A', 'B']);
      }
    }
    expect(image.unsent).toEqual([]);
  });
});

describe('a frame', () => {
  test('many passive objects, asked for at once, come in as many frames as it takes', async () => {
    image = await Image.start(1, { ...LIMITS, host: { maxCachedObjects: 8 } });
    const oids: string[] = [];
    for (let i = 0; i < 40; i++) oids.push(await made({ text: big(70), i }));
    expect(await Promise.all(oids.map((oid) => image.send(oid, 'i')))).toEqual(oids.map((_, i) => i));
    expect(image.unsent).toEqual([]);
  });

  test('the same for a turn that runs under a grant', async () => {
    image = await Image.start(2, { ...LIMITS, host: { maxRetries: 1 } });
    const oids: string[] = [];
    for (let i = 0; i < 8; i++) oids.push(await made({ text: big(70), n: 0 }));
    for (const oid of oids)
      await image.send(oid, 'setMethod', 'inc', 'async (self, by) => { self.n += by; return self.n; }');
    let stop = false;
    const noise = oids.map(async (oid) => {
      while (!stop) await image.send(oid, 'inc', 1);
    });
    const wide = 'async (oids) => { for (const oid of oids) await image.ref(oid).inc(1000); return true; }';
    for (let i = 0; i < 3; i++) expect(await image.send('', 'turn', wide, oids)).toBe(true);
    stop = true;
    await Promise.all(noise);
    expect(image.total('grants')).toBeGreaterThan(0);
    expect(image.unsent).toEqual([]);
  }, 30_000);

  test('an object that was stored under larger limits: TOO_LARGE for each message to it, and nobody waits for ever', async () => {
    image = await Image.start(1, { ...LIMITS, host: { maxCachedObjects: 4 } });
    const oid = await made({ text: big(100) });
    const others = await Promise.all(Array.from({ length: 8 }, (_, i) => made({ i })));
    const kept = image.kernel.core.state.objects.get(oid as never);
    if (kept) kept.bytes = 300 * KiB;
    for (const other of others) await image.send(other, 'i');
    const grown = image.kernel.core.state.objects.get(oid as never);
    expect(grown?.bytes).toBe(300 * KiB);
    for (let i = 0; i < 2; i++)
      await expect(image.send(oid, 'text')).rejects.toEqual(
        code('TOO_LARGE', /the object #.*link\.max_frame_bytes is 262144/),
      );
    const fromCode = `async () => image.ref(${JSON.stringify(oid)}).text()`;
    await expect(image.send('', 'turn', fromCode)).rejects.toEqual(code('TOO_LARGE', /max_frame_bytes/));
    if (grown) grown.bytes = 110 * KiB;
    expect(((await image.send(oid, 'text')) as string).length).toBe(100 * KiB);
  });

  test('answers to questions are measured: TOO_LARGE names the key', async () => {
    image = await Image.start(1, {
      link: { maxFrameBytes: 64 * KiB },
      message: { maxBodyBytes: 32 * KiB, maxObjectBytes: 48 * KiB },
    });
    for (let i = 0; i < 40; i++)
      await image.send(
        '',
        'turn',
        `async () => { for (let j = 0; j < 20; j++) await image.ref('genesis').clone({ name: 'a${'n'.repeat(60)}_${i}_' + j }); }`,
      );
    // A question is answered in parts instead.
    const part = (await image.query('names')) as [string, string][];
    const rest = (await image.query('names', part.at(-1)?.[0])) as [string, string][];
    expect(part.length).toBeLessThan(800);
    expect(rest.length).toBeGreaterThan(0);
    expect(part.map(([name]) => name)).not.toContain(rest[0]?.[0]);
    await expect(image.send('lobby', 'slots')).rejects.toEqual(
      code('TOO_LARGE', /the answer of names takes \d+ .*link\.max_frame_bytes is 65536/),
    );
    expect(image.unsent).toEqual([]);
  });
});

describe('the cache of a host', () => {
  test('is bounded by bytes: what is least used is let go, and the kernel is told (O1, O2)', async () => {
    image = await Image.start(1, { ...LIMITS, host: { maxCachedBytes: 1024 * KiB } });
    const oids: string[] = [];
    for (let i = 0; i < 40; i++) oids.push(await made({ text: new Uint8Array(70 * KiB), n: 0 }));
    for (const oid of oids)
      await image.send(oid, 'setMethod', 'inc', 'async (self) => { self.n += 1; return self.n; }');
    for (let round = 1; round <= 2; round++)
      expect(await Promise.all(oids.map((oid) => image.send(oid, 'inc')))).toEqual(oids.map(() => round));
    expect(image.total('bytes')).toBeLessThanOrEqual(1024 * KiB);
    expect(image.total('bytes')).toBeGreaterThan(512 * KiB);
    const held = [...image.kernel.core.state.objects.values()].filter(({ holders }) => holders !== 0);
    expect(held.length).toBeLessThanOrEqual(image.total('objects') + 1);
  });

  test('an object that grows pushes others out', async () => {
    image = await Image.start(1, { ...LIMITS, host: { maxCachedBytes: 512 * KiB } });
    const oids: string[] = [];
    for (let i = 0; i < 30; i++) oids.push(await made({ i }));
    const objects = image.total('objects');
    for (const oid of oids.slice(0, 8)) await image.send(oid, 'setSlot', 'text', new Uint8Array(100 * KiB));
    expect(image.total('bytes')).toBeLessThanOrEqual(512 * KiB);
    expect(image.total('objects')).toBeLessThan(objects);
  });
});

describe('what one turn looks at', () => {
  test('is charged: a wide read ends in BUDGET, naming the key, and its host goes on', async () => {
    image = await Image.start(1, {
      ...LIMITS,
      host: { maxCachedBytes: 1024 * KiB },
      turn: { maxLoadedBytes: 1024 * KiB },
    });
    const oids: string[] = [];
    for (let i = 0; i < 20; i++) oids.push(await made({ text: new Uint8Array(100 * KiB), i }));
    const read = (some: string[]): Promise<unknown> =>
      image.send(
        '',
        'turn',
        'async (oids) => { let n = 0; for (const oid of oids) { await image.ref(oid).i(); n++; } return n; }',
        some,
      );
    for (let round = 0; round < 2; round++) {
      await expect(read(oids)).rejects.toEqual(
        code('BUDGET', /objects of more than 1048576 bytes \(turn\.max_loaded_bytes\)/),
      );
      expect(await read(oids.slice(10, 17))).toBe(7);
      // What it let go of is evicted by what is looked at next.
      for (const oid of oids) await image.send(oid, 'i');
      expect(image.total('bytes')).toBeLessThanOrEqual(1024 * KiB);
    }
  });

  test('stays in the cache, and is not looked at again by each put', () => {
    const gone: Oid[] = [];
    const cache = new ObjectCache({ objects: 10, bytes: 1e9 }, (oid) => void gone.push(oid));
    const objects = Array.from({ length: 1000 }, (_, i) =>
      CachedObject.of([`#${i}`, 1, 1, []] as unknown as ObjectState),
    );
    let looks = 0;
    for (const object of objects) {
      let pins = 1;
      Object.defineProperty(object, 'pins', { get: () => (looks++, pins), set: (value: number) => (pins = value) });
      cache.put(object);
    }
    expect([cache.size, gone]).toEqual([1000, []]);
    expect(looks).toBeLessThanOrEqual(1000);
    expect(cache.use('#5' as Oid)).toBe(objects[5]);
    for (const object of objects) object.unpin();
    cache.put(CachedObject.of(['#last', 1, 1, []] as unknown as ObjectState));
    expect(cache.size).toBe(10);
    expect(gone).toHaveLength(991);
    expect(cache.use('#5' as Oid)).toBeUndefined();
  });
});

test('a LOAD is answered in several LOADED, each key once', async () => {
  image = await Image.start(1, LIMITS);
  const oids = await Promise.all(Array.from({ length: 6 }, () => made({ text: big(70) })));
  const sent: unknown[][] = [];
  const { core } = image.kernel;
  const original = core.ports.toHost.bind(core.ports);
  core.ports.toHost = (host, envelope) => {
    if (envelope[0] === T.LOADED) sent.push(envelope);
    original(host, envelope);
  };
  image.kernel.fromHost(1, [T.LOAD, 77, oids as never[], ['genesis', 'nobody']], Date.now());
  image.kernel.flush(Date.now());
  const told = (): number => sent.reduce((sum, [, , objects]) => sum + (objects as unknown[]).length, 0);
  while (told() < oids.length) await new Promise((resolve) => setImmediate(resolve));
  expect(sent.length).toBeGreaterThan(1);
  expect(sent.every(([, request]) => request === 77)).toBe(true);
  expect(sent.flatMap(([, , objects]) => (objects as [string][]).map(([oid]) => oid))).toEqual(oids);
  expect(sent.flatMap(([, , , names]) => (names as [string][]).map(([name]) => name))).toEqual(['genesis', 'nobody']);
});
