/** The session on lines of standard input, and on a terminal. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testNeeding } from './support/needs.js';
import {
  COMMAND,
  ROOT,
  Running,
  cleanUp,
  ended,
  isAlive,
  pidsWith,
  start,
  telos,
  temporary,
  until,
} from './support/processes.js';

afterAll(cleanUp);

const image = join(temporary(), 'image');
const session = (lines: string[], ...args: string[]) =>
  telos([...args, '--image', image], { input: `${lines.join('\n')}\n` });
/** Answers: everything on standard output but the ready line. */
const answers = (stdout: string) =>
  stdout.split('\n').filter((line) => line !== '' && !line.startsWith('telos ready '));

test('lines: each answer alone on its line, errors end nothing, everything is stopped at the end', async () => {
  const { code, stdout, stderr } = await session(
    [
      'await nosuch.x()',
      'await genesis.clone({name: "acct", balance: 100})',
      'await acct.setMethod("deposit", async (self, n) => { if (!(n > 0)) throw new RangeError("deposit needs a positive amount"); self.balance = self.balance + n; return self.balance })',
      'await acct.deposit(42)',
      'await acct.deposit(-1)',
      'acct.deposit(1)',
      'x = await acct.balance()',
      'const y = x * 2',
      'y',
      '(await acct.clone({name: "other"}), await other.deposit(7), other)',
      'await acct.setSlot("deep", {a: {b: [{c: [other, "two\\nlines", 7n]}]}}), await acct.deep()',
      'acct.nothing(); "not waited for"',
      'function (',
      '',
      '// a comment',
      'await image.turn((a, b) => image.ref(a).deposit(b), "acct", 1)',
      '[1, 2, 3].map((n) => n + 1)',
    ],
    'up',
    '--repl',
  );
  expect(code).toBe(0);
  expect(stdout.split('\n')[0]).toMatch(/^telos ready /);
  expect(answers(stdout).slice(0, 1)).toEqual(['acct']);
  expect(answers(stdout).slice(2)).toEqual([
    '142',
    '143',
    '143',
    'undefined',
    '286',
    'other',
    expect.stringContaining("{ a: { b: [ { c: [ other, 'two\\nlines', 7n ] } ] } }"),
    "'not waited for'",
    '144',
    '[ 2, 3, 4 ]',
  ]);
  expect(stderr).toContain('ReferenceError: nosuch is not defined\n');
  expect(stderr).toContain('METHOD_FAILED RangeError: deposit needs a positive amount\n  ');
  expect(stderr).toContain('SyntaxError: ');
  expect(stdout + stderr).not.toMatch(/\x1b|telos>|    at /);
  await until('all to be gone', () => pidsWith(image).length === 0);
});

test('lines: a session on an image that runs already leaves it running', async () => {
  const running = await Running.up(image);
  for (const command of [['repl'], ['up', '--repl']]) {
    const { code, stdout } = await session(['await acct.balance()'], ...command);
    expect([code, answers(stdout)]).toEqual([0, ['144']]);
  }
  expect((await running.status()).processes.length).toBeGreaterThan(2);
  await running.down();
});

test('lines: names that others give are variables at once', async () => {
  const running = await Running.up(image);
  const repl = start(process.execPath, [COMMAND, 'repl', '--image', image]);
  let out = '';
  repl.stdout?.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  repl.stdin?.write('1 + 1\n');
  await until('the first answer', () => out === '2\n');
  await telos(['send', 'genesis', 'clone', '{"name":"stranger","age":7}', '--image', image]);
  repl.stdin?.write('await stranger.age()\n');
  await until('the second answer', () => out === '2\n7\n');
  repl.stdin?.end();
  expect(await ended(repl)).toBe(0);
  await running.down();
});

test('lines: an endless ask does not outlive the session, SIGTERM stops all in order', async () => {
  const repl = start(process.execPath, [COMMAND, 'up', '--repl', '--image', image]);
  let out = '';
  repl.stdout?.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  repl.stdin?.write('await new Promise(() => {})\n');
  await until('ready', () => out.includes('telos ready'));
  const pids = await until('its processes', () => pidsWith(image));
  repl.kill('SIGTERM');
  await ended(repl);
  await until('all to be gone', () => pids.every((pid) => !isAlive(pid)));
});

