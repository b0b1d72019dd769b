/** Processes that stop answering without dying (SIGSTOP): found by heartbeats, replaced or forgotten. */
import { join } from 'node:path';
import { allAnswer, audit, openAccounts, readBooks, startLoad, stopLoad, type Books } from './support/bank.js';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, isAlive, signal, temporary, until } from './support/processes.js';

let running: Running;
let driver: Driver;
let names: string[];

beforeAll(async () => {
  const image = join(temporary(), 'image');
  running = await Running.up(image, ['--hosts', '2']);
  driver = await Driver.connect({ image });
  names = await openAccounts(driver, 8);
});
afterAll(async () => {
  await driver.close();
  await running.down();
  await cleanUp();
});

const moved = (before: Books, { balance, moves }: Books): Books => ({
  balance,
  moves: Object.fromEntries(names.map((name) => [name, (moves[name] ?? 0) - (before.moves[name] ?? 0)])),
});

test.each(['host', 'kernel'])(
  '%s-stopped: it is found silent, killed and replaced; nothing answered is lost',
  async (role) => {
    const before = await readBooks(driver, names);
    await startLoad(driver, names, 16, 7);
    const pid = await running.pid(role);
    signal(pid, 'SIGSTOP');
    await until(`the stopped ${role} to be killed`, () => !isAlive(pid), 20_000);
    await allAnswer(driver, names);
    const load = await stopLoad(driver);
    expect(audit(names, load, moved(before, await readBooks(driver, names)))).toEqual([]);
    expect(await running.pid(role)).not.toBe(pid);
  },
);

const clients = (): Promise<number> =>
  driver.run<number>(async (image: RemoteImage) => (await image.status()).clients as number);

test('client-stopped: it is found silent and forgotten, others go on meanwhile; when it wakes it gets all its answers', async () => {
  const before = await readBooks(driver, names);
  const second = await Driver.connect({ image: running.image });
  await startLoad(second, names, 16, 8);
  expect(await clients()).toBe(2);
  signal(second.pid, 'SIGSTOP');
  await until('it to be forgotten', async () => (await clients()) === 1, 20_000);
  await allAnswer(driver, names);
  const asked = second.send('account1', 'moves');
  signal(second.pid, 'SIGCONT');
  expect(await asked).toEqual(expect.any(Number));
  expect(await clients()).toBe(2);
  expect(audit(names, await stopLoad(second), moved(before, await readBooks(driver, names)))).toEqual([]);
  await second.close();
  await until('it to be gone', async () => (await clients()) === 1);
});

test('all-stopped-and-woken: after a sleep of the whole machine nobody is taken for silent', async () => {
  const before = await running.status();
  const pids = before.processes.map(({ pid }) => pid).filter((pid) => pid > 0);
  for (const pid of pids) signal(pid, 'SIGSTOP');
  await new Promise((resolve) => setTimeout(resolve, 6000));
  for (const pid of pids) signal(pid, 'SIGCONT');
  await allAnswer(driver, names);
  const after = await running.status();
  expect(after.processes.map(({ pid }) => pid).sort()).toEqual(before.processes.map(({ pid }) => pid).sort());
});
