/** Somebody sets the wall clock of the machine while an image is served: deadlines and heartbeats go on as before. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Driver, type RemoteImage } from './support/driver.js';
import { ROOT, Running, cleanUp, temporary, until } from './support/processes.js';

const HOUR = 3_600_000;
const CLOCK = pathToFileURL(join(ROOT, 'test/fixtures/settable-clock.mjs')).href;

afterAll(cleanUp);

test.each([-HOUR, HOUR])(
  'by %i ms: a deadline passes in its time, a stopped host is found by its silence, a timer follows the wall',
  async (skew) => {
    const home = temporary();
    const file = join(home, 'clock');
    const env = { NODE_OPTIONS: `--import ${CLOCK}`, TELOS_TEST_CLOCK: file };
    const running = await Running.up(join(home, 'image'), ['--hosts', '1'], { env });
    const driver = await Driver.connect({ image: running.image });
    await driver.run(async (image: RemoteImage) => {
      const doc = await image.actor('genesis').clone({ name: 'doc', rung: 0 });
      await doc.setMethod('ring', 'async (self) => { self.rung = self.rung + 1; }');
      return null;
    });
    await driver.run((image: RemoteImage) => image.after(1_800_000, 'doc', 'ring'));
    writeFileSync(file, String(skew));
    const seen = (): Promise<number> =>
      driver.run<number>(async (image: RemoteImage) => {
        await image.send('doc', 'setSlot', 'seen', 1);
        const [last] = (await image.journal(0, 1)) as [{ time: number }];
        return last.time;
      });
    await until(
      'the wall clock to show in the journal',
      async () => Math.abs((await seen()) - Date.now() - skew) < 60_000,
    );
    process.kill(await running.pid('host'), 'SIGSTOP');
    const start = performance.now();
    const late = driver.run((image: RemoteImage) => image.with({ deadlineMs: 400 }).send('doc', 'seen'));
    expect((await driver.refusal(late)).code).toBe('DEADLINE');
    expect(await driver.send('doc', 'seen')).toBe(1);
    expect(performance.now() - start).toBeLessThan(60_000);
    if (skew > 0) await until('the timer that is due by now', async () => (await driver.send('doc', 'rung')) === 1);
    else expect(await driver.send('doc', 'rung')).toBe(0);
    await driver.close();
    await running.down();
  },
);
