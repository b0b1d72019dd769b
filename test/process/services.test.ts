/** A service worker: supervised as data, asked by turns, awaited without holding anything up, and its answers recorded. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { ROOT, Running, cleanUp, pidsWith, signal, temporary, until } from './support/processes.js';

const home = temporary();
const image = join(home, 'image');
let running: Running;
let driver: Driver;

interface Served {
  readonly op: string;
  readonly by: number;
  readonly key: string;
}

beforeAll(async () => {
  const config = join(home, 'config.json');
  const module = join(ROOT, 'test/fixtures/memory-service.mjs');
  writeFileSync(config, JSON.stringify({ supervisor: { services: [{ role: 'memory', module }] } }));
  running = await Running.up(image, ['--hosts', '1'], { env: { TELOS_CONFIG: config } });
  driver = await Driver.connect({ image });
  await until('the service', async () =>
    (await running.status()).processes.some(({ role, state }) => role === 'memory' && state === 'running'),
  );
  await driver.run(async (one: RemoteImage) => {
    const asker = await one.actor('genesis').clone({ name: 'asker', asked: 0 });
    const source =
      'async (self, ms) => { const answer = await self.memory.search("x", ms); self.asked = self.asked + 1; return answer }';
    await asker.setSlot('memory', one.ref('memory'));
    await asker.setMethod('ask', source);
  });
});
afterAll(async () => {
  await driver.close();
  await running.down();
  expect(pidsWith(home)).toEqual([]);
  await cleanUp();
});

const ask = (ms: number): Promise<Served> => driver.send<Served>('asker', 'ask', ms);

test('service-asked: the answer comes from its worker', async () => {
  expect(await ask(0)).toMatchObject({ op: 'search', by: await running.pid('memory') });
});

test('service-slower-than-a-turn-may-run: the wait stops the clock of the turn', async () => {
  expect(await ask(2500)).toMatchObject({ op: 'search' });
});

test('object-that-waits-for-a-service: answers others meanwhile', async () => {
  const slow = ask(3000);
  const begun = performance.now();
  expect(await driver.send('asker', 'asked')).toEqual(expect.any(Number));
  expect(performance.now() - begun).toBeLessThan(2000);
  await slow;
});

test('host-killed-while-it-waits: the run anew gets the answer of the first request', async () => {
  const count = await driver.send<number>('asker', 'asked');
  const slow = ask(1500);
  await until(
    'the request to be under way',
    async () => ((await running.status())['queues'] as { inFlight: number }).inFlight > 0,
  );
  signal(await running.pid('host'), 'SIGKILL');
  expect(await slow).toMatchObject({ op: 'search' });
  expect(await driver.send('asker', 'asked')).toBe(count + 1);
});

test('service-that-dies: what it was asked is UNAVAILABLE, it is restarted and asked again', async () => {
  const before = await running.pid('memory');
  const refused = await driver.refusal(driver.send('memory', 'search', 'die'));
  expect(refused.code).toBe('UNAVAILABLE');
  expect(refused.remedy).not.toBe('');
  const after = await until('an answer of another life', () => ask(0).catch(() => undefined));
  expect(after.by).not.toBe(before);
  const row = (await running.status()).processes.find(({ role }) => role === 'memory');
  expect(row).toMatchObject({ name: 'memory', restarts: 1, state: 'running' });
});

test('service-that-nobody-serves: UNAVAILABLE with the remedy', async () => {
  const refused = await driver.refusal(driver.send('backup', 'now'));
  expect(refused).toMatchObject({ code: 'UNAVAILABLE', remedy: expect.stringContaining('telos') });
});
