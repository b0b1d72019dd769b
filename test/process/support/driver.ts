/** The test's end of test/fixtures/driver.mjs: a client in a process of its own. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { ROOT, ended, start } from './processes.js';

export interface RemoteError {
  readonly code: string;
  readonly name: string;
  readonly message: string;
  readonly remedy: string;
}

/** An error that the client saw. `code` is what to branch on. */
export class DriverError extends Error {
  readonly code: string;
  readonly remedy: string;

  constructor(error: RemoteError) {
    super(`${error.code} ${error.name}: ${error.message}`);
    this.code = error.code;
    this.remedy = error.remedy;
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Line {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: RemoteError;
  readonly note?: unknown;
}

/** What the function given to `run` gets first; the client library's Image. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type RemoteImage = any;

export class Driver {
  /** What its functions have noted with `note(value)`, in order. */
  readonly notes: unknown[] = [];
  private readonly waiting = new Map<number, Waiting>();
  private readonly silent: Promise<unknown>;
  private next = 1;
  private errors = '';

  private constructor(readonly child: ChildProcess) {
    child.stderr?.on('data', (chunk: Buffer) => (this.errors += String(chunk)));
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => this.hear(JSON.parse(line) as Line));
    this.silent = once(lines, 'close');
    child.stdin?.on('error', () => undefined);
    child.once('exit', (code, name) => {
      for (const { reject } of this.waiting.values())
        reject(new Error(`the client ended with ${String(code ?? name)}: ${this.errors}`));
      this.waiting.clear();
    });
  }

  /** Starts a client and waits until it is connected. `options` are those of `connect()`. */
  static connect(
    options: { image: string; [more: string]: unknown },
    env: Record<string, string> = {},
  ): Promise<Driver> {
    return Driver.start('driver.mjs', options, env);
  }

  /** Starts a peer that speaks frames made by hand: test/fixtures/raw-peer.mjs says what the functions get. */
  static raw(image: string): Promise<Driver> {
    return Driver.start('raw-peer.mjs', { image }, {});
  }

  private static async start(script: string, options: object, env: Record<string, string>): Promise<Driver> {
    const driver = new Driver(
      start(process.execPath, [join(ROOT, 'test/fixtures', script), JSON.stringify(options)], { env }),
    );
    await driver.wait(0);
    return driver;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /**
   * Runs `call(image, ...args)` in the client's process. Its source travels, so it sees nothing of the test but its arguments (JSON;
   * `{$ref: nameOrOid}` arrives as a handle).
   */
  async run<T = unknown>(
    call: ((image: RemoteImage, ...args: never[]) => unknown) | string,
    ...args: unknown[]
  ): Promise<T> {
    if (this.child.exitCode !== null || this.child.signalCode !== null)
      throw new Error(`the client has ended: ${this.errors}`);
    const id = this.next++;
    const answer = this.wait(id);
    this.child.stdin?.write(`${JSON.stringify({ id, source: String(call), args })}\n`);
    return answer as Promise<T>;
  }

  /** One message. */
  send<T = unknown>(target: string, selector: string, ...args: unknown[]): Promise<T> {
    return this.run<T>(
      (image: RemoteImage, to: string, what: string, rest: unknown[]) => image.send(to, what, ...rest),
      target,
      selector,
      args,
    );
  }

  /** The same, with the error instead of the answer. */
  async refusal(call: Promise<unknown>): Promise<DriverError> {
    const value = await call.then(
      (answer) => ({ answer }),
      (error: unknown) => error,
    );
    if (value instanceof DriverError) return value;
    throw new Error(`an error was expected, came ${JSON.stringify(value)}`);
  }

  /** Ends in order: what was sent is answered first. */
  async close(): Promise<void> {
    this.child.stdin?.end();
    await ended(this.child);
  }

  /** kill -9. Answers when all that it had said is heard. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await Promise.all([ended(this.child), this.silent]);
  }

  private wait(id: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  private hear({ id, value, error, note }: Line): void {
    if (note !== undefined) {
      this.notes.push(note);
      return;
    }
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(new DriverError(error));
  }
}
