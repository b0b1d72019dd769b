/** The client library against real processes: what it keeps up while they come, go and move. */
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, signal, telos, temporary, until, isAlive } from './support/processes.js';
import { join } from 'node:path';

afterAll(cleanUp);

const image = join(temporary(), 'image');

test('moved: an image that comes back on another port is found, with the session and what was not answered', async () => {
  let running = await Running.up(image);
  const { endpoint } = running;
  const driver = await Driver.connect({ image });
  await driver.run(async (one: RemoteImage) => {
    const counter = await one.actor('genesis').clone({ name: 'counter', n: 0 });
    await counter.setMethod('next', 'async (self) => { self.n = self.n + 1; return self.n }');
  });
  expect(await driver.send('counter', 'next')).toBe(1);
  await running.down();
  const waiting = driver.run((one: RemoteImage) => one.with({ deadlineMs: 60_000 }).actor('counter').next());
  running = await Running.up(image, ['--port', String(Number(endpoint.split(':').pop()) === 20_777 ? 20_778 : 20_777)]);
  expect(running.endpoint).not.toBe(endpoint);
  expect(await waiting).toBe(2);
  expect(await driver.send('counter', 'next')).toBe(3);
  await driver.close();
  await running.down();
});

test('crowd: more asks at once than the window holds are all answered', async () => {
  const running = await Running.up(image);
  const driver = await Driver.connect({ image });
  const sum = await driver.run(async (one: RemoteImage) => {
    await one.actor('counter').setSlot('n', 0);
    const answers = await Promise.all(Array.from({ length: 20_000 }, () => one.actor('counter').next()));
    return [new Set(answers).size, one.outstanding];
  });
  expect(sum).toEqual([20_000, 0]);
  expect(await driver.send('counter', 'n')).toBe(20_000);
  await driver.close();
  await running.down();
});

test('watching: notices come again after the kernel was killed, and say that some may be missing', async () => {
  const running = await Running.up(image);
  const [watcher, writer] = [await Driver.connect({ image }), await Driver.connect({ image })];
  await watcher.run((one: RemoteImage) => {
    const seen: boolean[] = [];
    (globalThis as Record<string, unknown>)['seen'] = seen;
    one.subscribe('counter', (notice: { gap: boolean }) => seen.push(notice.gap));
    return null;
  });
  const seen = (): Promise<boolean[]> => watcher.run(() => (globalThis as Record<string, unknown>)['seen']);
  const write = async (): Promise<boolean[]> => {
    await writer.send('counter', 'next');
    return seen();
  };
  await until('the first notice', async () => (await write()).length > 0);
  expect(await seen()).not.toContain(true);
  const kernel = await running.pid('kernel');
  signal(kernel, 'SIGKILL');
  await until('the kernel to be gone', () => !isAlive(kernel));
  await until('a notice after it', async () => (await write()).includes(true));
  await watcher.close();
  await writer.close();
  await running.down();
});

test('unreachable: with nobody left to ask, the deadline is kept and the outcome is unknown', async () => {
  const running = await Running.up(image);
  const driver = await Driver.connect({ image });
  await running.killAll();
  const begun = performance.now();
  const error = await driver.refusal(
    driver.run((one: RemoteImage) => one.with({ deadlineMs: 1500 }).actor('counter').next()),
  );
  expect(error.code).toBe('OUTCOME_UNKNOWN');
  expect(performance.now() - begun).toBeGreaterThan(1400);
  const down = await telos(['status', '--image', image]);
  expect([down.code, down.stderr]).toEqual([1, expect.stringContaining('NOT_RUNNING')]);
  await driver.close();
});
