/** kill -9 of hosts, the quarantine host among them, and of clients, at random moments under load. */
import { cleanUp, isAlive, signal, until } from './support/processes.js';
import { killOne, rowsOf, storm, summary, type StormSetting } from './support/storm.js';

afterAll(cleanUp);

const RECOVERY_MS = 2000;

test('host-killed-under-load: 90 times; no answered move is lost, none is done twice, all is answered again within 2 s', async () => {
  const result = await storm({ kills: 90, strike: (setting) => killOne(setting, 'host') });
  process.stderr.write(`${summary(result)}\n`);
  expect(result.wrong).toEqual([]);
  expect(result.moves).toBeGreaterThan(500);
  expect(Math.max(...result.recoveries)).toBeLessThan(RECOVERY_MS);
}, 600_000);

/** A host dies, and the quarantine host with what it had begun; then, now and then, a client in the middle of its moves. */
async function killQuarantine({ driver, random, killClient }: StormSetting): Promise<void> {
  const hosts = (await rowsOf(driver)).filter(({ role, pid }) => role === 'host' && pid > 0);
  signal(hosts[random(hosts.length)]?.pid ?? 0, 'SIGKILL');
  const quarantine = await until('the quarantine host', async () =>
    (await rowsOf(driver)).find(({ role, pid, state }) => role === 'quarantine' && pid > 0 && state === 'running'),
  );
  await new Promise((resolve) => setTimeout(resolve, random(20)));
  signal(quarantine.pid, 'SIGKILL');
  await until('it to be gone', () => !isAlive(quarantine.pid));
  if (random(2) === 0) await killClient();
}

test('quarantine-host-and-clients-killed-under-load: 25 times; what was on board twice is answered, what a dead client was answered is there', async () => {
  const result = await storm({ kills: 25, strike: killQuarantine, victims: true });
  process.stderr.write(`${summary(result)}\n`);
  expect(result.wrong).toEqual([]);
  expect(result.moves).toBeGreaterThan(200);
}, 600_000);
