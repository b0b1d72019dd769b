/**
 * The session on a pipe: each line is one expression, each answer stands alone on its line of standard output, errors go to standard
 * error with their remedy, and end nothing.
 */
import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import repl from 'node:repl';
import { plain, showError } from '../terminal/index.js';
import { sessionCommands } from './commands.js';
import type { Evaluator, Outcome } from './evaluator.js';
import { forPipe } from './print.js';
import type { ReplSession } from './session.js';

export interface LineStreams {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
  readonly errors: NodeJS.WritableStream;
}

const complain = (streams: LineStreams, error: unknown): void => void streams.errors.write(`${showError(error)}\n`);

export async function runLines(session: ReplSession, streams: LineStreams): Promise<void> {
  const server = repl.start({
    prompt: '',
    input: new PassThrough(),
    output: process.stderr,
    terminal: false,
    useGlobal: true,
  });
  const evaluator = session.attach(server, (error) => complain(streams, error));
  const onRejection = (error: unknown): void => complain(streams, error);
  process.on('unhandledRejection', onRejection);
  try {
    for await (const line of createInterface({ input: streams.input, crlfDelay: Infinity })) {
      const code = line.trim();
      if (code === '.exit') break;
      if (code !== '' && !code.startsWith('//')) await answerLine(session, evaluator, code, streams);
    }
  } finally {
    process.off('unhandledRejection', onRejection);
    server.close();
  }
}

async function answerLine(
  session: ReplSession,
  evaluator: Evaluator,
  code: string,
  streams: LineStreams,
): Promise<void> {
  if (/^\.[a-z]/.test(code)) return answerCommand(session, code, streams);
  await session.names.begin(session.names.newIn(code));
  const outcome: Outcome = await evaluator.run(`${code}\n`);
  if (outcome.kind === 'error') return complain(streams, outcome.error);
  if (outcome.kind === 'more') return complain(streams, new SyntaxError('the expression is not complete on its line'));
  await session.learn(outcome.value);
  streams.output.write(`${forPipe(outcome.value)}\n`);
}

async function answerCommand(session: ReplSession, code: string, streams: LineStreams): Promise<void> {
  const [, name = '', argument = ''] = /^\.(\w+)\s*(.*)$/.exec(code) ?? [];
  const commands = sessionCommands(session.image, session.names, plain);
  try {
    const text = name === 'help' ? helpOf(commands) : await commands[name]?.run(argument);
    if (text === undefined) throw new SyntaxError(`there is no command .${name}; see .help`);
    streams.output.write(`${text}\n`);
  } catch (error) {
    complain(streams, error);
  }
}

const helpOf = (commands: Record<string, { help: string }>): string =>
  Object.entries(commands)
    .map(([name, { help }]) => `.${name.padEnd(10)}${help}`)
    .join('\n');
