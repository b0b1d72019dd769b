/**
 * `npm start`: installs and builds where needed, then runs `telos up --repl` in this process. Arguments go to the command:
 * `npm start -- --image DIR`. Uses nothing but Node until all is there.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { installed, prepare, root } from './prepare.mjs';

const SOURCES = ['protocol', 'config', 'runtime', 'actors', 'clients', 'ops'];

/** Newest change below a folder, ms since the epoch. A file that goes or comes changes its folder. */
function newest(path) {
  let latest = statSync(path).mtimeMs;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) latest = Math.max(latest, newest(join(path, entry.name)));
    else if (entry.name.endsWith('.ts')) latest = Math.max(latest, statSync(join(path, entry.name)).mtimeMs);
  }
  return latest;
}

/** Whether dist/ was built after the last change of a source; saves the compiler's start. */
function built() {
  const made = statSync(join(root, 'dist', '.tsbuildinfo'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return (
    statSync(join(root, 'tsconfig.build.json')).mtimeMs < made &&
    SOURCES.every((name) => newest(join(root, name)) < made)
  );
}

if (!installed() || !built()) prepare();
process.argv = [
  process.argv[0],
  join(root, 'dist', 'clients', 'cli', 'main.js'),
  'up',
  '--repl',
  ...process.argv.slice(2),
];
await import('../dist/clients/cli/main.js');
