/** What keeps an image from being served reaches the terminal: a code, a remedy, exit code 1, at once, and nothing is left running. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { spawnSync } from 'node:child_process';
import { SOMEONE_ELSE, othersMayRead, testNeeding } from './support/needs.js';
import { Running, ROOT, cleanUp, pidsWith, run, telos, temporary, until, type Outcome } from './support/processes.js';

afterAll(cleanUp);

const up = (image: string, args: string[] = [], env: Record<string, string> = {}): Promise<Outcome> =>
  telos(['up', '--image', image, ...args], { env, ms: 30_000 });

/** A worker that was just being started sees its life line close, and ends a moment after the command. */
const GONE_MS = 2000;
const nobodyLeft = (image: string): Promise<unknown> =>
  until(`processes of ${image} to end`, () => pidsWith(image).length === 0, GONE_MS);

/** Standard error is `CODE: message` and a remedy on a line of its own; nobody lives on. */
async function expectRefusal({ code, stdout, stderr }: Outcome, error: string, image: string): Promise<void> {
  expect(stderr).toMatch(new RegExp(`^${error}: .+\\n.+`));
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  await nobodyLeft(image);
}

const listening = (): Promise<[server: Server, port: number]> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve([server, typeof address === 'object' && address !== null ? address.port : 0]);
    });
  });

test('port-in-use: PORT_IN_USE, naming it', async () => {
  const image = join(temporary(), 'image');
  const [server, port] = await listening();
  const outcome = await up(image, ['--port', String(port)]);
  server.close();
  expect(outcome.stderr).toContain(String(port));
  await expectRefusal(outcome, 'PORT_IN_USE', image);
});

test('image-locked: a second `telos up` is refused, the first goes on', async () => {
  const image = join(temporary(), 'image');
  const running = await Running.up(image, ['--hosts', '1']);
  const before = await running.status();
  const second = await up(image);
  expect({ code: second.code, stdout: second.stdout }).toEqual({ code: 1, stdout: '' });
  expect(second.stderr).toMatch(/^IMAGE_LOCKED: .*\n.+/);
  const after = await running.status();
  expect(after.processes.map(({ pid }) => pid)).toEqual(before.processes.map(({ pid }) => pid));
  await running.down();
  await nobodyLeft(image);
});

test('many-start-at-once: one serves, all others are refused', async () => {
  const image = join(temporary(), 'image');
  const starts = await Promise.all(
    Array.from({ length: 4 }, () => telos(['up', '--detach', '--image', image, '--hosts', '1'])),
  );
  const codes = starts.map(({ code }) => code).sort();
  expect(codes).toEqual([0, 1, 1, 1]);
  for (const { code, stderr } of starts) if (code === 1) expect(stderr).toMatch(/^IMAGE_LOCKED: /);
  expect((await telos(['down', '--image', image])).code).toBe(0);
  await nobodyLeft(image);
});

test.each([
  ['a file', 'file'],
  ['below a file', 'file/image'],
])('path-is-%s: BAD_PATH', async (_what, path) => {
  const home = temporary();
  writeFileSync(join(home, 'file'), 'content');
  await expectRefusal(await up(join(home, path)), 'BAD_PATH', home);
});

test('path-where-nothing-can-be-made: BAD_PATH', async () => {
  const path = process.platform === 'linux' ? '/proc/telos/image' : join(temporary(), '\0');
  if (process.platform === 'linux') await expectRefusal(await up(path), 'BAD_PATH', path);
});

const root = process.getuid?.() === 0;

/** Rights mean nothing to root: it lends its place to someone else. */
const asOther = (args: string[]): Outcome => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'dist/clients/cli/main.js'), ...args], {
    encoding: 'utf8',
    timeout: 30_000,
    ...(root ? { uid: SOMEONE_ELSE, gid: SOMEONE_ELSE } : {}),
  });
  return { code: status, stdout, stderr };
};

testNeeding(
  'posix, and as root a checkout that others may read',
  process.platform !== 'win32' && (!root || othersMayRead()),
  'directory-without-write-permission: NO_PERMISSION, and nothing is made in it',
  async () => {
    const home = temporary();
    chmodSync(home, 0o755);
    const image = join(home, 'image');
    mkdirSync(image);
    chmodSync(image, 0o555);
    await expectRefusal(asOther(['up', '--image', image]), 'NO_PERMISSION', image);
    expect(readdirSync(image)).toEqual([]);
  },
);

test('configuration-that-breaks-a-relation: BAD_CONFIG, naming the keys', async () => {
  const home = temporary();
  const config = join(home, 'config.json');
  writeFileSync(config, JSON.stringify({ turn: { run_time_ms: 60_000 } }));
  const outcome = await up(join(home, 'image'), [], { TELOS_CONFIG: config });
  expect(outcome.stderr).toContain('run_time_ms');
  await expectRefusal(outcome, 'BAD_CONFIG', home);
});

test('host-that-can-not-start: START_FAILED, naming host and cause, no restart without end', async () => {
  const home = temporary();
  const config = join(home, 'config.json');
  const small = {
    link: { max_frame_bytes: 2 ** 20 },
    message: { max_body_bytes: 2 ** 19, max_object_bytes: 2 ** 19 },
    host: { max_cached_bytes: 2 ** 20 },
    turn: { resident_bytes: 20 * 2 ** 20, max_grow_bytes: 2 ** 20, max_loaded_bytes: 2 ** 20 },
  };
  writeFileSync(config, JSON.stringify(small));
  const outcome = await up(join(home, 'image'), ['--hosts', '1'], { TELOS_CONFIG: config });
  expect(outcome.stderr).toContain('host-1');
  expect(outcome.stderr).toContain('turn.resident_bytes');
  await expectRefusal(outcome, 'START_FAILED', home);
});

test('wrong-usage: exit code 2, nothing is made', async () => {
  const image = join(temporary(), 'image');
  for (const args of [['--port', '70000'], ['--hosts', '0'], ['--no-such-thing']])
    expect((await up(image, args)).code).toBe(2);
  expect(existsSync(image)).toBe(false);
});

test('doctor: names what is wrong with the path, and is content with a sound image', async () => {
  const home = temporary();
  writeFileSync(join(home, 'file'), '');
  const wrong = await telos(['doctor', '--json', '--image', join(home, 'file')]);
  expect(wrong.code).toBe(1);
  const { findings } = JSON.parse(wrong.stdout) as { findings: { check: string; ok: boolean; remedy: string }[] };
  expect(findings.find(({ check }) => check === 'image')).toMatchObject({
    ok: false,
    remedy: expect.stringMatching(/./),
  });
  expect((await telos(['doctor', '--image', join(home, 'image')])).code).toBe(0);
  expect(existsSync(join(home, 'image'))).toBe(false);
});

test('image-of-a-newer-generation: IMAGE_NEWER, and it is left as it was', async () => {
  const image = join(temporary(), 'image');
  const make = `
    import { createImage } from ${JSON.stringify(pathToFileURL(join(ROOT, 'dist/runtime/journal/index.js')).href)};
    import { defaultConfig } from ${JSON.stringify(pathToFileURL(join(ROOT, 'dist/config/index.js')).href)};
    await createImage(process.argv[1], { ...defaultConfig.journal, generation: 99 });`;
  expect(await run(process.execPath, ['--input-type=module', '-e', make, image])).toMatchObject({ code: 0 });
  const head = readFileSync(join(image, 'head'));
  const outcome = await up(image);
  expect(outcome.stderr).toContain('99');
  await expectRefusal(outcome, 'IMAGE_NEWER', image);
  expect(readFileSync(join(image, 'head')).equals(head)).toBe(true);
});
