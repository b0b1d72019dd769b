/**
 * `npm test`: installs and builds where needed, then runs the projects of jest.config.mjs and adds them up.
 *
 *     node ops/test.mjs [--no-prepare] [unit] [simulation] [process] [-- arguments for jest]
 *
 * A test that needs something this machine lacks is skipped and says so in its name: `… [needs tmux]`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare, root } from './prepare.mjs';

const PROJECTS = ['unit', 'simulation', 'process'];
/** Real processes share the machine with nothing else; workers would make their deadlines lie. */
const ONE_AT_A_TIME = ['process'];

const [own, forJest] = split(process.argv.slice(2));
const chosen = PROJECTS.filter((name) => own.includes(name));

function split(args) {
  const end = args.indexOf('--');
  return end < 0 ? [args, []] : [args.slice(0, end), args.slice(end + 1)];
}

function jest(project, report) {
  const args = ['--experimental-vm-modules', '--no-warnings', join(root, 'node_modules/jest/bin/jest.js')];
  args.push('--selectProjects', project, '--json', `--outputFile=${report}`, '--passWithNoTests', ...forJest);
  if (ONE_AT_A_TIME.includes(project)) args.push('--runInBand');
  return (
    spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'], windowsHide: true })
      .status === 0
  );
}

/** passed, failed and the names of skipped tests; a file that did not even load counts as one failed test. */
function read(report, ok) {
  let results;
  try {
    results = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: [] };
  }
  const broken = results.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((one) => one.status === 'failed'),
  );
  const skipped = results.testResults.flatMap((file) =>
    file.assertionResults.filter((one) => ['pending', 'todo'].includes(one.status)),
  );
  const failed = results.numFailedTests + broken.length;
  return {
    passed: results.numPassedTests,
    failed: failed === 0 && !ok ? 1 : failed,
    skipped: skipped.map((one) => one.fullName),
  };
}

function runAll() {
  const folder = mkdtempSync(join(tmpdir(), 'telos-test-'));
  const total = { passed: 0, failed: 0, skipped: [] };
  for (const project of chosen.length > 0 ? chosen : PROJECTS) {
    const report = join(folder, `${project}.json`);
    const { passed, failed, skipped } = read(report, jest(project, report));
    total.passed += passed;
    total.failed += failed;
    total.skipped.push(...skipped);
  }
  rmSync(folder, { recursive: true, force: true });
  return total;
}

if (!own.includes('--no-prepare')) prepare();
const { passed, failed, skipped } = runAll();
for (const name of skipped) {
  const needs = /\[needs ([^\]]+)\]/.exec(name)?.[1] ?? 'a reason';
  process.stdout.write(`skipped: needs ${needs}: ${name}\n`);
}
process.stdout.write(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
