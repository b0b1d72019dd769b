/**
 * The session on a terminal: Node's REPL (editing, history, search, several lines, previews) with the image in it.
 *
 *   X1  Ctrl-C while a line runs cancels what it has asked and leaves the session as it was.
 *   X2  Keys that come while a line runs are handled after it, in order: what is pasted stays whole.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import repl, { type REPLServer } from 'node:repl';
import { TelosError } from '../../protocol/index.js';
import type { LinkState, Part } from '../library/index.js';
import { paintFor, showError, type Paint } from '../terminal/index.js';
import { sessionCommands } from './commands.js';
import { Completer } from './complete.js';
import type { Evaluator } from './evaluator.js';
import { forTerminal } from './print.js';
import type { ReplSession } from './session.js';

const PROMPT = 'telos> ';

/** Parts of Node's REPL that its types leave out. */
interface Hidden {
  isCompletionEnabled: boolean;
  _ttyWrite(data: string, key: { ctrl?: boolean; name?: string } | undefined): void;
  completer(line: string, callback: (error: Error | null, result: [string[], string]) => void): void;
}

/** A key that came while a line ran. `completes`: Tab completes; in what is pasted it does not. */
interface Key {
  readonly data: string;
  readonly key: { ctrl?: boolean; name?: string } | undefined;
  readonly completes: boolean;
}
type Server = Omit<REPLServer, 'completer'> & Hidden;

export interface TerminalOptions {
  readonly imageDir: string;
  readonly historyLines: number;
  /** Something that ends the session from outside: the guardian's exit. */
  readonly until?: Promise<unknown>;
  /** The image is stopped with the session. */
  readonly owned: boolean;
}

export class Terminal {
  private readonly paint: Paint = paintFor(process.stdout);
  private readonly server: Server;
  private readonly evaluator: Evaluator;
  private held: Key[] | null = null;
  private midLine = false;
  private completing = false;

  constructor(
    private readonly session: ReplSession,
    private readonly options: TerminalOptions,
  ) {
    this.greet();
    this.server = repl.start({
      prompt: this.paint.isColorSupported ? this.paint.cyan(PROMPT) : PROMPT,
      terminal: true,
      useGlobal: true,
      ignoreUndefined: true,
      breakEvalOnSigint: true,
      // Enter would accept what is previewed, and send another message than the one that was typed.
      preview: false,
      historySize: options.historyLines,
      writer: (value: unknown) => this.write(value),
    } as repl.ReplOptions) as Server;
    this.evaluator = session.attach(this.server, (error) => this.stray(error));
    this.takeEvaluation();
    this.takeKeys();
    this.takeInterrupts();
    this.takeCompletion();
    this.addCommands();
  }

  /** Until the user leaves. */
  async run(): Promise<void> {
    const onRejection = (error: unknown): void => this.stray(error);
    process.on('unhandledRejection', onRejection);
    this.keepHistory();
    const left = new Promise<void>((resolve) => void this.server.once('exit', resolve));
    const ended = this.options.until?.then(() => {
      process.stdout.write(`\n${this.paint.yellow('the image has stopped')}\n`);
      this.server.close();
    });
    await (ended === undefined ? left : Promise.race([left, ended]));
    process.off('unhandledRejection', onRejection);
  }

  /** Node says only that it could not be opened, and nothing where it could not be written. */
  private keepHistory(): void {
    const path = join(this.options.imageDir, 'repl-history');
    const lost = (error: unknown): void => {
      const { code = String(error) } = error as NodeJS.ErrnoException;
      this.hint(`The lines of this session are not kept: ${path} can not be written (${code}).`);
    };
    try {
      closeSync(openSync(path, 'a', 0o600));
    } catch (error) {
      return lost(error);
    }
    this.server.setupHistory(path, (error) => error !== null && lost(error));
  }

  /** The link was lost or found again. */
  state(state: LinkState, why: string): void {
    if (state === 'connected') this.aside(this.paint.green('connected again'));
    if (state === 'lost') this.aside(this.paint.yellow(`the kernel is out of reach (${why}); trying again`));
    if (state === 'refused') this.aside(this.paint.red(why));
  }

  /** Something worth knowing that is no answer. */
  hint(text: string): void {
    this.aside(this.paint.yellow(text));
  }

  /** A part of a streamed answer, as it comes. */
  part({ value }: Part): void {
    process.stdout.write(typeof value === 'string' ? value : `${forTerminal(value, this.colors)}\n`);
    this.midLine = typeof value === 'string' && !value.endsWith('\n');
  }

  private get colors(): boolean {
    return this.paint.isColorSupported;
  }

