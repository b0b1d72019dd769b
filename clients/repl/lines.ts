/**
 * The session on lines: each line is one expression, each answer stands alone on its line of standard output, errors go to standard
 * error with their remedy, and end nothing. As JSON the answers are `{"value": …}`, those of commands `{"text": …}`, and errors
 * stand among them as `{"error": {code, name, message, remedy}}`.
 */
import { createInterface, type Interface } from 'node:readline';
import { PassThrough } from 'node:stream';
import repl, { type REPLServer } from 'node:repl';
import { TelosError, toJson } from '../../protocol/index.js';
import { targetOf } from '../library/index.js';
import { errorJson, plain, showError } from '../terminal/index.js';
import { sessionCommands } from './commands.js';
import type { Evaluator, Outcome } from './evaluator.js';
import { forPipe } from './print.js';
import type { ReplSession } from './session.js';

export interface LineStreams {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  readonly errors: NodeJS.WritableStream;
  readonly json: boolean;
  /** Somebody types the lines, and is asked for each on `errors`. */
  readonly prompts: boolean;
}

const PROMPT = 'telos> ';

export async function runLines(session: ReplSession, streams: LineStreams): Promise<void> {
  const server = repl.start({
    prompt: '',
    input: new PassThrough(),
    output: process.stderr,
    terminal: false,
    useGlobal: true,
    breakEvalOnSigint: streams.prompts,
  });
  const speaker = new Speaker(session, streams);
  const evaluator = session.attach(server, (error) => speaker.error(error));
  const onRejection = (error: unknown): void => speaker.error(error);
  process.on('unhandledRejection', onRejection);
  const { input, errors, prompts } = streams;
  // Keys, not signals: Ctrl-C would end whoever reads the answers, too.
  const lines = createInterface({ input, crlfDelay: Infinity, ...(prompts && { output: errors, prompt: PROMPT }) });
  lines.on('SIGINT', () => interrupt(server, evaluator, lines));
  try {
    if (prompts) lines.prompt();
    for await (const line of lines) {
      const code = line.trim();
      if (code === '.exit') break;
      if (code !== '' && !code.startsWith('//')) await answerLine(session, evaluator, code, speaker);
      if (prompts) lines.prompt();
    }
  } finally {
    process.off('unhandledRejection', onRejection);
    server.close();
  }
}

/** Ctrl-C interrupts what runs, and leaves where nothing does. */
function interrupt(server: REPLServer, evaluator: Evaluator, lines: Interface): void {
  if (!evaluator.running) lines.close();
  else if (!evaluator.interrupt()) server.emit('SIGINT');
}

/** The three kinds of things that are said, in the form that is wanted. */
class Speaker {
  constructor(
    private readonly session: ReplSession,
    private readonly streams: LineStreams,
  ) {}

  value(value: unknown): void {
    this.say(this.streams.json ? this.valueJson(value) : forPipe(value));
  }

  text(text: string): void {
    this.say(this.streams.json ? JSON.stringify({ text }) : text);
  }

  error(error: unknown): void {
    if (this.streams.json) this.say(JSON.stringify(errorJson(error)));
    else this.streams.errors.write(`${showError(error)}\n`);
  }

  private say(line: string): void {
    this.streams.output.write(`${line}\n`);
  }

  /** A value of the session's own that JSON can not hold (a cycle) is shown as text. */
  private valueJson(value: unknown): string {
    const refToName = (object: object): string | undefined => {
      const target = targetOf(object);
      return target === undefined ? undefined : this.session.names.show(target);
    };
    try {
      return JSON.stringify({ value: toJson(value, { refToName }) });
    } catch {
      return JSON.stringify({ text: forPipe(value) });
    }
  }
}

async function answerLine(session: ReplSession, evaluator: Evaluator, code: string, speaker: Speaker): Promise<void> {
  if (/^\.[a-z]/.test(code)) return answerCommand(session, code, speaker);
  await session.names.begin(code);
  const outcome: Outcome = await evaluator.run(`${code}\n`);
  if (outcome.kind === 'error') return speaker.error(outcome.error);
  if (outcome.kind === 'more') return speaker.error(new SyntaxError('the expression is not complete on its line'));
  await session.learn(outcome.value);
  speaker.value(outcome.value);
}

async function answerCommand(session: ReplSession, code: string, speaker: Speaker): Promise<void> {
  const [, name = '', argument = ''] = /^\.(\w+)\s*(.*)$/.exec(code) ?? [];
  const commands = sessionCommands(session.image, session.names, plain);
  try {
    const text = name === 'help' ? helpOf(commands) : await commands[name]?.run(argument);
    if (text === undefined)
      throw new TelosError('USAGE', `there is no command .${name}`, { remedy: 'see .help for those that there are' });
    speaker.text(text);
  } catch (error) {
    speaker.error(error);
  }
}

const helpOf = (commands: Record<string, { help: string }>): string =>
  Object.entries(commands)
    .map(([name, { help }]) => `.${name.padEnd(10)}${help}`)
    .join('\n');
