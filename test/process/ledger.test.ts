/** The main job on real input: examples/ledger as its README runs it, with a host killed half-way. */
import { join } from 'node:path';
import { ROOT, cleanUp, run, temporary } from './support/processes.js';

afterAll(cleanUp);

test('ledger: seven million flights are booked over two hosts, one is killed, and every total agrees with the file', async () => {
  const image = join(temporary(), 'image');
  const ledger = (...more: string[]) =>
    run(process.execPath, [join(ROOT, 'dist/examples/ledger/main.js'), '--image', image, '--hosts', '2', ...more], {
      ms: 170_000,
    });
  const outcome = await ledger();
  expect(outcome.stdout).toContain('killed host');
  expect(outcome.stdout).toContain('departed 7009728, arrived 7009728, routes 5366, sum of balances 0');
  expect(outcome.stdout).toContain('the ledger agrees with the file');
  expect(outcome.code).toBe(0);

  const again = await ledger('--no-kill');
  expect(again.stdout).toContain('an earlier run has left 7009728 flights');
  expect(again.stdout).toContain('departed 7009728, arrived 7009728, routes 5366, sum of balances 0');
  expect(again.code).toBe(0);
});
