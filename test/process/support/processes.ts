/**
 * What process tests share: temporary images, `telos` as a user runs it, processes found from outside. Everything that is started here
 * is ended here, by its pid. Nothing sleeps for luck: `until` looks again and again, and says what it last saw when time is up.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const COMMAND = join(ROOT, 'dist', 'clients', 'cli', 'main.js');

const folders: string[] = [];
const children = new Set<ChildProcess>();
const strays = new Set<number>();

/** A fresh directory, removed after the test file. */
export function temporary(prefix = 'telos-test-'): string {
  const dir = mkdtempSync(join(tmpdir(), prefix));
  folders.push(dir);
  return dir;
}

/** Ends what is left and removes the directories. Call it in `afterAll`. */
export async function cleanUp(): Promise<void> {
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  for (const pid of strays) if (isAlive(pid)) signal(pid, 'SIGKILL');
  await Promise.all([...children].map(ended));
  await until('strays to end', () => [...strays].every((pid) => !isAlive(pid)), 5000).catch(() => undefined);
  for (const dir of folders) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Runs, or is stopped; a zombie that nobody has waited for counts as dead. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return process.platform !== 'linux';
  }
}

/** Processes whose command line holds `text`, by their pids (Linux). */
export function pidsWith(text: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)) found.push(Number(name));
    } catch {
      // It ended meanwhile.
    }
  }
  return found.filter((pid) => pid !== process.pid && isAlive(pid));
}

export function ended(child: ChildProcess): Promise<number | string | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode ?? child.signalCode);
  return new Promise((resolve) => child.once('exit', (code, name) => resolve(code ?? name)));
}

/** Looks every 20 ms until `look` answers something truthy; fails with `what` and the last error after `ms`. */
export async function until<T>(what: string, look: () => T | Promise<T>, ms = 15_000): Promise<NonNullable<T>> {
  const end = performance.now() + ms;
  let last: unknown;
  for (;;) {
    try {
      const value = await look();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${what}; last seen: ${String(last)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export interface Outcome {
  readonly code: number | string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly ms?: number;
}

/** Runs a program to its end, with what it wrote. Killed after `ms`. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = start(command, args, options);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input ?? '');
  const timer = setTimeout(() => child.kill('SIGKILL'), options.ms ?? 60_000);
  const code = await new Promise<number | string | null>((resolve) =>
    child.once('close', (exit, name) => resolve(exit ?? name)),
  );
  clearTimeout(timer);
  return { code, stdout, stderr };
}

export function start(command: string, args: readonly string[], { env, cwd }: RunOptions = {}): ChildProcess {
  const child = spawn(command, args, {
    cwd: cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  children.add(child);
  return child;
}

/** One `telos` command. */
export const telos = (args: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
  run(process.execPath, [COMMAND, ...args], options);

export interface Row {
  readonly name: string;
  readonly role: string;
  readonly pid: number;
  readonly incarnation: number;
  readonly state: string;
  readonly restarts: number;
}

export interface Status {
  readonly image: string;
  readonly endpoint: string;
  readonly seq: number;
  readonly processes: Row[];
  readonly [more: string]: unknown;
}

/** A running `telos up`. */
export class Running {
  output = '';

  private constructor(
    readonly image: string,
    readonly child: ChildProcess,
  ) {
    const hear = (chunk: Buffer): void => {
      this.output += String(chunk);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
  }

  /** Starts it and waits for its `telos ready` line. */
  static async up(image: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Running> {
    const child = start(process.execPath, [COMMAND, 'up', '--image', image, ...args], options);
    const running = new Running(image, child);
    await until(`telos ready of ${image}`, () => running.endpoint !== '' || running.hasEnded(), options.ms ?? 30_000);
    if (running.endpoint === '') throw new Error(`telos up ended: ${running.output}`);
    for (const { pid } of (await running.status()).processes) strays.add(pid);
    return running;
  }

  hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  get endpoint(): string {
    return /^telos ready .*endpoint=(\S+)/m.exec(this.output)?.[1] ?? '';
  }

  async status(): Promise<Status> {
    const { code, stdout, stderr } = await telos(['status', '--json', '--image', this.image]);
    if (code !== 0) throw new Error(`telos status ended with ${String(code)}: ${stderr}`);
    const status = JSON.parse(stdout) as Status;
    for (const { pid } of status.processes) strays.add(pid);
    return status;
  }

  /** Pids of the processes with this role, in order of their names. */
  async pids(role: string): Promise<number[]> {
    const { processes } = await this.status();
    return processes.filter((row) => row.role === role && row.pid > 0).map((row) => row.pid);
  }

  async pid(role: string): Promise<number> {
    return until(`a ${role} with a pid`, async () => (await this.pids(role))[0] ?? 0);
  }

  /** `telos down`, and the end of what was started. */
  async down(): Promise<void> {
    const { code, stderr } = await telos(['down', '--image', this.image]);
    if (code !== 0) throw new Error(`telos down ended with ${String(code)}: ${stderr}\n${this.output}`);
    await ended(this.child);
  }

  /** kill -9 of every process of the image at once. */
  async killAll(): Promise<void> {
    const { processes } = await this.status();
    for (const { pid } of processes) if (pid > 0) signal(pid, 'SIGKILL');
    signal(this.child.pid ?? 0, 'SIGKILL');
    await ended(this.child);
    await until('all processes to be gone', () => processes.every(({ pid }) => pid <= 0 || !isAlive(pid)));
  }
}
