/**
 * Starts and stops what serves an image: the guardian, as a child of this process or on its own.
 *
 *   G1  A guardian that is our child holds a pipe from us (its stdin) and stops everything in order when that closes, however we end.
 *   G2  It has its own process group: Ctrl-C in the terminal reaches this process, which decides what it means.
 *   G3  A detached guardian holds nothing of ours.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TelosError } from '../../protocol/index.js';

/** Relative to dist/clients/cli/. */
const GUARDIAN = fileURLToPath(new URL('../../actors/supervisor/guardian-main.js', import.meta.url));
const READY = /^telos ready /;
const POLL_MS = 25;
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Past the guardian's own deadlines by far: only a guardian that is broken itself meets it. */
const STOP_MS = 30_000;

export interface UpOptions {
  readonly image: string;
  readonly port?: number | undefined;
  readonly hosts?: number | undefined;
}

const argumentsOf = ({ image, port, hosts }: UpOptions): string[] => [
  GUARDIAN,
  '--image',
  image,
  ...(port === undefined ? [] : ['--port', String(port)]),
  ...(hosts === undefined ? [] : ['--hosts', String(hosts)]),
];

function launch(options: UpOptions, stdio: StdioOptions, extra: string[] = []): ChildProcess {
  return spawn(process.execPath, [...argumentsOf(options), ...extra], {
    stdio,
    detached: true,
    windowsHide: true,
  });
}

/** A guardian that lives and dies with this process. */
export class OwnGuardian {
  /** Its exit code; 1 for a death by signal. */
  readonly exited: Promise<number>;
  private readonly errors: string[] = [];

  private constructor(
    private readonly child: ChildProcess,
    private readonly onLine: (line: string) => void,
  ) {
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.errors.push(String(error));
        resolve(1);
      });
      child.once('close', (code) => resolve(code ?? 1));
    });
    child.stdin?.on('error', () => undefined);
  }

  /** @param onLine hears what it says on stdout, the ready line included @param onError hears its stderr; kept for the error when absent */
  static start(options: UpOptions, onLine: (line: string) => void, onError?: (text: string) => void): OwnGuardian {
    const guardian = new OwnGuardian(launch(options, ['pipe', 'pipe', 'pipe'], ['--lifeline']), onLine);
    guardian.child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (onError ? onError(text) : guardian.keep(text)));
    return guardian;
  }

  /** What it wrote to stderr, as an error. */
  failure(code: number): TelosError {
    return startFailed(this.errors.join(''), code);
  }

  /** Settles with the ready line. @throws TelosError START_FAILED with what the guardian said */
  ready(): Promise<string> {
    return new Promise((resolve, reject) => {
      const { stdout } = this.child;
      if (stdout === null) return reject(new TelosError('START_FAILED', 'the guardian has no output'));
      createInterface({ input: stdout }).on('line', (line) => {
        this.onLine(line);
        if (READY.test(line)) resolve(line);
      });
      void this.exited.then((code) => reject(this.failure(code)));
    });
  }

  /** Ordered stop; answers the exit code. Asked again, it is a signal: the guardian hurries then. */
  async stop(): Promise<number> {
    if (this.child.stdin?.writable === true) this.child.stdin.end();
    else this.child.kill('SIGTERM');
    const killer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    const code = await this.exited;
    clearTimeout(killer);
    return code;
  }

  /** The last words, bounded. */
  private keep(text: string): void {
    this.errors.push(text);
    if (this.errors.length > 50) this.errors.shift();
  }
}

/**
 * Starts a guardian that outlives this process, and waits until it is ready; until then a signal to this process, and the end of
 * `startMs`, stop it in order.
 * @returns the ready line
 * @throws TelosError what the guardian said, START_FAILED at the deadline, CANCELLED by a signal
 */
export async function startDetached(options: UpOptions, startMs: number): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'telos-up-'));
  const outPath = join(dir, 'out');
  const errPath = join(dir, 'err');
  const [out, err] = [openSync(outPath, 'a'), openSync(errPath, 'a')];
  const child = launch(options, ['ignore', out, err]);
  closeSync(out);
  closeSync(err);
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 1));
  });
  const stopped = new Stop(startMs, options.image);
  try {
    for (;;) {
      const line = readyLineIn(readFileSync(outPath, 'utf8'));
      if (line !== undefined) return line;
      const next = await Promise.race([ended, stopped.why, pause(POLL_MS)]);
      if (typeof next === 'number') throw startFailed(readFileSync(errPath, 'utf8'), next);
      if (next instanceof TelosError) {
        await stopDetached(child, ended);
        throw next;
      }
    }
  } finally {
    stopped.forget();
    child.unref();
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

const readyLineIn = (text: string): string | undefined =>
  text
    .split('\n')
    .slice(0, -1)
    .find((line) => READY.test(line));

async function stopDetached(child: ChildProcess, ended: Promise<number>): Promise<void> {
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(killer);
}

/** What may end the wait for a start, other than the start. */
class Stop {
  readonly why: Promise<TelosError>;
  private resolve: (error: TelosError) => void = () => undefined;
  private readonly timer: NodeJS.Timeout;
  private readonly onSignal = (signal: NodeJS.Signals): void =>
    this.resolve(
      new TelosError('CANCELLED', `the start was ended by ${signal}`, { remedy: 'nothing was left running' }),
    );

  constructor(ms: number, image: string) {
    this.why = new Promise((resolve) => (this.resolve = resolve));
    const late = new TelosError('START_FAILED', `${image} was not served within ${ms} ms, so its start was ended`, {
      remedy: 'see the logs of the image; a large one may need a longer client.start_ms in the configuration',
    });
    this.timer = setTimeout(() => this.resolve(late), ms);
    for (const signal of STOP_SIGNALS) process.on(signal, this.onSignal);
  }

  forget(): void {
    clearTimeout(this.timer);
    for (const signal of STOP_SIGNALS) process.off(signal, this.onSignal);
  }
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** What the guardian wrote is `CODE Name: message` and a remedy already; it is passed on as it is. */
function startFailed(said: string, code: number): TelosError {
  const [first = '', ...rest] = said.trim().split('\n');
  const known = /^([A-Z_]+)(?: \w+)?: (.*)$/.exec(first);
  const remedy = rest.map((line) => line.trim()).join('\n  ');
  if (known) return TelosError.fromWire([known[1] as string, 'TelosError', known[2] as string, remedy, null]);
  return new TelosError('START_FAILED', said === '' ? `the guardian ended with code ${code}` : said.trim());
}

/** The fields of a ready line. A path that needs it stands in quotes, as JSON. */
export function readyFields(line: string): { image: string; endpoint: string; pid: number } {
  const [, path = '', endpoint = '', pid = ''] =
    /^telos ready image=(".*"|.*) endpoint=(\S+) pid=(\d+)$/.exec(line) ?? [];
  const image = path.startsWith('"') ? (JSON.parse(path) as string) : path;
  return { image, endpoint, pid: Number(pid) };
}
