/** What was with a host when it died runs again apart from the others; the host for it comes and goes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, isAlive, signal, temporary, until, type Row } from './support/processes.js';

const BOARD = 200;

let running: Running;
let driver: Driver;

beforeAll(async () => {
  const home = temporary();
  const config = join(home, 'config.json');
  writeFileSync(config, JSON.stringify({ supervisor: { quarantine_idle_ms: 300 } }));
  running = await Running.up(join(home, 'image'), ['--hosts', '1'], { env: { TELOS_CONFIG: config } });
  driver = await Driver.connect({ image: running.image });
  await driver.run(async (image: RemoteImage) => {
    const counter = await image.actor('genesis').clone({ name: 'counter', count: 0 });
    await counter.setMethod('add', 'async (self) => { self.count = self.count + 1; return self.count }');
  });
});
afterAll(async () => {
  await driver.close();
  await running.down();
  await cleanUp();
});

const quarantineOf = async (): Promise<Row | undefined> =>
  (await running.status()).processes.find(({ name }) => name === 'quarantine');

test('host-stopped-with-messages-on-board: they are answered from quarantine, once each; the host for it is stopped when idle', async () => {
  const host = await running.pid('host');
  signal(host, 'SIGSTOP');
  const answers = driver.run<number[]>(
    (image: RemoteImage, size: number) =>
      Promise.all(Array.from({ length: size }, () => image.with({ deadlineMs: 60_000 }).send('counter', 'add'))),
    BOARD,
  );
  const seen = await until('the quarantine host', quarantineOf);
  expect((await answers).sort((a, b) => a - b)).toEqual(Array.from({ length: BOARD }, (_, i) => i + 1));
  await until('the quarantine host to go', async () => (await quarantineOf()) === undefined);
  expect(isAlive(seen.pid)).toBe(false);
  const { processes } = await running.status();
  expect(processes.find(({ name }) => name === 'host-1')).toMatchObject({ state: 'running', restarts: 1 });
});