test('lines: names of the image win over modules of Node, Node itself wins and says so once', async () => {
  const other = join(temporary(), 'image');
  const { code, stdout, stderr } = await telos(['up', '--repl', '--image', other], {
    input: `${[
      'typeof nosuch',
      'typeof events.EventEmitter',
      'await genesis.clone({name: "events", n: 0}), await events.setSlot("n", 1), await events.n()',
      'await events.n()',
      'typeof path.join',
      'await genesis.clone({name: "process", n: 2})',
      'process.pid > 0',
      'typeof process.pid',
      'await image.ref("process").n()',
      'path = 7',
      'await genesis.clone({name: "path"}), path',
    ].join('\n')}\n`,
  });
  expect(code).toBe(0);
  expect(answers(stdout)).toEqual([
    "'undefined'",
    "'function'",
    '1',
    '1',
    "'function'",
    'process',
    'true',
    "'number'",
    '2',
    '7',
    '7',
  ]);
  expect(stderr).toMatch(/^process stands for .* image\.ref\('process'\)\n$/);
});

const server = (...args: string[]) => spawnSync('tmux', ['-L', `telos-${process.pid}`, ...args], { encoding: 'utf8' });
const hasTmux = server('-V').status === 0;

/** A terminal of 120 × 50 that runs `telos ARGS`, and what a person does there. */
class Screen {
  private constructor(private readonly name: string) {}

  /** @param shell goes behind the command: `| cat` */
  static async open(args: string[], { env = {}, shell = '' }: { env?: Record<string, string>; shell?: string } = {}) {
    const name = `telos-${(opened += 1)}`;
    const settings = Object.entries(env).map(([key, value]) => `${key}=${value} `);
    const command = `${settings.join('')}${process.execPath} ${COMMAND} ${args.join(' ')} ${shell}`;
    server('new-session', '-d', '-s', name, '-x', '120', '-y', '50', '-c', ROOT, command);
    const screen = new Screen(name);
    await screen.shows('telos> ');
    return screen;
  }

  text(): string {
    return server('capture-pane', '-p', '-J', '-t', this.name).stdout;
  }

  shows(what: string | RegExp): Promise<unknown> {
    const found = (): boolean => (typeof what === 'string' ? this.text().includes(what) : what.test(this.text()));
    return until(`the terminal to show ${String(what)}`, () => {
      if (found()) return true;
      throw new Error(this.text());
    });
  }

  type(text: string): void {
    server('send-keys', '-t', this.name, '-l', text);
  }

  press(key: string): void {
    server('send-keys', '-t', this.name, key);
  }

  line(text: string): void {
    this.type(text);
    this.press('Enter');
  }

  async ended(): Promise<void> {
    await until('the session to end', () => server('has-session', '-t', this.name).status !== 0);
  }
}
let opened = 0;
afterAll(() => void server('kill-server'));

const onTerminal = (name: string, body: () => Promise<void>): void =>
  testNeeding('tmux', hasTmux, `terminal: ${name}`, body);

onTerminal('completion, Ctrl-C, errors and history', async () => {
  let screen = await Screen.open(['up', '--repl', '--image', image]);
  expect(screen.text()).toContain('Names of the image are variables');
  screen.line('await genesis.clone({name: "till", balance: 5, wait: 0})');
  await screen.shows(/^till$/m);
  screen.type('await till.bal');
  screen.press('Tab');
  await screen.shows('await till.balance');
  screen.line('()');
  await screen.shows(/^5$/m);
  screen.line('till.nope()');
  await screen.shows('NOT_UNDERSTOOD');
  screen.line('await new Promise(() => {})');
  await screen.shows(/Promise\(\(\) => \{\}\)\s*$/);
  screen.press('C-c');
  await screen.shows('CANCELLED: interrupted');
  screen.line('40 + 4');
  await screen.shows(/^44$/m);
  screen.press('C-d');
  await screen.ended();
  await until('all to be gone', () => pidsWith(image).length === 0);
  screen = await Screen.open(['up', '--repl', '--image', image]);
  screen.press('Up');
  await screen.shows('telos> 40 + 4');
  screen.press('C-c');
  screen.press('C-d');
  await screen.ended();
});

