/** The host under the real kernel: pipelining, conflicts, grants, loads. Invariants: H (host.ts), Q (commits.ts), N (actors.ts), O (cache.ts). */
import { Image } from '../support/image.js';
import { ref, type RefTo } from '../support/world.js';

let image: Image;
afterEach(() => image.stop());

const code = (name: string) => expect.objectContaining({ code: name });
const INC = 'async (self, by) => { self.n = self.n + (by ?? 1); return self.n; }';

async function counter(name: string): Promise<void> {
  await image.send('genesis', 'clone', { name, n: 0 });
  await image.send(name, 'setMethod', 'inc', INC);
}

test('genesis answers, and an object that is made is there for the next message', async () => {
  image = await Image.start();
  expect(await image.send('genesis', 'greet', 'world')).toContain('Hello, world');
  await counter('c');
  expect(await image.send('c', 'inc')).toBe(1);
  expect(await image.send('c', 'inc', 5)).toBe(6);
  expect(await image.send('lobby', 'slots')).toEqual(expect.arrayContaining(['c', 'genesis', 'lobby']));
});

test('a hot object: turns are pipelined, each sees the one before, none conflicts (Q1)', async () => {
  image = await Image.start();
  await counter('c');
  const answers = await Promise.all(Array.from({ length: 500 }, () => image.send('c', 'inc')));
  expect(answers).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  expect(image.total('conflicts')).toBe(0);
});

test('two hosts that write one object: nothing is lost (H3, Q3)', async () => {
  image = await Image.start(3);
  await counter('c');
  const callers: string[] = [];
  for (let i = 0; i < 12; i++) {
    const oid = (await image.send('genesis', 'clone', { target: ref('c') })) as RefTo;
    await image.send(oid.id, 'setMethod', 'run', 'async (self) => self.target.inc()');
    callers.push(oid.id);
  }
  const runs: Promise<unknown>[] = [];
  for (let round = 0; round < 20; round++) for (const oid of callers) runs.push(image.send(oid, 'run'));
  const answers = (await Promise.all(runs)) as number[];
  expect(new Set(answers).size).toBe(240);
  expect(await image.send('c', 'n')).toBe(240);
  expect(image.total('conflicts')).toBeGreaterThan(0);
}, 20_000);

test('two objects that call each other from both ends, on two hosts', async () => {
  image = await Image.start(2);
  await image.send('genesis', 'clone', { name: 'a', n: 0 });
  await image.send('genesis', 'clone', { name: 'b', n: 0 });
  for (const [name, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ] as const) {
    await image.send(name, 'setSlot', 'other', ref(other));
    await image.send(
      name,
      'setMethod',
      'hit',
      'async (self, left) => { self.n += 1; if (left > 0) await self.other.hit(left - 1); return self.n; }',
    );
  }
  await Promise.all(Array.from({ length: 60 }, (_, i) => image.send(i % 2 === 0 ? 'a' : 'b', 'hit', 3)));
  expect([await image.send('a', 'n'), await image.send('b', 'n')]).toEqual([120, 120]);
}, 20_000);

test('money moved between accounts on several hosts adds up, also while a slow wide turn sums them', async () => {
  image = await Image.start(3);
  const names = Array.from({ length: 8 }, (_, i) => `acct${i}`);
  await image.send('genesis', 'clone', { name: 'account', balance: 0 });
  await image.send(
    'account',
    'setMethod',
    'add',
    'async (self, by) => { if (self.balance + by < 0) throw new RangeError("too little"); self.balance += by; }',
  );
  await image.send(
    'account',
    'setMethod',
    'pay',
    'async (self, other, by) => { await other.add(by); await image.ref(self).add(-by); }',
  );
  for (const name of names) await image.send('account', 'clone', { name, balance: 100 });
  const sum =
    'async (names) => { let sum = 0; for (const name of names) sum += await image.ref(name).balance(); return sum; }';
  const work: Promise<unknown>[] = [];
  for (let i = 0; i < 200; i++) {
    const [from, to] = [names[(i * 7) % 8] as string, names[(i * 3 + 1) % 8] as string];
    work.push(
      image.send(from, 'pay', ref(to), (i % 40) + 1).catch((error: unknown) => (error as { code: string }).code),
    );
    if (i % 20 === 0) work.push(image.send('', 'turn', sum, names));
  }
  const answers = await Promise.all(work);
  expect(answers.filter((answer) => typeof answer === 'number')).toEqual(Array(10).fill(800));
  expect(new Set(answers)).toEqual(new Set([null, 800, 'METHOD_FAILED']));
  expect(await image.send('', 'turn', sum, names)).toBe(800);
}, 30_000);

test('the same name made on two hosts: one wins', async () => {
  image = await Image.start(3);
  const makers: string[] = [];
  for (let i = 0; i < 6; i++) makers.push(((await image.send('genesis', 'clone', {})) as RefTo).id);
  const made = await Promise.all(
    makers.map((oid) =>
      image.send(oid, 'clone', { name: 'same' }).then(
        () => 'made',
        (error: unknown) => (error as { code: string }).code,
      ),
    ),
  );
  expect(made.filter((outcome) => outcome === 'made')).toHaveLength(1);
  expect(made.filter((outcome) => outcome === 'NAME_TAKEN')).toHaveLength(5);
});

