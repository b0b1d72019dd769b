/** kill -9 of hosts at random moments under load. */
import { cleanUp } from './support/processes.js';
import { killOne, storm, summary } from './support/storm.js';

afterAll(cleanUp);

const RECOVERY_MS = 2000;

test('host-killed-under-load: 100 times; no answered move is lost, none is done twice, all is answered again within 2 s', async () => {
  const result = await storm({ kills: 100, strike: (setting) => killOne(setting, 'host') });
  process.stderr.write(`${summary(result)}\n`);
  expect(result.wrong).toEqual([]);
  expect(result.moves).toBeGreaterThan(500);
  expect(Math.max(...result.recoveries)).toBeLessThan(RECOVERY_MS);
}, 600_000);
