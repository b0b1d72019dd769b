/** Processes that stop answering without dying (SIGSTOP): found by heartbeats, replaced or forgotten. */
import { join } from 'node:path';
import { allAnswer, audit, openAccounts, readBooks, startLoad, stopLoad } from './support/bank.js';
import { Driver } from './support/driver.js';
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
    const after = await readBooks(driver, names);
    const moved = {
      balance: after.balance,
      moves: Object.fromEntries(names.map((name) => [name, (after.moves[name] ?? 0) - (before.moves[name] ?? 0)])),
    };
    expect(audit(names, load, moved)).toEqual([]);
    expect(await running.pid(role)).not.toBe(pid);
  },
);

test('client-stopped: others go on meanwhile, and it goes on itself when it wakes', async () => {
  const second = await Driver.connect({ image: running.image });
  expect(await second.send('account0', 'balance')).toEqual(expect.any(Number));
  signal(second.pid, 'SIGSTOP');
  const asked = second.send('account1', 'moves');
  const end = performance.now() + 5000;
  while (performance.now() < end) await allAnswer(driver, names);
  signal(second.pid, 'SIGCONT');
  expect(await asked).toEqual(expect.any(Number));
  await second.close();
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
