/** Nobody is orphaned: whoever dies first, stopped or not, the rest ends, and `telos up` works at once. */
import { join } from 'node:path';
import {
  Running,
  cleanUp,
  ended,
  isAlive,
  pidsWith,
  signal,
  telos,
  temporary,
  until,
  type Row,
} from './support/processes.js';

afterAll(cleanUp);

/** "At once" is one start: of the machine's own speed, so generous. */
const AT_ONCE_MS = 15_000;

const pidOf = (rows: readonly Row[], name: string): number => rows.find((row) => row.name === name)?.pid ?? 0;

async function upAgain(image: string, text: string): Promise<void> {
  const running = await Running.up(image, ['--hosts', '1'], { ms: AT_ONCE_MS });
  expect((await running.status()).processes.every(({ state }) => state === 'running')).toBe(true);
  await running.down();
  expect(pidsWith(text)).toEqual([]);
}

const gone = (pids: readonly number[], ms?: number): Promise<unknown> =>
  until(`${pids.join(', ')} to end`, () => pids.every((pid) => !isAlive(pid)), ms);

async function started(hosts = 2): Promise<{ home: string; image: string; running: Running; rows: Row[] }> {
  const home = temporary();
  const image = join(home, 'image');
  const running = await Running.up(image, ['--hosts', String(hosts)]);
  return { home, image, running, rows: (await running.status()).processes };
}

test('guardian-killed: the kernel stops all in order, and the image starts again at once', async () => {
  const { home, image, rows } = await started();
  signal(pidOf(rows, 'guardian'), 'SIGKILL');
  await gone(rows.map(({ pid }) => pid));
  await upAgain(image, home);
});

test('guardian-killed-and-started-again-in-the-same-moment: what is left over is ended first', async () => {
  const { home, image, rows } = await started();
  signal(pidOf(rows, 'guardian'), 'SIGKILL');
  await upAgain(image, home);
  await gone(rows.map(({ pid }) => pid));
});

test('guardian-killed-while-kernel-and-host-are-stopped: they see no pipe, whoever starts next ends them', async () => {
  const { home, image, rows } = await started();
  for (const name of ['kernel', 'host-1']) signal(pidOf(rows, name), 'SIGSTOP');
  signal(pidOf(rows, 'guardian'), 'SIGKILL');
  expect(isAlive(pidOf(rows, 'kernel'))).toBe(true);
  await upAgain(image, home);
  await gone(rows.map(({ pid }) => pid));
});

test('kernel-killed-while-a-host-is-stopped: the next kernel does not meet it', async () => {
  const { running, rows, home } = await started();
  signal(pidOf(rows, 'host-1'), 'SIGSTOP');
  signal(pidOf(rows, 'kernel'), 'SIGKILL');
  await gone([pidOf(rows, 'kernel'), pidOf(rows, 'host-1'), pidOf(rows, 'host-2')]);
  const after = await until('both hosts again', async () => {
    const { processes } = await running.status();
    return processes.filter(({ role, state }) => role === 'host' && state === 'running').length === 2
      ? processes
      : undefined;
  });
  expect(after.find(({ role }) => role === 'kernel')).toMatchObject({ restarts: 1 });
  await running.down();
  expect(pidsWith(home)).toEqual([]);
});

test('telos-up-killed: its guardian stops all in order', async () => {
  const { home, running, rows } = await started();
  signal(running.child.pid ?? 0, 'SIGKILL');
  await gone(rows.map(({ pid }) => pid));
  expect(pidsWith(home)).toEqual([]);
});

test('telos-up-killed-and-started-again-in-the-same-moment: the second waits for the first to end', async () => {
  const { home, image, running, rows } = await started();
  signal(running.child.pid ?? 0, 'SIGKILL');
  await upAgain(image, home);
  await gone(rows.map(({ pid }) => pid));
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s-to-telos-up: all stop in order, exit code 0', async (name) => {
  const { home, running, rows } = await started(1);
  signal(running.child.pid ?? 0, name);
  expect(await ended(running.child)).toBe(0);
  await gone(
    rows.map(({ pid }) => pid),
    1000,
  );
  expect(pidsWith(home)).toEqual([]);
});

test('stopped-kernel-is-told-to-stop: past the deadline it is killed, and nothing is left', async () => {
  const { home, image, rows } = await started(1);
  signal(pidOf(rows, 'kernel'), 'SIGSTOP');
  signal(pidOf(rows, 'guardian'), 'SIGTERM');
  await gone(
    rows.map(({ pid }) => pid),
    30_000,
  );
  await upAgain(image, home);
});

test('down-twice: the second finds nothing that runs', async () => {
  const { image, running } = await started(1);
  await running.down();
  const { code, stderr } = await telos(['down', '--image', image]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^NOT_RUNNING: /);
});

test('kernel-killed-again-and-again-while-it-starts: it comes up in the end', async () => {
  const { home, running, rows } = await started(1);
  let last = pidOf(rows, 'kernel');
  for (let i = 0; i < 5; i++) {
    signal(last, 'SIGKILL');
    const before = last;
    last = await until('the next kernel', () => kernelsOf(home).find((pid) => pid !== before) ?? 0);
  }
  const status = await until('an answer', () => running.status());
  expect(status.processes.find(({ role }) => role === 'kernel')?.restarts).toBe(5);
  await running.down();
  expect(pidsWith(home)).toEqual([]);
});

const kernelsOf = (home: string): number[] => pidsWith(home).filter((pid) => pidsWith('kernel-main.js').includes(pid));