  private greet(): void {
    const { bold, dim, cyan } = this.paint;
    const { all } = this.session.names;
    const room = (process.stdout.columns ?? 80) - 60;
    let used = 0;
    const some = all.filter((name) => (used += name.length + 2) < room).map((name) => cyan(name));
    const more = all.length > some.length ? dim(` and ${all.length - some.length} more`) : '';
    const leave = this.options.owned ? 'leaves and stops the image' : 'leaves; the image goes on';
    process.stdout.write(
      `${bold('TelOS')} ${dim(this.options.imageDir)}\n` +
        `${dim('Names of the image are variables:')} ${some.join(dim(', '))}${more}\n` +
        `${dim(`Try`)} await genesis.describe() ${dim(`· Tab completes · Ctrl-C interrupts · .help · Ctrl-D ${leave}`)}\n\n`,
    );
  }

  private write(value: unknown): string {
    return forTerminal(value, this.colors);
  }

  // ---- lines -----------------------------------------------------------------------------------------------------------------

  private takeEvaluation(): void {
    const original = this.server.eval;
    const evaluate = (
      code: string,
      context: unknown,
      file: string,
      callback: (error: Error | null, value?: unknown) => void,
    ): void => {
      if (this.completing) return original.call(this.server, code, context as never, file, callback);
      this.hold();
      void this.answer(code).then((answered) => {
        if (answered.error === undefined) callback(null, answered.value);
        else callback(answered.error);
        this.release();
      });
    };
    Object.defineProperty(this.server, 'eval', { value: evaluate, configurable: true, writable: true });
  }

  /** An error answered here means that more of the line is to come; all others are shown at once. */
  private async answer(code: string): Promise<{ value?: unknown; error?: Error }> {
    await this.session.names.begin(code);
    const outcome = await this.evaluator.run(code);
    if (outcome.kind === 'more') return { error: outcome.error };
    if (outcome.kind === 'value') await this.session.learn(outcome.value);
    this.endLine();
    if (outcome.kind === 'value') return { value: outcome.value };
    process.stdout.write(`${showError(outcome.error, this.paint)}\n`);
    return {};
  }

  private endLine(): void {
    if (this.midLine) process.stdout.write('\n');
    this.midLine = false;
  }

  // ---- keys ------------------------------------------------------------------------------------------------------------------

  private takeKeys(): void {
    const original = this.server._ttyWrite.bind(this.server);
    this.server._ttyWrite = (data, key) => {
      const held = this.held !== null && !(key?.ctrl === true && key.name === 'c');
      if (held) this.held?.push({ data, key, completes: this.server.isCompletionEnabled });
      else original(data, key);
    };
  }

  private hold(): void {
    this.held ??= [];
  }

  /** Handles what was typed meanwhile, up to the next line that runs: the rest waits behind it. */
  private release(): void {
    const keys = this.held ?? [];
    this.held = null;
    const { isCompletionEnabled } = this.server;
    for (let next = keys.shift(); next !== undefined; next = this.held === null ? keys.shift() : undefined) {
      this.server.isCompletionEnabled = next.completes;
      this.server._ttyWrite(next.data, next.key);
    }
    this.server.isCompletionEnabled = isCompletionEnabled;
    (this.held as Key[] | null)?.push(...keys);
  }

  private takeInterrupts(): void {
    const originals = this.server.listeners('SIGINT') as (() => void)[];
    this.server.removeAllListeners('SIGINT');
    this.server.on('SIGINT', () => {
      if (this.evaluator.running && this.evaluator.interrupt()) return;
      for (const listener of originals) listener.call(this.server);
    });
  }

  private takeCompletion(): void {
    const nodes = this.server.completer.bind(this.server);
    // Node evaluates what stands before a dot while it completes: that is no line of the user's.
    const fallback: Hidden['completer'] = (line, callback) => {
      this.completing = true;
      try {
        nodes(line, callback);
      } finally {
        this.completing = false;
      }
    };
    const completer = new Completer(
      this.session.image,
      this.session.names,
      (name) => this.session.targetOfVariable(name),
      fallback,
    );
    this.server.completer = (line, callback) => completer.complete(line, callback);
  }

  // ---- the rest --------------------------------------------------------------------------------------------------------------

  private addCommands(): void {
    const commands = sessionCommands(this.session.image, this.session.names, this.paint);
    for (const [name, { help, run }] of Object.entries(commands)) {
      this.server.defineCommand(name, {
        help,
        action: (argument) => {
          void run(argument.trim())
            .catch((error: unknown) => showError(error, this.paint))
            .then((text) => {
              process.stdout.write(`${text}\n`);
              this.server.displayPrompt();
            });
        },
      });
    }
  }

  /** An error that no line waits for. */
  private stray(error: unknown): void {
    if (error instanceof TelosError && error.code === 'CANCELLED') return;
    this.aside(showError(error, this.paint));
  }

  /** A line that is not an answer: where no line runs, the prompt and what is being typed come back after it. */
  private aside(text: string): void {
    process.stdout.write(`\r\x1b[K${text}\n`);
    if (this.held === null) this.server.displayPrompt(true);
  }
}