test('the names that a turn lists are of the moment at which it counts, also while this host makes more', async () => {
  image = await Image.start(1);
  await image.send('genesis', 'clone', { name: 'registry', made: 0 });
  await image.send(
    'registry',
    'setMethod',
    'make',
    'async (self, name) => { await image.ref("genesis").clone({ name }); self.made += 1; }',
  );
  const look =
    'async () => { const names = await image.ref("lobby").slots(); return [names.filter((name) => /^x[0-9]/.test(name)).length, await image.ref("registry").made()]; }';
  const looks: Promise<unknown>[] = [];
  const makes: Promise<unknown>[] = [];
  for (let i = 0; i < 60; i++) {
    looks.push(image.send('', 'turn', look));
    makes.push(image.send('registry', 'make', `x${i}`));
    if (i % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  for (const [listed, made] of (await Promise.all(looks)) as [number, number][]) expect(listed).toBe(made);
  await Promise.all(makes);
  expect(await image.send('', 'turn', look)).toEqual([60, 60]);
}, 20_000);

test('clones of one prototype do not conflict, nor with writes to what they do not use', async () => {
  image = await Image.start(2);
  await image.send('genesis', 'clone', { name: 'proto', n: 0, other: 0 });
  await image.send('proto', 'setMethod', 'inc', INC);
  await image.send('proto', 'setMethod', 'touch', 'async (self) => void (self.other += 1)');
  const clones: string[] = [];
  for (let i = 0; i < 10; i++) clones.push(((await image.send('proto', 'clone', { n: 0 })) as RefTo).id);
  for (const oid of clones) await image.send(oid, 'inc');
  const before = image.total('conflicts');
  await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      i % 10 === 0 ? image.send('proto', 'touch') : image.send(clones[i % 10] as string, 'inc'),
    ),
  );
  expect(image.total('conflicts')).toBe(before);
});

test('a grant ends the starving of a wide turn (H4)', async () => {
  image = await Image.start(2, { host: { maxRetries: 2 } });
  const names = Array.from({ length: 6 }, (_, i) => `c${i}`);
  for (const name of names) await counter(name);
  let stop = false;
  const noise = names.map(async (name) => {
    while (!stop) await image.send(name, 'inc');
  });
  const wide =
    'async (names) => { for (const name of names) await image.ref(name).inc(1000); for (const name of names) await image.ref(name).n(); return true; }';
  for (let i = 0; i < 5; i++) expect(await image.send('', 'turn', wide, names)).toBe(true);
  stop = true;
  await Promise.all(noise);
}, 30_000);

test('least used objects are passivated and come back (O1, O2)', async () => {
  image = await Image.start(1, { host: { maxCachedObjects: 20 } });
  await counter('proto');
  const oids: string[] = [];
  for (let i = 0; i < 100; i++) oids.push(((await image.send('proto', 'clone', {})) as RefTo).id);
  for (let round = 1; round <= 2; round++) for (const oid of oids) expect(await image.send(oid, 'inc')).toBe(round);
  expect(image.total('objects')).toBeLessThanOrEqual(20);
  expect(image.total('actors')).toBeLessThanOrEqual(40);
}, 20_000);

test('a full mailbox answers BUSY, and nothing has happened (H5)', async () => {
  image = await Image.start(1, { host: { mailbox: 10, batch: 5 } });
  await counter('c');
  await Promise.all(Array.from({ length: 100 }, () => image.send('c', 'inc')));
  expect(await image.send('c', 'n')).toBe(100);
  expect(image.retried).toBeGreaterThan(0);
});

test('tell and after take effect once, after the commit', async () => {
  image = await Image.start(2);
  await counter('c');
  await image.send(
    '',
    'turn',
    "async () => { for (let i = 0; i < 10; i++) image.tell('c', 'inc'); image.after(20, 'c', 'inc', 100); }",
  );
  for (let i = 0; i < 400 && (await image.send('c', 'n')) !== 110; i++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  expect(await image.send('c', 'n')).toBe(110);
});

test('errors are answers: unknown, not understood, thrown', async () => {
  image = await Image.start();
  await expect(image.send('nobody', 'x')).rejects.toEqual(code('UNKNOWN_NAME'));
  await expect(image.send('#nothing', 'x')).rejects.toEqual(code('UNKNOWN_OBJECT'));
  await expect(image.send('genesis', 'gret')).rejects.toEqual(
    expect.objectContaining({ code: 'NOT_UNDERSTOOD', remedy: expect.stringContaining('greet') }),
  );
  await expect(image.send('pllm', 'infer_', 'x')).rejects.toEqual(code('UNAVAILABLE'));
  await expect(image.send('', 'turn', 'async () => { throw new RangeError("mine"); }')).rejects.toEqual(
    expect.objectContaining({ code: 'METHOD_FAILED', errorName: 'RangeError' }),
  );
});

test('history is answered by the kernel', async () => {
  image = await Image.start();
  await counter('c');
  await image.send('c', 'inc');
  const told = (await image.send('c', 'history')) as unknown[];
  expect(told.length).toBeGreaterThanOrEqual(3);
});

test('an orderly stop waits for what runs', async () => {
  image = await Image.start();
  await counter('c');
  for (let i = 0; i < 20; i++) void image.send('c', 'inc');
  while (image.total('messages') === 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise<void>((resolve) => image.hosts[0]!.host.stop(resolve));
  expect(image.total('messages')).toBe(0);
});
