/** The command `telos`, from outside: what its options and its lesser commands do on an image that runs. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import {
  COMMAND,
  Running,
  cleanUp,
  ended,
  pidsWith,
  signal,
  start,
  telos,
  temporary,
  until,
  type Outcome,
} from './support/processes.js';

const image = join(temporary(), 'my image');
let running: Running;
let driver: Driver;

beforeAll(async () => {
  running = await Running.up(image);
  driver = await Driver.connect({ image });
  await driver.run(async (one: RemoteImage) => {
    const acct = await one.actor('genesis').clone({ name: 'acct', balance: 1 });
    await acct.setMethod('deposit', 'async (self, n) => { self.balance = self.balance + n; return self.balance }');
    await acct.setMethod('spin', 'async (self) => { while (true) {} }');
    await acct.setSlot('odd', { $price: 5, $ref: 7, $$ref: 8 });
  });
});
afterAll(async () => {
  await driver.close();
  await running.down();
  await cleanUp();
});

const at = (...args: string[]): Promise<Outcome> => telos([...args, '--image', image]);
// What a test looks at; its shape is what is tested.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
const json = async (...args: string[]): Promise<any> => JSON.parse((await at(...args, '--json')).stdout);

/** Starts a command that does not end by itself; `text` is what it has printed so far. */
function watch(...args: string[]): { text: () => string; end: () => Promise<unknown> } {
  const child = start(process.execPath, [COMMAND, ...args, '--image', image]);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return {
    text: () => text,
    end: () => {
      child.kill('SIGTERM');
      return ended(child);
    },
  };
}

test('dead-letters: what was given up is listed with its reason, retried when it is mended, and dropped', async () => {
  await driver.run((one: RemoteImage) => one.tell('acct', 'pay', 5));
  const [letter] = await until('the letter', async () => {
    const letters = await json('dead-letters', 'list');
    return letters.length > 0 ? letters : null;
  });
  expect(letter).toMatchObject({ selector: 'pay', error: { code: 'NOT_UNDERSTOOD' } });
  const id = String(letter.id);
  expect((await at('dead-letters', 'list')).stdout).toMatch(new RegExp(`^${id} +acct\\.pay .*\\n +NOT_UNDERSTOOD `));
  await driver.send('acct', 'setMethod', 'pay', 'async (self, n) => { self.paid = n }');
  expect(await at('dead-letters', 'retry', id)).toMatchObject({
    code: 0,
    stdout: `dead letter ${id} is sent again\n`,
  });
  await until('the payment', async () => (await json('send', 'acct', 'paid')) === 5);
  expect(await json('dead-letters', 'list')).toEqual([]);

  await driver.run((one: RemoteImage) => one.tell('acct', 'nothing'));
  const [second] = await until('another letter', async () => {
    const letters = await json('dead-letters', 'list');
    return letters.length > 0 ? letters : null;
  });
  expect(await json('dead-letters', 'drop', String(second.id))).toMatchObject({ drop: second.id });
  expect((await at('dead-letters', 'list')).stdout).toBe('no dead letters\n');
  const again = await at('dead-letters', 'drop', String(second.id));
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('UNKNOWN_DEAD_LETTER: ')]);
});

test('send --deadline: it ends by then, and not before', async () => {
  const late = await at('send', 'acct', 'spin', '--deadline', '1');
  expect([late.code, late.stderr]).toEqual([1, expect.stringMatching(/^(DEADLINE|OUTCOME_UNKNOWN): /)]);
  expect(await at('send', 'acct', 'balance', '--deadline', '20000')).toMatchObject({ code: 0, stdout: '1\n' });
});

test('inspect: by oid as by name, keys as send prints them; history: no more turns than asked for', async () => {
  const byName = await json('inspect', 'acct');
  expect(await json('inspect', byName.oid)).toEqual(byName);
  const odd = byName.slots.find(({ slot }: { slot: string }) => slot === 'odd');
  expect(odd.content).toEqual(await json('send', 'acct', 'odd'));
  expect(odd.content).toEqual({ $price: 5, $$ref: 7, $$$ref: 8 });
  expect((await at('inspect', byName.oid)).stdout).toContain(`acct ${byName.oid}`);
  for (let i = 0; i < 3; i++) await driver.send('acct', 'deposit', 1);
  const turns = await json('history', 'acct', '--limit', '2');
  expect(turns.map(({ selector }: { selector: string }) => selector)).toEqual(['deposit', 'deposit']);
  expect((await at('history', 'acct', '--limit', '1')).stdout.trim().split('\n')).toHaveLength(2);
});

test('doctor --port: a port in use is found, with its remedy', async () => {
  const port = new URL(running.endpoint).port;
  const { code, stdout } = await telos(['doctor', '--port', port, '--json', '--image', join(temporary(), 'none')]);
  const findings = JSON.parse(stdout).findings as { check: string; ok: boolean; remedy: string }[];
  expect([code, findings.find(({ check }) => check === 'port')]).toEqual([
    1,
    expect.objectContaining({ ok: false, remedy: expect.stringContaining('--port') }),
  ]);
  expect(findings.find(({ check }) => check === 'models')).toMatchObject({ ok: true });
});

