/** kill -9 of everything at once, and of the guardian alone, at random moments under load. */
import { cleanUp, ended, isAlive, signal, until } from './support/processes.js';
import { storm, summary, type StormSetting } from './support/storm.js';

afterAll(cleanUp);

async function killGuardian({ running, again }: StormSetting): Promise<void> {
  const { processes } = await running.status();
  const guardian = processes.find(({ role }) => role === 'guardian');
  signal(guardian?.pid ?? running.child.pid ?? 0, 'SIGKILL');
  await ended(running.child);
  await again();
  await until('what the dead guardian had started to end', () =>
    processes.every(({ pid }) => pid <= 0 || !isAlive(pid)),
  );
}

test('all-killed-at-once-under-load: 20 times; `telos up` finds every answered move, and the clients go on', async () => {
  const result = await storm({
    kills: 20,
    strike: async ({ running, again }) => {
      await running.killAll();
      await again();
    },
  });
  process.stderr.write(`${summary(result)}\n`);
  expect(result.wrong).toEqual([]);
  expect(result.moves).toBeGreaterThan(200);
}, 600_000);

test('guardian-killed-under-load: 20 times; what it had started ends, `telos up` works at once, nothing answered is lost', async () => {
  const result = await storm({ kills: 20, strike: killGuardian });
  process.stderr.write(`${summary(result)}\n`);
  expect(result.wrong).toEqual([]);
  expect(result.moves).toBeGreaterThan(200);
}, 600_000);
