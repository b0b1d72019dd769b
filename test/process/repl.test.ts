/** The session on lines of standard input, and on a terminal. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
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

const tmux = (...args: string[]) => spawnSync('tmux', ['-L', `telos-${process.pid}`, ...args], { encoding: 'utf8' });
const hasTmux = tmux('-V').status === 0;

(hasTmux ? test : test.skip)('terminal: completion, Ctrl-C, errors and history [needs tmux]', async () => {
  const screen = () => tmux('capture-pane', '-p', '-J', '-t', 'telos').stdout;
  const shows = (what: string | RegExp) =>
    until(`the terminal to show ${String(what)} and not\n${screen()}`, () =>
      typeof what === 'string' ? screen().includes(what) : what.test(screen()),
    );
  const type = (text: string) => tmux('send-keys', '-t', 'telos', '-l', text);
  const press = (key: string) => tmux('send-keys', '-t', 'telos', key);
  const open = async () => {
    tmux(
      'new-session',
      '-d',
      '-s',
      'telos',
      '-x',
      '120',
      '-y',
      '50',
      '-c',
      ROOT,
      process.execPath,
      COMMAND,
      'up',
      '--repl',
      '--image',
      image,
    );
    await shows('telos> ');
  };
  await open();
  try {
    expect(screen()).toContain('Names of the image are variables');
    type('await genesis.clone({name: "till", balance: 5, wait: 0})');
    press('Enter');
    await shows(/^till$/m);
    type('await till.bal');
    press('Tab');
    await shows('await till.balance');
    type('()');
    press('Enter');
    await shows(/^5$/m);
    type('await till.setMethod("dawdle", async () => { for (let i = 0; i < 1e7; i++); })');
    press('Enter');
    type('till.nope()');
    press('Enter');
    await shows('NOT_UNDERSTOOD');
    type('await new Promise(() => {})');
    press('Enter');
    await shows(/Promise\(\(\) => \{\}\)\s*$/);
    press('C-c');
    await shows('CANCELLED: interrupted');
    type('40 + 4');
    press('Enter');
    await shows(/^44$/m);
    press('C-d');
    await until('the session to end', () => tmux('has-session', '-t', 'telos').status !== 0);
    await until('all to be gone', () => pidsWith(image).length === 0);
    await open();
    press('Up');
    await shows('telos> 40 + 4');
    press('C-c');
    press('C-d');
    await until('the session to end', () => tmux('has-session', '-t', 'telos').status !== 0);
  } finally {
    tmux('kill-server');
  }
});
