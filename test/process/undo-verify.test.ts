/** Undo restores exactly or refuses by name; verify passes on a sound image and names the place in one that was changed by hand. */
import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, telos, temporary, until } from './support/processes.js';

afterAll(cleanUp);

interface HistoryRow {
  readonly seq: number;
}

async function historyOf(image: string, name: string): Promise<HistoryRow[]> {
  const { stdout } = await telos(['history', name, '--json', '--image', image]);
  const parsed = JSON.parse(stdout) as HistoryRow[] | { turns: HistoryRow[] };
  return Array.isArray(parsed) ? parsed : parsed.turns;
}

test('undo: restores the slots exactly, and is refused with the later turns named where they depend on it', async () => {
  const image = join(temporary(), 'image');
  const running = await Running.up(image, ['--hosts', '1']);
  const driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    const doc = await it.actor('genesis').clone({ name: 'doc', text: 'first', tags: ['a', { deep: [1, 2] }] });
    await doc.setMethod(
      'edit',
      'async (self, text) => { self.text = text; self.tags = [text]; self.extra = 1; return self.text }',
    );
    await doc.edit('second');
    return null;
  });
  const second = Math.max(...(await historyOf(image, 'doc')).map(({ seq }) => seq));
  await driver.send('doc', 'edit', 'third');
  const third = Math.max(...(await historyOf(image, 'doc')).map(({ seq }) => seq));
  const refused = await telos(['undo', String(second), '--image', image]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('UNDO_REFUSED');
  expect(refused.stderr).toContain(String(third));
  expect((await telos(['undo', String(third), '--image', image])).code).toBe(0);
  expect((await telos(['undo', String(second), '--image', image])).code).toBe(0);
  expect(await driver.send('doc', 'text')).toBe('first');
  expect(await driver.send('doc', 'tags')).toEqual(['a', { deep: [1, 2] }]);
  expect((await driver.refusal(driver.send('doc', 'extra'))).code).toBe('NOT_UNDERSTOOD');
  await driver.close();
  await running.down();
  const verified = await telos(['verify', '--image', image]);
  expect(verified.code).toBe(0);
});

/** All that can be seen of the image: names, and of each object its names, contents and parents. Versions and attempts go on counting. */
interface Portrait {
  readonly names: [name: string, oid: string][];
  readonly objects: Record<string, { names: string[]; slots: [string, unknown][]; parents: [string, unknown][] }>;
}

