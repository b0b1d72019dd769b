/**
 * Runs schedules: npm run sim -- [--seed N] [--runs N] [--events N] [--fault noGate] [--broken PART] [--until RULE] [--real-hosts] [--trace]. SIM_SEED=N is --seed N --runs 1.
 * Prints each failing seed with what it broke, and a last line of totals as JSON; exit code 1 when one failed.
 */
import { checkHistory } from './checker.js';
import { emptyHistory, type History } from './history.js';
import type { Broken } from './broken.js';
import { World, type ScheduleOptions } from './world.js';

const args = process.argv.slice(2);
const option = (name: string, standard: string): string => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? standard : (args[at + 1] ?? '');
};

// Stacks of errors that are answers cost a twentieth of a run.
if (!args.includes('--trace')) Error.stackTraceLimit = 0;
/** Shown of each broken rule. */
const SHOWN = 2;
const alone = process.env['SIM_SEED'];
const first = Number(alone ?? option('seed', '1'));
const runs = alone === undefined ? Number(option('runs', args.includes('--seed') ? '1' : '2000')) : 1;
const events = Number(option('events', '200'));
const fault = option('fault', '');
const stopAt = Number(option('stop-at', '5'));
/** Goes on until a schedule breaks this rule. */
const until = option('until', '');
const broken = option('broken', '') as Broken;
const realHosts = args.includes('--real-hosts');
const tracing = args.includes('--trace');

const options = (seed: number): ScheduleOptions => ({
  seed,
  events,
  faults: fault === '' ? {} : { [fault]: true },
  realHosts,
  broken,
  trace: tracing ? (line) => console.log(line) : null,
});

/** A process under test that throws has broken its promise to survive: the schedule runs again, to show where. */
async function runOrReport(world: World): Promise<History> {
  try {
    return await world.run();
  } catch (error) {
    const history = emptyHistory();
    const again =
      Error.stackTraceLimit > 0
        ? error
        : await new World(withStacks(world.options)).run().catch((thrown: unknown) => thrown);
    history.stuck = `threw ${again instanceof Error ? (again.stack ?? again.message) : String(error)}`;
    return history;
  }
}

function withStacks(schedule: ScheduleOptions): ScheduleOptions {
  Error.stackTraceLimit = 12;
  return schedule;
}

let faults = 0;
let failed = 0;
let turns = 0;
let answers = 0;
let requests = 0;
let questions = 0;
let strikes = 0;
const began = Date.now();
let seed = first;
let found = false;
for (; seed < first + runs && !found && (until !== '' || failed < stopAt); seed++) {
  const world = new World(options(seed));
  const history = await runOrReport(world);
  const violations = checkHistory(history);
  turns += history.turns.length;
  faults += world.faultsInjected;
  answers += history.requests.filter(({ outcome }) => outcome === 'answer').length;
  requests += history.requests.length;
  questions += history.told.length;
  strikes += history.losses.reduce((sum, { struck }) => sum + struck.length, 0);
  if (violations.length === 0) continue;
  failed++;
  found = violations.some(({ rule }) => rule === until);
  if (until !== '' && !found) continue;
  console.log(
    `seed ${seed} breaks ${violations.length} promises; alone again: SIM_SEED=${seed} npm run sim -- --events ${events}${fault === '' ? '' : ` --fault ${fault}`}${broken === '' ? '' : ` --broken ${broken}`}${realHosts ? ' --real-hosts' : ''}`,
  );
  const shown = violations.filter(
    ({ rule }, i) => violations.slice(0, i).filter((other) => other.rule === rule).length < SHOWN,
  );
  for (const { rule, message } of shown) console.log(`  ${rule}: ${message}`);
}
console.log(
  JSON.stringify({
    first,
    schedules: seed - first,
    events: events * (seed - first),
    faults,
    failed,
    requests,
    answers,
    turns,
    questions,
    strikes,
    ms: Date.now() - began,
  }),
);
process.exitCode = failed > 0 ? 1 : 0;