onTerminal('Ctrl-C cancels an ask that runs: nothing of it is written, and the session goes on', async () => {
  const home = temporary();
  const other = join(home, 'image');
  const config = join(home, 'config.json');
  // A turn may run long enough for somebody to lose patience.
  writeFileSync(
    config,
    JSON.stringify({ link: { heartbeat_interval_ms: 10_000 }, turn: { run_time_ms: 4000, fuel: 1e12 } }),
  );
  const screen = await Screen.open(['up', '--repl', '--image', other], { env: { TELOS_CONFIG: config } });
  screen.line('await genesis.clone({name: "till", count: 0})');
  await screen.shows(/^till$/m);
  screen.line('await till.setMethod("dawdle", async (self) => { self.count = self.count + 1; while (true) {} })');
  await screen.shows(/true\) \{\} \}\)\s+\S+\s+telos>/);
  screen.line('await till.dawdle()');
  await until('the ask to be on a host', async () => {
    const { stdout } = await telos(['status', '--json', '--image', other], { env: { TELOS_CONFIG: config } });
    return (JSON.parse(stdout) as { queues: { inFlight: number } }).queues.inFlight > 0;
  });
  screen.press('C-c');
  await screen.shows('CANCELLED: ');
  screen.line('[await till.count(), "and on"]');
  await screen.shows("[ 0, 'and on' ]");
  screen.line('.history till');
  await screen.shows(/\d+ .*till\.setMethod/);
  expect(screen.text().match(/^ +\d+ +20.* repl pid \d+ .*$/gm)).toHaveLength(2);
  screen.press('C-d');
  await screen.ended();
});

onTerminal("a name that is a module of Node is the image's, and what hides a name is told once", async () => {
  const other = join(temporary(), 'image');
  const screen = await Screen.open(['up', '--repl', '--image', other]);
  screen.line('typeof events.EventEmitter');
  await screen.shows("'function'");
  screen.line('await genesis.clone({name: "events", n: 12})');
  await screen.shows(/^events$/m);
  screen.line('await events.n()');
  await screen.shows(/^12$/m);
  screen.line('typeof nosuch');
  await screen.shows("'undefined'");
  screen.line('await genesis.clone({name: "process"})');
  await screen.shows(/^process$/m);
  screen.line('process.pid > 0');
  await screen.shows(/image\.ref\('process'\)\s+true/);
  screen.line('process.pid > 1, "again"');
  await screen.shows("'again'");
  expect(screen.text().split('process stands for')).toHaveLength(2);
  screen.press('C-d');
  await screen.ended();
});

onTerminal('with its answers in a pipe there is a prompt, and only answers are piped', async () => {
  const out = join(temporary(), 'out');
  const screen = await Screen.open(['up', '--repl', '--image', image], { shell: `| tee ${out}` });
  screen.line('40 + 2');
  // What goes through the pipe may be overtaken by the next prompt.
  await screen.shows(/^(telos> )?42$/m);
  screen.line('await nosuch.x()');
  await screen.shows('ReferenceError');
  screen.line('await new Promise(() => {})');
  await screen.shows(/Promise\(\(\) => \{\}\)\s*$/);
  screen.press('C-c');
  await screen.shows('CANCELLED: interrupted');
  screen.line('"last"');
  await screen.shows("'last'");
  screen.press('C-d');
  await screen.ended();
  expect(answers(readFileSync(out, 'utf8'))).toEqual(['42', "'last'"]);
});

onTerminal('a history that can not be written is told once, and the session goes on', async () => {
  const other = join(temporary(), 'image');
  await telos(['up', '--repl', '--image', other], { input: '1\n' });
  mkdirSync(join(other, 'repl-history'));
  const screen = await Screen.open(['up', '--repl', '--image', other]);
  screen.line('40 + 3');
  await screen.shows(/^43$/m);
  expect(screen.text()).toMatch(/not kept: .*repl-history can not be written \(EISDIR\)/);
  expect(screen.text()).not.toContain('persisted');
  screen.press('C-d');
  await screen.ended();
});