const portrait = (driver: Driver, more: string[] = []): Promise<Portrait> =>
  driver.run<Portrait>(async (image: RemoteImage, others: string[]) => {
    interface Slot {
      slot: string;
      content: unknown;
    }
    const exact = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}n` : value);
    const contents = (slots: Slot[]): [string, string][] =>
      slots.map(({ slot, content }) => [slot, JSON.stringify(content, exact)]);
    const names = (await image.names()) as [string, string][];
    const objects: Record<string, object> = {};
    for (const oid of [...names.map(([, named]) => named), ...others]) {
      const {
        slots,
        parents,
        names: own,
      } = (await image.inspect(oid)) as Record<'slots' | 'parents', Slot[]> & {
        names: string[];
      };
      objects[oid] = { names: own, slots: contents(slots), parents: contents(parents) };
    }
    return { names, objects };
  }, more);

const lastSeq = async (driver: Driver): Promise<number> =>
  driver.run<number>(async (image: RemoteImage) => ((await image.journal(0, 1)) as HistoryRow[])[0]?.seq);

/** Runs a method body as one turn and answers its seq. */
async function turn(driver: Driver, body: string): Promise<number> {
  await driver.run((image: RemoteImage, source: string) => image.turn(source), `async () => { ${body} }`);
  return lastSeq(driver);
}

const undo = (driver: Driver, seq: number): Promise<unknown> =>
  driver.run((image: RemoteImage, which: number) => image.undo(which), seq);

describe('undo of whole turns', () => {
  let running: Running;
  let driver: Driver;

  beforeAll(async () => {
    running = await Running.up(join(temporary(), 'image'), ['--hosts', '2']);
    driver = await Driver.connect({ image: running.image });
    await turn(
      driver,
      `const make = (slots) => image.ref('genesis').clone(slots);
       await make({ name: 'first', who: 'first' });
       await make({ name: 'second', who: 'second' });
       const doc = await make({ name: 'doc', text: 'a', tags: ['a', { deep: [1, 2n, new Uint8Array([3])] }], gone: 'soon', peer: image.ref('first') });
       await doc.setSlot('aside*', image.ref('first'));
       await doc.setSlot('beside*', image.ref('second'));
       await doc.setMethod('greet', 'async () => "hello"', { description: 'greets' });
       await doc.setMethod('part', 'async () => "bye"');
       await doc.setMethod('edit', 'async (self, text) => { self.text = text; return self.text }');
       await image.ref('lobby').setSlot('alias', doc);
       await image.ref('lobby').setSlot('moving', image.ref('first'));
       await make({ name: 'diary', seen: '' });`,
    );
  });
  afterAll(async () => {
    await driver.close();
    await running.down();
    expect((await telos(['verify', '--image', running.image])).code).toBe(0);
  });

  const asks = (): Promise<unknown[]> =>
    Promise.all(['who', 'text', 'greet', 'part', 'parents'].map((selector) => driver.send('doc', selector)));

  test('slots, methods, parents, names, made objects and a timer: the whole image is as before; undone again, as after', async () => {
    const [before, answers] = [await portrait(driver), await asks()];
    const seq = await turn(
      driver,
      `const [doc, lobby] = [image.ref('doc'), image.ref('lobby')];
       await doc.edit('b');
       await doc.setSlot('tags', []);
       await doc.removeSlot('gone');
       await doc.setSlot('fresh', { a: 1 });
       await doc.setMethod('greet', 'async () => "hi"');
       await doc.removeSlot('part');
       await doc.setMethod('extra', 'async () => 1');
       await doc.removeSlot('aside*');
       await doc.setSlot('more*', image.ref('genesis'));
       await lobby.removeSlot('alias');
       await lobby.setSlot('moving', image.ref('second'));
       const made = await image.ref('genesis').clone({ name: 'made', of: doc });
       await made.setMethod('hello', 'async (self) => self.of');
       await doc.setSlot('peer', made);
       image.after(3_600_000, doc, 'edit', 'much later');`,
    );
    const [{ creates }] = await driver.run<[{ creates: [string] }]>(
      (image: RemoteImage, from: number) => image.journal(from, 1),
      seq,
    );
    const changed = await portrait(driver, creates);
    expect(changed).not.toEqual(before);
    expect(await driver.send('doc', 'who')).toBe('second');
    await undo(driver, seq);
    expect(await portrait(driver)).toEqual(before);
    expect(await asks()).toEqual(answers);
    await undo(driver, await lastSeq(driver));
    expect(await portrait(driver, creates)).toEqual(changed);
    await undo(driver, await lastSeq(driver));
    expect(await portrait(driver)).toEqual(before);
    expect(await asks()).toEqual(answers);
  });

  const CHANGE = `const [doc, lobby] = [image.ref('doc'), image.ref('lobby')];
    await doc.edit('c');
    await doc.removeSlot('gone');
    await doc.removeSlot('aside*');
    await doc.setMethod('greet', 'async () => "hi"');
    await lobby.removeSlot('alias');
    await lobby.setSlot('made', await image.create({ n: 1 }));`;
  const SAW = `await image.ref('diary').setSlot('seen', String(saw));`;
  test.each([
    ['wrote a slot', `await image.ref('doc').edit('d');`, 'wrote|read'],
    ['read a slot', `const saw = await image.ref('doc').text(); ${SAW}`, 'read'],
    ['ran a method', `const saw = await image.ref('doc').greet(); ${SAW}`, 'read'],
    ['missed a slot', `const saw = (await image.ref('doc').slots()).includes('gone'); ${SAW}`, 'read'],
    ['looked in the parents', `const saw = await image.ref('doc').who(); ${SAW}`, 'read'],
    ['missed a name', `const saw = (await image.get('alias')) === undefined; ${SAW}`, 'read the name alias'],
    ['listed the names', `const saw = (await image.ref('lobby').slots()).length; ${SAW}`, 'listed the slots of #lobby'],
    ['used a made object', `const saw = await image.ref('made').n(); ${SAW}`, 'read'],
  ])('a later turn that %s is named; when it is undone too, all is as before', async (_what, body, why) => {
    const before = await portrait(driver);
    const seq = await turn(driver, CHANGE);
    const later = await turn(driver, body);
    const error = await driver.refusal(undo(driver, seq));
    expect(error.code).toBe('UNDO_REFUSED');
    expect(error.message).toMatch(new RegExp(`1 later turn depends on it: ${later} \\(turn (${why})`));
    await undo(driver, later);
    await undo(driver, seq);
    expect(await portrait(driver)).toEqual(before);
  });

  test('a reference to a made object that a client carried to another object', async () => {
    const before = await portrait(driver);
    const seq = await turn(driver, CHANGE);
    const [, oid] = (await portrait(driver)).names.find(([name]) => name === 'made') as [string, string];
    await driver.run((image: RemoteImage, to: string) => image.send('diary', 'setSlot', 'seen', image.ref(to)), oid);
    const later = await lastSeq(driver);
    const error = await driver.refusal(undo(driver, seq));
    expect([error.code, error.message]).toEqual(['UNDO_REFUSED', expect.stringContaining(`it: ${later} (`)]);
    await undo(driver, later);
    await undo(driver, seq);
    expect(await portrait(driver)).toEqual(before);
  });

  test('a message that the turn sent: refused by its number once it is handled', async () => {
    const seq = await turn(
      driver,
      `image.tell(image.ref('doc'), 'edit', 'told'); await image.ref('diary').setSlot('seen', 'x');`,
    );
    await until('the message to be handled', async () => (await driver.send('doc', 'text')) === 'told');
    const before = await portrait(driver);
    const error = await driver.refusal(undo(driver, seq));
    expect([error.code, error.message]).toEqual([
      'UNDO_REFUSED',
      expect.stringMatching(/outbox message \d+ is handled/),
    ]);
    expect(await portrait(driver)).toEqual(before);
  });
});

function flip(file: string, at: number): void {
  const handle = openSync(file, 'r+');
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 0x10;
  writeSync(handle, byte, 0, 1, at);
  closeSync(handle);
}

test('verify: 0 on a sound image, 1 with the place named after a byte was changed by hand; the damaged image is not served', async () => {
  const image = join(temporary(), 'image');
  const running = await Running.up(image, ['--hosts', '1']);
  const driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    await it.actor('genesis').clone({ name: 'doc', text: '' });
    for (let i = 0; i < 50; i++) await it.send('doc', 'setSlot', 'text', `line ${i} `.repeat(20));
    return null;
  });
  await driver.close();
  await running.down();
  expect((await telos(['verify', '--image', image])).code).toBe(0);
  const journal = join(image, 'journal');
  const files = readdirSync(journal).filter((name) => /^\d+\.(log|sst)$/.test(name));
  const largest = files
    .map((name) => join(journal, name))
    .sort((a, b) => statSync(b).size - statSync(a).size)[0] as string;
  const before = readFileSync(largest);
  flip(largest, Math.floor(before.length / 2));
  const damaged = await telos(['verify', '--image', image]);
  expect(damaged.code).toBe(1);
  expect(damaged.stdout + damaged.stderr).toMatch(/DAMAGED|damaged/);
  const served = await telos(['up', '--image', image], { ms: 30_000 });
  expect(served.code).toBe(1);
  expect(served.stdout + served.stderr).toContain('DAMAGED');
  flip(largest, Math.floor(before.length / 2));
  expect((await telos(['verify', '--image', image])).code).toBe(0);
});
