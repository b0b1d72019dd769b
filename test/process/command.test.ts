/** The command `telos`, from outside: what it prints, its exit codes, and what is left when it ends. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import {
  Running,
  cleanUp,
  ended,
  isAlive,
  pidsWith,
  signal,
  start,
  telos,
  temporary,
  until,
  COMMAND,
  ROOT,
} from './support/processes.js';

const image = join(temporary(), 'image');
afterAll(async () => {
  // What was left running in the background by a test that failed.
  await telos(['down', '--image', image]);
  await cleanUp();
});

const at = (...args: string[]) => telos([...args, '--image', image]);
const gone = (what: string) => until(`all processes of ${what} to be gone`, () => pidsWith(what).length === 0);

test('wrong-usage: exit code 2, and nothing on standard output', async () => {
  const wrong = [
    ['bogus'],
    ['send'],
    ['send', 'a', 'b', 'no json'],
    ['send', 'a', 'b', '--bogus'],
    ['undo', 'x'],
    ['up', '--hosts', '0'],
    ['doctor', '--port', '70000'],
    [],
  ];
  for (const args of wrong) {
    const text = await telos(args);
    expect([args, text]).toEqual([args, expect.objectContaining({ code: 2, stdout: '' })]);
    if (args.length > 0) expect(text.stderr).toMatch(/^USAGE: .+\n {2}.+/);
    const json = await telos([...args, '--json']);
    expect([args, json.code, json.stderr]).toEqual([args, 2, '']);
    expect(JSON.parse(json.stdout).error).toMatchObject({ code: 'USAGE', remedy: expect.stringMatching(/./) });
  }
  expect((await telos(['--help'])).code).toBe(0);
  expect((await telos(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('nothing-runs: exit code 1 with code and remedy, as JSON when asked', async () => {
  for (const command of [['status'], ['down'], ['send', 'a', 'b'], ['repl'], ['journal']]) {
    const { code, stderr } = await at(...command);
    expect([command, code, stderr]).toEqual([command, 1, expect.stringContaining('NO_IMAGE: ')]);
    expect(stderr).toContain('telos up --image');
  }
  const { code, stdout } = await at('status', '--json');
  expect([code, JSON.parse(stdout)]).toEqual([1, { error: expect.objectContaining({ code: 'NO_IMAGE' }) }]);
  expect(existsSync(image)).toBe(false);
});

test('detached: every command works on it, and down ends it', async () => {
  const up = await at('up', '--detach', '--hosts', '2');
  expect(up).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^telos ready image=\S+ endpoint=tcp:\/\/127\.0\.0\.1:\d+ pid=\d+\n$/),
  });
  const status = JSON.parse((await at('status', '--json')).stdout);
  expect(status).toMatchObject({ endpoint: expect.any(String), seq: expect.any(Number), generation: 1 });
  expect(status.processes.map((row: { role: string }) => row.role).sort()).toEqual([
    'guardian',
    'host',
    'host',
    'kernel',
  ]);
  expect((await at('status')).stdout).toMatch(/guardian +guardian/);

  expect(await at('send', 'genesis', 'clone', '{"name":"acct","balance":1}')).toMatchObject({
    code: 0,
    stdout: '{"$ref":"acct"}\n',
  });
  const source = JSON.stringify('async (self, n) => { self.balance = self.balance + n; return self.balance }');
  expect(await at('send', 'acct', 'setMethod', '"deposit"', source)).toMatchObject({ code: 0 });
  expect(await at('send', 'acct', 'deposit', '-4')).toMatchObject({ code: 0, stdout: '-3\n' });
  expect(
    await at(
      'send',
      'acct',
      'setSlot',
      '"odd"',
      '{"b":{"$bytes":"AAE="},"i":{"$int":"9007199254740993"},"r":{"$ref":"genesis"}}',
    ),
  ).toMatchObject({ code: 0 });
  expect(JSON.parse((await at('send', 'acct', 'odd')).stdout)).toEqual({
    b: { $bytes: 'AAE=' },
    i: { $int: '9007199254740993' },
    r: { $ref: 'genesis' },
  });
  expect(await at('send', 'acct', 'withdraw')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('NOT_UNDERSTOOD'),
  });
  expect(JSON.parse((await at('send', 'nobody', 'x', '--json')).stdout).error.code).toBe('UNKNOWN_NAME');

  const object = JSON.parse((await at('inspect', 'acct', '--json')).stdout);
  expect(object.names).toEqual(['acct']);
  expect((await at('inspect', 'acct', 'deposit')).stdout).toBe(`${JSON.parse(source)}\n`);
  expect((await at('inspect', 'acct')).stdout).toMatch(/balance +\d+ +data +-3/);

  const [last] = JSON.parse((await at('history', 'acct', '--json')).stdout);
  const [deposit] = JSON.parse((await at('journal', '--json', '--from', String(last.seq - 1), '--limit', '1')).stdout);
  expect(deposit).toMatchObject({ selector: 'deposit', writes: [{ slots: ['balance'] }] });
  expect(await at('undo', String(deposit.seq))).toMatchObject({ code: 0 });
  expect((await at('send', 'acct', 'balance')).stdout).toBe('1\n');
  expect(await at('undo', '999999')).toMatchObject({ code: 1, stderr: expect.stringContaining('UNKNOWN_TURN') });
  expect(await at('dead-letters', 'list', '--json')).toMatchObject({ code: 0, stdout: '[]\n' });
  expect(await at('dead-letters', 'retry', '7')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('UNKNOWN_DEAD_LETTER'),
  });
  expect(await at('verify')).toMatchObject({ code: 0 });
  expect(await at('up', '--detach')).toMatchObject({ code: 1, stderr: expect.stringContaining('IMAGE_LOCKED') });

  expect(await at('down')).toMatchObject({ code: 0 });
  await gone(image);
  expect(await at('down')).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_RUNNING') });
  expect(await at('verify', '--json')).toMatchObject({ code: 0, stdout: expect.stringContaining('"ok":true') });
});

test('journal --follow: each turn once and in order, and none is waited for once it has happened', async () => {
  const running = await Running.up(image);
  const driver = await Driver.connect({ image });
  const follow = start(process.execPath, [COMMAND, 'journal', '--follow', '--json', '--limit', '1', '--image', image]);
  let text = '';
  follow.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const turns = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { seq: number; outbox: number });
  const caughtUp = (what: string) =>
    until(`the journal to be told after ${what}`, async () => turns().at(-1)?.seq === (await running.status()).seq);
  await until('the last turn', () => turns().length === 1);
  // A message left for later changes no slot, so nobody is told of it.
  await driver.run((one: RemoteImage) => one.tell('acct', 'balance'));
  await caughtUp('a turn without changes');
  expect(turns().some(({ outbox }) => outbox === 1)).toBe(true);
  await driver.run((one: RemoteImage) =>
    Promise.all(Array.from({ length: 3000 }, () => one.send('acct', 'deposit', 1))).then(() => 0),
  );
  await caughtUp('a burst');
  signal(await running.pid('kernel'), 'SIGKILL');
  await driver.send('acct', 'deposit', 1);
  await caughtUp('the death of the kernel');
  expect(turns().map(({ seq }) => seq)).toEqual(turns().map((_, i) => (turns()[0]?.seq as number) + i));
  expect(turns().length).toBeGreaterThan(3000);
  follow.kill('SIGTERM');
  await ended(follow);
  await driver.close();
  await running.down();
});

test('ctrl-c: up in the foreground ends in order with exit code 0', async () => {
  const running = await Running.up(image);
  running.child.kill('SIGINT');
  expect(await ended(running.child)).toBe(0);
  await gone(image);
});

test('killed: when the starter dies, all that it started ends by itself, and up works at once', async () => {
  const running = await Running.up(image);
  const { processes } = await running.status();
  signal(running.child.pid ?? 0, 'SIGKILL');
  const again = await Running.up(image);
  expect(processes.filter(({ pid }) => isAlive(pid))).toEqual([]);
  await again.down();
});

test('start-failed: what keeps an image from being served is told with its remedy, exit code 1', async () => {
  const { code, stdout, stderr } = await telos(['up', '--image', join(ROOT, 'package.json')]);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(/^(BAD_PATH|NO_PERMISSION): .*package\.json.*\n.+/);
  expect(await telos(['up', '--detach', '--image', join(ROOT, 'package.json')])).toMatchObject({ code: 1, stdout: '' });
});
