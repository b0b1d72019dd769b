/** Starts and stops a real `telos up` for a benchmark, as a user does, and looks at its processes from outside. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../clients/cli/main.js', import.meta.url));

export interface ProcessRow {
  readonly name: string;
  readonly role: string;
  readonly pid: number;
  readonly restarts: number;
  readonly state: string;
}

export interface Telos {
  readonly image: string;
  /** Milliseconds from the start of the command to its `telos ready` line. */
  readonly readyMs: number;
  processes(): ProcessRow[];
  stop(): Promise<void>;
  /** kill -9 of everything at once: what was not written when the last answer left is lost, and nothing is written after. */
  kill(): Promise<void>;
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });
}

/** Runs one `telos` command to its end. */
export function telos(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`telos ${args.join(' ')} ended with ${String(status)}: ${stderr || stdout}`);
  return stdout;
}

export async function up(image: string, args: readonly string[] = []): Promise<Telos> {
  const begun = performance.now();
  const child = spawn(process.execPath, [COMMAND, 'up', '--image', image, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let out = '';
  const ready = new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      out += String(chunk);
      if (/^telos ready /m.test(out)) resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('exit', (code) => reject(new Error(`telos up ended with ${String(code)}: ${out}`)));
  });
  await ready;
  const processes = (): ProcessRow[] =>
    (JSON.parse(telos(['status', '--json', '--image', image])) as { processes: ProcessRow[] }).processes;
  return {
    image,
    readyMs: performance.now() - begun,
    processes,
    kill: async () => {
      for (const { pid } of processes()) if (pid > 0) process.kill(pid, 'SIGKILL');
      await endOf(child);
    },
    stop: async () => {
      telos(['down', '--image', image]);
      await endOf(child);
    },
  };
}

/** Resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const file = `/proc/${pid}/status`;
  if (existsSync(file)) return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(file, 'utf8'))?.[1] ?? NaN) * 1024;
  const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number(stdout.trim()) * 1024;
}
