/**
 * Owns: one child process that runs a script of ours in Node.
 *
 *     stdin   the life line: the child ends when it closes; JSON lines, the first is the child's configuration
 *     stdout, stderr   the log file itself, so that the last words of a crash are there and no full pipe stops a child
 *     fd 3    JSON lines from the child to us (when `onReport` is given)
 *
 *   C1  `onExit` is called exactly once, also when the process could not be started, and after the last report.
 *   C2  No shell, no window; its own session, so that Ctrl-C in a terminal reaches us and not it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { readJsonLines } from './lines.js';
import { openLog } from './log-file.js';

/** How long reports may still come in after the exit. */
const LAST_REPORTS_MS = 250;

export interface ChildOptions {
  /** Absolute path of the script. */
  readonly script: string;
  /** Only for people: the child is configured over its life line. They show in the system's list of processes. */
  readonly args?: readonly string[];
  /** For Node itself: `--max-old-space-size=…`. */
  readonly nodeFlags?: readonly string[];
  /** Path of the log file; without one the child's output goes nowhere. */
  readonly log: string | null;
  onReport?(value: unknown): void;
  onExit(exit: ChildExit): void;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: string | null;
  /** Set when the process could not be started at all. */
  readonly cause?: string;
}

export class NodeChild {
  readonly #process: ChildProcess;
  #over = false;

  constructor(private readonly options: ChildOptions) {
    const log = openLog(options.log);
    const reports = options.onReport === undefined ? 'ignore' : 'pipe';
    this.#process = spawn(process.execPath, [...(options.nodeFlags ?? []), options.script, ...(options.args ?? [])], {
      stdio: ['pipe', log ?? 'ignore', log ?? 'ignore', reports],
      windowsHide: true,
      shell: false,
      detached: process.platform !== 'win32',
    });
    if (log !== null) closeSync(log);
    this.#process.stdin?.on('error', () => undefined);
    this.#process.once('error', (error) =>
      this.#end({ code: null, signal: null, cause: `could not be started: ${error.message}` }),
    );
    this.#process.once('exit', (code, signal) => this.#exited(code, signal));
    const channel = this.#process.stdio[3] as Readable | null | undefined;
    if (options.onReport && channel) {
      channel.on('error', () => undefined);
      readJsonLines(channel, (value) => this.#over || options.onReport?.(value));
    }
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** One JSON line to its stdin. */
  tell(value: unknown): void {
    const stdin: Writable | null = this.#process.stdin;
    if (stdin?.writable === true) stdin.write(`${JSON.stringify(value)}\n`);
  }

  /** Closes the life line. */
  release(): void {
    this.#process.stdin?.end();
  }

  kill(): void {
    if (this.#over) return;
    this.#process.kill('SIGKILL');
  }

  #exited(code: number | null, signal: string | null): void {
    const channel = this.#process.stdio[3] as Readable | null | undefined;
    const end = (): void => this.#end({ code, signal });
    if (!channel || channel.destroyed || channel.readableEnded) return end();
    const timer = setTimeout(end, LAST_REPORTS_MS);
    channel.once('close', () => {
      clearTimeout(timer);
      end();
    });
  }

  #end(exit: ChildExit): void {
    if (this.#over) return;
    this.#over = true;
    this.options.onExit(exit);
  }
}
