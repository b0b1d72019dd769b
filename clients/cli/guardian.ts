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

  /** Settles with the ready line. @throws TelosError START_FAILED with what the guardian said */
  ready(): Promise<string> {
    return new Promise((resolve, reject) => {
      const { stdout } = this.child;
      if (stdout === null) return reject(new TelosError('START_FAILED', 'the guardian has no output'));
      createInterface({ input: stdout }).on('line', (line) => {
        this.onLine(line);
        if (READY.test(line)) resolve(line);
      });
      void this.exited.then((code) => reject(startFailed(this.errors.join(''), code)));
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

/** Starts a guardian that outlives this process, and waits until it is ready. @returns the ready line */
export async function startDetached(options: UpOptions): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'telos-up-'));
  const outPath = join(dir, 'out');
  const errPath = join(dir, 'err');
  const [out, err] = [openSync(outPath, 'a'), openSync(errPath, 'a')];
  const child = launch(options, ['ignore', out, err]);
  closeSync(out);
  closeSync(err);
  try {
    let ended: number | null = null;
    child.once('error', () => (ended = 1));
    child.once('exit', (code) => (ended = code ?? 1));
    for (;;) {
      const line = readFileSync(outPath, 'utf8')
        .split('\n')
        .slice(0, -1)
        .find((text) => READY.test(text));
      if (line !== undefined) return line;
      if (ended !== null) throw startFailed(readFileSync(errPath, 'utf8'), ended);
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  } finally {
    child.unref();
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  }
}

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
