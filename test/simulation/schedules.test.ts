/**
 * The random schedules, in processes of their own (the kernel's imports reach native add-ons, which jest must not load). A failing seed
 * is printed and can be run alone: SIM_SEED=N npm run sim -- --trace
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const FOLDER = dirname(fileURLToPath(import.meta.url));
const SCHEDULES = Number(process.env['SIM_RUNS'] ?? 2000);
const EVENTS = 200;

interface Totals {
  readonly schedules: number;
  readonly events: number;
  readonly faults: number;
  readonly failed: number;
  readonly requests: number;
  readonly answers: number;
}

interface Outcome {
  readonly totals: Totals;
  readonly output: string;
}

function simulate(...args: string[]): Promise<Outcome> {
  const loader = pathToFileURL(join(FOLDER, 'register.mjs')).href;
  const node = ['--max-semi-space-size=64', '--import', loader, join(FOLDER, 'main.ts'), ...args];
  const child = spawn(process.execPath, node, { stdio: ['ignore', 'pipe', 'pipe'], windowsHide: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      const last = output.trimEnd().split('\n').at(-1) ?? '';
      if (last.startsWith('{"first"')) resolve({ totals: JSON.parse(last) as Totals, output });
      else reject(new Error(`the simulation ended without totals:\n${output}`));
    });
  });
}

const sum = (outcomes: readonly Outcome[], of: keyof Totals): number =>
  outcomes.reduce((total, { totals }) => total + totals[of], 0);

test(`${SCHEDULES} schedules of ${EVENTS} events, one in ten a fault, break no promise`, async () => {
  const parts = Math.max(1, Math.min(8, availableParallelism()));
  const share = Math.ceil(SCHEDULES / parts);
  const starts = Array.from({ length: parts }, (_, i) => 1 + i * share);
  const outcomes = await Promise.all(
    starts.map((seed) => simulate('--seed', String(seed), '--runs', String(share), '--events', String(EVENTS))),
  );
  const failures = outcomes.filter(({ totals }) => totals.failed > 0).map(({ output }) => output);
  expect(failures).toEqual([]);
  expect(sum(outcomes, 'schedules')).toBeGreaterThanOrEqual(SCHEDULES);
  // A simulation in which nothing works proves nothing.
  expect(sum(outcomes, 'answers')).toBeGreaterThan(0.7 * sum(outcomes, 'requests'));
  expect(sum(outcomes, 'faults')).toBeGreaterThan(0.08 * sum(outcomes, 'events'));
});

describe('with a safety switched off the simulation finds a violation:', () => {
  test.each([
    ['noValidation', 'serializability'],
    ['noGate', 'gate'],
    ['noFencing', 'fencing'],
    ['noSavedReplies', 'once'],
  ])('%s', async (fault, rule) => {
    const { totals, output } = await simulate('--fault', fault, '--runs', String(SCHEDULES), '--stop-at', '1');
    expect(totals.failed).toBe(1);
    expect(output).toContain(`  ${rule}: `);
  });
});

test('one seed is one schedule: run twice it gives the same totals', async () => {
  const [first, second] = await Promise.all([simulate('--seed', '7'), simulate('--seed', '7')]);
  expect({ ...first.totals, ms: 0 }).toEqual({ ...second.totals, ms: 0 });
});
