/** The test's end of test/fixtures/journal/: journals on RocksDB in processes of their own, and files damaged by hand. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { ROOT } from './processes.js';

/** One that does not end is a failure of its test, not of the whole run. */
const TOOL_MS = 120_000;

const LOADER = ['--no-warnings', '--import', join(ROOT, 'test/simulation/register.mjs')];
const fixture = (name: string): string => join(ROOT, 'test/fixtures/journal', name);

// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Result = any;

/** Lines of JSON that a fixture prints. */
export function fixtureLines(
  name: string,
  args: readonly string[],
  options: { uid?: number; shell?: string } = {},
): Result[] {
  const argv = [...LOADER, fixture(name), ...args];
  const limits = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
  const child =
    options.shell === undefined
      ? spawnSync(process.execPath, argv, { encoding: 'utf8', cwd: ROOT, timeout: TOOL_MS, ...limits })
      : spawnSync('sh', ['-c', `${options.shell} exec "$@"`, 'sh', process.execPath, ...argv], {
          encoding: 'utf8',
          cwd: ROOT,
          timeout: TOOL_MS,
          ...limits,
        });
  const lines = child.stdout.split('\n').filter((line) => line !== '');
  if (lines.length === 0)
    throw new Error(`${name} ${args.join(' ')} ended with ${String(child.signal ?? child.status)}: ${child.stderr}`);
  return lines.map((line) => JSON.parse(line));
}

/** Runs one command of tool.ts. */
export const tool = (
  command: string,
  dir: string,
  request: object = {},
  options: { uid?: number; shell?: string } = {},
): Result => fixtureLines('tool.ts', [command, dir, JSON.stringify(request)], options).at(-1);

/** Starts `hold`: a journal that stays open. Resolves when it is. */
export async function hold(dir: string): Promise<{ child: ChildProcess; first: Result }> {
  const child = spawn(process.execPath, [...LOADER, fixture('tool.ts'), 'hold', dir], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: ROOT,
  });
  const first = await new Promise<Result>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', (line) => resolve(JSON.parse(line)));
    child.once('exit', (code) => reject(new Error(`hold ended with ${String(code)}`)));
  });
  return { child, first };
}

/** Files of the journal with this ending, the largest first. */
export function journalFiles(dir: string, ending: string): string[] {
  const folder = join(dir, 'journal');
  const paths = readdirSync(folder)
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file));
  return paths.sort((a, b) => statSync(b).size - statSync(a).size);
}

export function flipBit(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
  writeFileSync(path, bytes);
}
