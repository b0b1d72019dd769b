/**
 * The random schedules, in processes of their own (the kernel's imports reach native add-ons, which jest must not load). A failing seed
 * is printed and can be run alone: SIM_SEED=N npm run sim -- --trace
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BROKEN } from './broken.js';

/** On a busy machine a run takes minutes; nothing in it waits. */
const TEST_MS = 1_800_000;

const FOLDER = dirname(fileURLToPath(import.meta.url));
const SCHEDULES = Number(process.env['SIM_RUNS'] ?? 2000);
const WITH_REAL_HOSTS = Math.ceil(SCHEDULES / 20);
const EVENTS = 200;

interface Totals {
  readonly schedules: number;
  readonly events: number;
  readonly faults: number;
  readonly failed: number;
  readonly requests: number;
  readonly answers: number;
  readonly questions: number;
  readonly strikes: number;
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

/** Runs seeds 1 to `count`, shared out over the cores. */
async function simulateAll(count: number, ...more: string[]): Promise<Outcome[]> {
  const parts = Math.max(1, Math.min(8, availableParallelism()));
  const share = Math.ceil(count / parts);
  const starts = Array.from({ length: parts }, (_, i) => 1 + i * share);
  return Promise.all(
    starts.map((seed) => simulate('--seed', `${seed}`, '--runs', `${share}`, '--events', `${EVENTS}`, ...more)),
  );
}

function expectSound(outcomes: readonly Outcome[], count: number): void {
  const failures = outcomes.filter(({ totals }) => totals.failed > 0).map(({ output }) => output);
  expect(failures).toEqual([]);
  expect(sum(outcomes, 'schedules')).toBeGreaterThanOrEqual(count);
  // A simulation in which nothing works proves nothing.
  expect(sum(outcomes, 'answers')).toBeGreaterThan(0.7 * sum(outcomes, 'requests'));
  expect(sum(outcomes, 'questions')).toBeGreaterThan(0.04 * sum(outcomes, 'requests'));
  expect(sum(outcomes, 'strikes')).toBeGreaterThan(count / 2);
  expect(sum(outcomes, 'faults')).toBeGreaterThan(0.08 * sum(outcomes, 'events'));
}

test(
  `${SCHEDULES} schedules of ${EVENTS} events, one in ten a fault, break no promise`,
  async () => {
    expectSound(await simulateAll(SCHEDULES), SCHEDULES);
  },
  TEST_MS,
);

test(
  `nor do ${WITH_REAL_HOSTS} with the real host core in place of the model`,
  async () => {
    expectSound(await simulateAll(WITH_REAL_HOSTS, '--real-hosts'), WITH_REAL_HOSTS);
  },
  TEST_MS,
);

describe('with a safety switched off the simulation finds a violation:', () => {
  test.each([
    ['noValidation', 'serializability'],
    ['noGate', 'gate'],
    // What is told to those who ask the kernel itself must wait at the gate too.
    ['noGate', 'question'],
    ['noFencing', 'fencing'],
    ['noSavedReplies', 'once'],
  ])(
    '%s: %s',
    async (fault, rule) => {
      const { totals, output } = await simulate('--fault', fault, '--runs', String(SCHEDULES), '--until', rule);
      expect(totals.failed).toBeGreaterThan(0);
      expect(output).toContain(`  ${rule}: `);
    },
    TEST_MS,
  );
});

describe('with something broken on purpose it finds that too:', () => {
  test.each(Object.entries(BROKEN))(
    '%s: %s',
    async (broken, rule) => {
      const { output } = await simulate('--broken', broken, '--runs', String(SCHEDULES), '--until', rule);
      expect(output).toContain(`  ${rule}: `);
    },
    TEST_MS,
  );
});

test(
  'one seed is one schedule: run twice it gives the same totals',
  async () => {
    const [first, second, real, again] = await Promise.all(
      [[], [], ['--real-hosts'], ['--real-hosts']].map((more) => simulate('--seed', '7', ...more)),
    );
    expect({ ...second?.totals, ms: 0 }).toEqual({ ...first?.totals, ms: 0 });
    expect({ ...again?.totals, ms: 0 }).toEqual({ ...real?.totals, ms: 0 });
  },
  TEST_MS,
);
