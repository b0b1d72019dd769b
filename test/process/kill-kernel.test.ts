/** kill -9 of the kernel at random moments under load. */
import { cleanUp } from './support/processes.js';
import { killOne, storm, summary } from './support/storm.js';

afterAll(cleanUp);

const RECOVERY_MS = 3000;

test('kernel-killed-under-load: 50 times; no answered move is lost, none is done twice, all is answered again within 3 s', async () => {
  const result = await storm({ kills: 50, strike: (setting) => killOne(setting, 'kernel') });
  process.stderr.write(`${summary(result)}\n`);
  expect(result.wrong).toEqual([]);
  expect(result.moves).toBeGreaterThan(500);
  expect(Math.max(...result.recoveries)).toBeLessThan(RECOVERY_MS);
}, 600_000);
