/**
 * Runs schedules: npm run sim -- [--seed N] [--runs N] [--events N] [--fault noGate] [--trace]. SIM_SEED=N is --seed N --runs 1.
 * Prints each failing seed with what it broke, and a last line of totals as JSON; exit code 1 when one failed.
 */
import { checkHistory } from './checker.js';
import { World } from './world.js';

const args = process.argv.slice(2);
const option = (name: string, standard: string): string => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? standard : (args[at + 1] ?? '');
};

const SHOWN = 6;
const alone = process.env['SIM_SEED'];
const first = Number(alone ?? option('seed', '1'));
const runs = alone === undefined ? Number(option('runs', args.includes('--seed') ? '1' : '2000')) : 1;
const events = Number(option('events', '200'));
const fault = option('fault', '');
const stopAt = Number(option('stop-at', '5'));
const tracing = args.includes('--trace');

let failed = 0;
let turns = 0;
let answers = 0;
let requests = 0;
const began = Date.now();
let seed = first;
for (; seed < first + runs && failed < stopAt; seed++) {
  const world = new World({ seed, events, faults: fault === '' ? {} : { [fault]: true }, trace: tracing ? (line) => console.log(line) : null });
  const history = world.run();
  const violations = checkHistory(history);
  turns += history.turns.length;
  answers += history.requests.filter(({ outcome }) => outcome === 'answer').length;
  requests += history.requests.length;
  if (violations.length === 0) continue;
  failed++;
  console.log(`seed ${seed} breaks ${violations.length} promises; alone again: SIM_SEED=${seed} npm run sim -- --events ${events}${fault === '' ? '' : ` --fault ${fault}`}`);
  for (const { rule, message } of violations.slice(0, SHOWN)) console.log(`  ${rule}: ${message}`);
}
console.log(JSON.stringify({ first, schedules: seed - first, failed, requests, answers, turns, ms: Date.now() - began }));
process.exitCode = failed > 0 ? 1 : 0;
