/** The command line: names, arguments and help of all commands. What they do is in the files beside. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { TelosError } from '../../protocol/index.js';
import { send, settleLetter, undo, type SendFlags } from './act.js';
import { Context, fail, type CommonOptions } from './context.js';
import { deadLetters, history, inspect, journal, runTool, status, verify, type JournalFlags } from './look.js';
import { down, session, up, type UpFlags } from './up.js';

function whole(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError(`${JSON.stringify(text)} is no whole number.`);
  return value;
}

function port(text: string): number {
  const value = whole(text);
  if (value > 65_535) throw new InvalidArgumentError('A port is at most 65535.');
  return value;
}

function positive(text: string): number {
  const value = whole(text);
  if (value === 0) throw new InvalidArgumentError('It must be above 0.');
  return value;
}

type Action = (context: Context, args: string[], options: never) => Promise<void>;

const leaf = (parent: Command, usage: string, summary: string): Command =>
  parent
    .command(usage)
    .description(summary)
    .option('--image <dir>', 'image directory (else $TELOS_IMAGE, else ./image)')
    .option('--json', 'answer as JSON');

/** Runs an action with the context of its options; its error is shown once and becomes the exit code. */
const runs = (command: Command, action: Action): Command =>
  command.action(async () => {
    const options: CommonOptions = command.optsWithGlobals();
    try {
      await action(new Context(options), command.args, options as never);
    } catch (error) {
      fail(error, options.json === true);
    }
  });

/** @param json nothing but JSON is wanted: commander itself is to say nothing */
export function makeProgram(version: string, json: boolean): Command {
  const program = new Command('telos');
  program.description('TelOS: a living image of objects').version(version).exitOverride();
  // Its errors are shown as all others are, by `run`. Without a command it shows the help.
  program.configureOutput({ outputError: () => undefined, ...(json && { writeErr: () => undefined }) });
  program
    .option('--image <dir>', 'image directory (else $TELOS_IMAGE, else ./image)')
    .option('--json', 'answer as JSON');
  serving(program);
  messages(program);
  looking(program);
  letters(program);
  return program;
}

function serving(program: Command): void {
  const start = leaf(program, 'up', 'start the image: guardian, kernel, workers')
    .option('--port <n>', 'port of the kernel (any free one when absent)', port)
    .option('--hosts <n>', 'host processes (the number of cores less one when absent)', positive)
    .option('--detach', 'leave it running in the background')
    .option('--repl', 'open a session, and stop everything at its end');
  runs(start, (context, _args, flags: UpFlags) => up(context, flags));
  runs(leaf(program, 'down', 'stop the image in order'), (context) => down(context));
  const look = leaf(program, 'status', 'processes, restarts, queues, turns, memory').option(
    '--watch',
    'again every second',
  );
  runs(look, (context, _args, flags: { watch?: boolean }) => status(context, flags.watch === true));
  runs(leaf(program, 'repl', 'live session on a running image; --json answers each line with one of JSON'), (context) =>
    session(context),
  );
}

function messages(program: Command): void {
  const message = leaf(program, 'send <name> <selector> [json...]', 'send one message, print the answer as JSON')
    .option('--deadline <ms>', 'milliseconds until it is given up', positive)
    .allowUnknownOption();
  runs(message, (context, args, flags: SendFlags) => {
    const [name = '', selector = '', ...rest] = args;
    const unknown = rest.find((text) => text.startsWith('--'));
    if (unknown !== undefined) throw new TelosError('USAGE', `unknown option '${unknown}'`);
    return send(context, name, selector, rest, flags);
  });
  runs(leaf(program, 'undo <turn>', 'undo a turn, as a new turn'), (context, [turn]) =>
    undo(context, number('turn', turn)),
  );
}

interface TrialFlags {
  readonly self?: string;
  readonly arg: readonly string[];
  readonly answer: readonly string[];
}

const collected = (json: string, before: readonly string[]): string[] => [...before, json];

function looking(program: Command): void {
  runs(
    leaf(program, 'inspect <name> [slot]', 'slots and parents of an object, or one slot in full'),
    (context, [name = '', slot]) => inspect(context, name, slot),
  );
  const past = leaf(program, 'history <name>', 'turns that changed an object, latest first').option(
    '--limit <n>',
    'at most so many',
    positive,
    50,
  );
  runs(past, (context, [name = ''], { limit }: { limit: number }) => history(context, name, limit));
  const stream = leaf(program, 'journal', 'the event stream: all turns in order')
    .option('--from <turn>', 'begin with this turn', positive)
    .option('--limit <n>', 'at most so many', positive, 50)
    .option('--follow', 'go on as turns happen');
  runs(stream, (context, _args, flags: JournalFlags) => journal(context, flags));
  runs(leaf(program, 'verify', 'audit the whole image'), (context) => verify(context));
  const check = leaf(program, 'doctor', 'check dependencies, keys, port and disk, each with its remedy').option(
    '--port <n>',
    'a port that `telos up --port` is to use',
    port,
  );
  runs(check, (context, _args, flags: { port?: number }) =>
    runTool(context, 'doctor', flags.port === undefined ? [] : ['--port', String(flags.port)]),
  );
  const trial = leaf(program, 'sandbox <file>', 'try the method in a file where nothing of what it does happens')
    .option('--self <json>', 'slots that it finds in self')
    .option('--arg <json>', 'an argument; may be repeated', collected, [])
    .option(
      '--answer <json>',
      'what a send gets, {"to", "selector", "reply"} or with "error": {"name", "message"}; may be repeated',
      collected,
      [],
    );
  runs(trial, (context, [file = ''], flags: TrialFlags) =>
    runTool(context, 'sandbox', [
      file,
      ...(flags.self === undefined ? [] : [`--self=${flags.self}`]),
      ...flags.arg.map((json) => `--arg=${json}`),
      ...flags.answer.map((json) => `--answer=${json}`),
    ]),
  );
}

function letters(program: Command): void {
  const group = program.command('dead-letters').description('messages that were given up').exitOverride();
  runs(leaf(group, 'list', 'what was given up, and why'), (context) => deadLetters(context));
  runs(leaf(group, 'retry <id>', 'send it again, under a new id'), (context, [id]) =>
    settleLetter(context, 'retry', number('id', id)),
  );
  runs(leaf(group, 'drop <id>', 'let it go'), (context, [id]) => settleLetter(context, 'drop', number('id', id)));
}

function number(what: string, text: string | undefined): number {
  if (text === undefined || !/^\d+$/.test(text))
    throw new TelosError('USAGE', `${what} ${JSON.stringify(text)} is no whole number`);
  return Number(text);
}

/** Exit code 0 for help and version, 2 for wrong usage; the actions set their own. */
export async function run(program: Command, argv: string[], json: boolean): Promise<void> {
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    const helped = error.code === 'commander.help';
    if (helped && !json) process.exitCode = 2;
    else fail(usage(helped ? 'a command is missing' : error.message), json);
  }
}

/** `error: unknown command 'dwn'\n(Did you mean down?)` as one line. */
const usage = (message: string): TelosError =>
  new TelosError('USAGE', message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '));
