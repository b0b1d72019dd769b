/**
 * Makes a checkout ready to run: packages as in package-lock.json, dist/ as in the sources. Uses nothing but Node, because nothing
 * else may be there yet. Both steps cost little when nothing has changed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));
const path = (...parts) => join(root, ...parts);

function lockOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? {};
  } catch {
    return undefined;
  }
}

/** Whether node_modules holds every package of package-lock.json in its version; optional ones may be left out. */
export function installed() {
  const wanted = lockOf(path('package-lock.json'));
  const found = lockOf(path('node_modules', '.package-lock.json'));
  if (wanted === undefined || found === undefined) return false;
  return Object.entries(wanted).every(([name, entry]) => {
    if (name === '') return true;
    return found[name] === undefined ? Boolean(entry.optional) : found[name].version === entry.version;
  });
}

function run(command, args, stdout) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', stdout, 'inherit'],
    windowsHide: true,
  });
  if (error) process.stderr.write(`${command}: ${error.message}\n`);
  return status === 0;
}

/** npm as it was started with, so that no shell is needed on Windows. */
function npm(args, stdout) {
  const cli = process.env.npm_execpath;
  if (cli && existsSync(cli) && /\.c?js$/.test(cli)) return run(process.execPath, [cli, ...args], stdout);
  return run('npm', args, stdout);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** Ends the process with exit code 1 and the reason when a step fails. What the steps print goes to standard error. */
export function prepare() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) fail(`Node ${process.versions.node} is too old: TelOS needs Node 20.15 or newer`);
  if (!installed()) {
    process.stderr.write('installing packages …\n');
    // Not `npm ci`: it refuses a lock file that was made where a registry lacks the optional binaries of other systems. This takes the
    // versions of the lock file as well, and leaves it as it is.
    if (!npm(['install', '--no-save', '--no-fund', '--no-audit'], 2))
      fail('`npm install` failed: see its messages above');
  }
  const compiler = path('node_modules', 'typescript', 'lib', 'tsc.js');
  if (!run(process.execPath, [compiler, '-p', path('tsconfig.build.json')], 2))
    fail('the build failed: see its messages above');
}
