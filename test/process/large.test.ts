/** What is too large for a frame, a host or the kernel as a whole, though each part of it is not: it comes, or is refused TOO_LARGE; nothing hangs. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, telos, temporary } from './support/processes.js';

const image = join(temporary(), 'image');
const MiB = 2 ** 20;
const OBJECTS = 256;
const PART = 70_000;
const DEADLINE_MS = 30_000;
let running: Running;
let driver: Driver;

async function up(): Promise<void> {
  running = await Running.up(image, ['--hosts', '1']);
  driver = await Driver.connect({ image });
}
async function down(): Promise<void> {
  await driver.close();
  await running.down();
}

beforeAll(async () => {
  await up();
  await driver.run(
    async (it: RemoteImage, count: number, part: number) => {
      const base = await it.actor('genesis').clone({ name: 'base', text: '' });
      const all: unknown[] = [];
      for (let i = 0; i < count; i++) all.push(await base.clone({ text: String(i).padStart(part, 'x') }));
      await base.clone({ name: 'shelf', all });
      return null;
    },
    OBJECTS,
    PART,
  );
});
afterAll(async () => {
  await down();
  expect((await telos(['verify', '--image', image])).code).toBe(0);
  await cleanUp();
});

/** 'ok' or the code of the error. */
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: unknown) => (error as { code: string }).code,
  );

test('object-with-big-slots: each fits, together they outgrow a frame; what was answered is there after a restart, the rest was refused TOO_LARGE', async () => {
  const fill = (name: string): Promise<string> =>
    codeOf(
      driver.run(
        (it: RemoteImage, slot: string, size: number, deadlineMs: number) =>
          it.with({ deadlineMs }).send('big', 'setSlot', slot, slot.repeat(size)),
        name,
        7 * MiB,
        DEADLINE_MS,
      ),
    );
  await driver.send('base', 'clone', { name: 'big' });
  const codes = { a: await fill('a'), b: await fill('b'), c: await fill('c') };
  expect(codes.a).toBe('ok');
  for (const code of Object.values(codes)) expect(['ok', 'TOO_LARGE']).toContain(code);
  expect(codes.c).toBe('TOO_LARGE');
  await down();
  await up();
  for (const [slot, code] of Object.entries(codes)) {
    const length = driver.run<number>(
      (it: RemoteImage, one: string, deadlineMs: number) =>
        it.with({ deadlineMs }).turn(`async (big) => (await big.${one}()).length`, it.ref('big')),
      slot,
      DEADLINE_MS,
    );
    if (code === 'ok') expect([slot, await length]).toEqual([slot, 7 * MiB]);
    else expect((await driver.refusal(length)).code).toBe('NOT_UNDERSTOOD');
  }
  await driver.send('big', 'setSlot', 'small', 1);
  expect(await driver.send('big', 'small')).toBe(1);
});

test('turn-that-makes-an-object-too-large: one turn of many slots is refused whole, its object is as before', async () => {
  const source = `async (base, size) => {
    const one = await base.clone({ name: 'heap' });
    for (const slot of ['a', 'b', 'c', 'd', 'e', 'f']) await one.setSlot(slot, slot.repeat(size));
  }`;
  const call = driver.run(
    (it: RemoteImage, text: string, size: number, deadlineMs: number) =>
      it.with({ deadlineMs }).turn(text, it.ref('base'), size),
    source,
    3 * MiB,
    DEADLINE_MS,
  );
  expect((await driver.refusal(call)).code).toBe('TOO_LARGE');
  expect((await driver.refusal(driver.send('heap', 'a'))).code).toBe('UNKNOWN_NAME');
});

test('many-passive-objects-at-once: 256 of 70 KB that no host has had since the restart, loaded by one turn, and by as many asks after another', async () => {
  const read = (): Promise<number> =>
    driver.run<number>(
      (it: RemoteImage, deadlineMs: number) =>
        it.with({ deadlineMs }).turn(
          `async (shelf) => {
            const texts = await Promise.all((await shelf.all()).map((one) => one.text()));
            return texts.reduce((sum, text) => sum + text.length, 0);
          }`,
          it.ref('shelf'),
        ),
      DEADLINE_MS,
    );
  expect(await read()).toBe(OBJECTS * PART);
  await down();
  await up();
  const asked = await driver.run<number>(async (it: RemoteImage, deadlineMs: number) => {
    const patient = it.with({ deadlineMs });
    const all = (await patient.send('shelf', 'all')) as unknown[];
    const texts: string[] = await Promise.all(all.map((one) => patient.send(one, 'text')));
    return texts.reduce((sum, text) => sum + text.length, 0);
  }, DEADLINE_MS);
  expect(asked).toBe(OBJECTS * PART);
});

test('questions-with-large-answers: inspect, history and journal of large objects are answered, or refused TOO_LARGE; the others go on', async () => {
  const questions = ['inspect', 'history', 'journal'] as const;
  for (const question of questions) {
    const code = await codeOf(
      driver.run(async (it: RemoteImage, what: string) => {
        if (what === 'journal') await it.journal(1, 1000);
        else await it[what]('big');
        return null;
      }, question),
    );
    expect([question, ['ok', 'TOO_LARGE'].includes(code) ? 'fine' : code]).toEqual([question, 'fine']);
  }
  const { code, stdout, stderr } = await telos(['inspect', 'big', '--image', image]);
  expect(code === 0 ? stdout : stderr).toMatch(code === 0 ? /small/ : /^TOO_LARGE/);
  expect(await driver.send('big', 'small')).toBe(1);
});
