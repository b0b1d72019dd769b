/** A full disk: a clear error, reading goes on, writing comes back by itself once there is room, and nothing answered is lost. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Driver } from './support/driver.js';
import { Running, cleanUp, telos, temporary, until } from './support/processes.js';

/** A volume of its own, small enough to be filled in a moment. */
const VOLUME_MIB = 192;
const volume = mountVolume();
const onVolume = volume === null ? test.skip : test;

function mountVolume(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null;
  const dir = join(temporary(), 'volume');
  mkdirSync(dir);
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${VOLUME_MIB}m`, 'tmpfs', dir]).status === 0 ? dir : null;
}

afterAll(async () => {
  if (volume !== null) spawnSync('umount', ['-l', volume]);
  await cleanUp();
});

const filler = (): string => join(volume ?? '', 'filler');

/** Leaves nothing. */
function fill(): void {
  const fd = openSync(filler(), 'a');
  const chunk = Buffer.alloc(64 * 1024, 1);
  try {
    while (writeSync(fd, chunk) > 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    closeSync(fd);
  }
  expect(statfsSync(volume ?? '').bavail).toBe(0);
}

onVolume(
  'disk-full: writes get DISK_FULL, reads go on, a start finds it so, room brings writing back [needs a mount]',
  async () => {
    const image = join(volume ?? '', 'image');
    let running = await Running.up(image, ['--hosts', '1']);
    let driver = await Driver.connect({ image });
    await driver.run(async (one) => {
      const box = await one.actor('genesis').clone({ name: 'box', count: 0 });
      await box.setMethod(
        'add',
        'async (self, data) => { self.data = data; self.count = self.count + 1; return self.count }',
      );
    });
    const add = (bytes: number): Promise<number> => driver.send<number>('box', 'add', 'x'.repeat(bytes));
    expect(await add(10)).toBe(1);
    fill();

    let answered = 1;
    const refusal = await until(
      'a write to be refused',
      async () => {
        try {
          answered = Math.max(answered, await add(500_000));
          return undefined;
        } catch (error) {
          return error as { code: string };
        }
      },
      60_000,
    );
    expect(refusal.code).toBe('DISK_FULL');
    const counted = await driver.send<number>('box', 'count');
    expect(counted).toBe(answered);

    await driver.close();
    await running.killAll();
    running = await Running.up(image, ['--hosts', '1']);
    driver = await Driver.connect({ image });
    expect(await driver.send('box', 'count')).toBe(counted);
    expect((await driver.refusal(add(10))).code).toBe('DISK_FULL');
    expect((await running.status()).processes.every(({ state }) => state === 'running')).toBe(true);

    rmSync(filler());
    await until('writing to come back', () => add(10).catch(() => 0), 30_000);
    expect(await driver.send('box', 'count')).toBeGreaterThan(counted);
    await driver.close();
    await running.down();
    const verified = await telos(['verify', '--image', image]);
    expect(verified).toMatchObject({ code: 0 });
  },
  180_000,
);

onVolume('disk-full-at-the-first-start: DISK_FULL, exit code 1 [needs a mount]', async () => {
  fill();
  const { code, stderr } = await telos(['up', '--image', join(volume ?? '', 'other')]);
  rmSync(filler());
  expect(code).toBe(1);
  expect(stderr).toMatch(/^DISK_FULL: .+\n.+/);
});
