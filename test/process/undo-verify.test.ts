/** Undo restores exactly or refuses by name; verify passes on a sound image and names the place in one that was changed by hand. */
import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, telos, temporary } from './support/processes.js';

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