test('repl --json: one line of JSON for each, answers and errors', async () => {
  const lines = ['await acct.balance()', 'await acct.nothing()', 'nosuch', '[acct, 3n]', '.bogus'];
  const { code, stdout, stderr } = await telos(['repl', '--json', '--image', image], {
    input: `${lines.join('\n')}\n`,
  });
  expect([code, stderr]).toEqual([0, '']);
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { value: 4 },
    { error: expect.objectContaining({ code: 'NOT_UNDERSTOOD', remedy: expect.stringMatching(/./) }) },
    { error: { code: '', name: 'ReferenceError', message: 'nosuch is not defined', remedy: '' } },
    { value: [{ $ref: 'acct' }, { $int: '3' }] },
    { error: expect.objectContaining({ code: 'USAGE' }) },
  ]);
});

test('status --watch: goes on through the death of the kernel, says when it is out of reach, and shows the image again', async () => {
  const [people, programs] = [watch('status', '--watch'), watch('status', '--watch', '--json')];
  const rows = (): { seq?: number; error?: { code: string } }[] =>
    programs
      .text()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as { seq?: number });
  await until('two looks', () => rows().length >= 2 && people.text().includes('last turn'));
  signal(await running.pid('kernel'), 'SIGKILL');
  const before = rows().length;
  await until('looks after it', () =>
    rows()
      .slice(before)
      .some(({ seq }) => seq !== undefined),
  );
  await running.down();
  await until('both to say so', () => people.text().includes('is out of reach') && rows().at(-1)?.error !== undefined);
  running = await Running.up(image);
  await until(
    'both to see it again',
    () => rows().at(-1)?.seq !== undefined && /last turn(?!.*out of reach)/s.test(people.text()),
  );
  await Promise.all([people.end(), programs.end()]);
});

test('up --detach: the ready line is readable with blanks in the path; a signal and a deadline leave nothing behind', async () => {
  const other = join(temporary(), 'an other');
  const up = await telos(['up', '--detach', '--json', '--image', other]);
  expect([up.code, JSON.parse(up.stdout)]).toEqual([0, expect.objectContaining({ image: other })]);
  expect((await telos(['down', '--image', other])).code).toBe(0);

  const config = join(temporary(), 'config.json');
  writeFileSync(config, '{"client": {"start_ms": 1}}');
  const late = await telos(['up', '--detach', '--image', other], { env: { TELOS_CONFIG: config } });
  expect([late.code, late.stderr]).toEqual([
    1,
    expect.stringMatching(/^START_FAILED: .*an other.* 1 ms.*\n.*client\.start_ms/),
  ]);
  await until('all of it to be gone', () => pidsWith(other).length === 0);

  const left = temporary();
  const starting = start(process.execPath, [COMMAND, 'up', '--detach', '--image', other], { env: { TMPDIR: left } });
  await until('the guardian', () => pidsWith('guardian-main').some((pid) => pidsWith(other).includes(pid)));
  await until('its notes', () => readdirSync(left).length > 0);
  starting.kill('SIGINT');
  expect(await ended(starting)).not.toBe(0);
  await until('all of it to be gone', () => pidsWith(other).length === 0);
  expect(readdirSync(left)).toEqual([]);
});

test('wrong configuration: the key, its value and what is expected, from every command', async () => {
  const config = join(temporary(), 'config.json');
  writeFileSync(config, '{"kernel": {"strikes": "many"}}');
  const env = { TELOS_CONFIG: config };
  for (const args of [['up'], ['up', '--detach'], ['status'], ['verify'], ['send', 'a', 'b']]) {
    const { code, stderr } = await telos([...args, '--image', join(temporary(), 'none')], { env });
    expect([args, code, stderr]).toEqual([args, 1, expect.stringMatching(/^BAD_CONFIG: .*kernel\.strikes: .*"many"/)]);
  }
  const loud = await telos(['up', '--image', join(temporary(), 'none')], { env: { TELOS_LOG_LEVEL: 'loud' } });
  expect([loud.code, loud.stderr]).toEqual([
    1,
    expect.stringMatching(/^BAD_CONFIG: TELOS_LOG_LEVEL.*"loud".*\n.*debug/),
  ]);
});

test('verify: a stopped image is read with its own configuration', async () => {
  const bad = join(temporary(), 'image');
  mkdirSync(bad);
  writeFileSync(join(bad, 'config.json'), '{"journal": {"cache_bytes": -1}}');
  const { code, stderr } = await telos(['verify', '--image', bad]);
  expect([code, stderr]).toEqual([1, expect.stringMatching(/^BAD_CONFIG: .*journal\.cache_bytes.*-1/)]);
  expect(existsSync(join(bad, 'journal'))).toBe(false);
});
