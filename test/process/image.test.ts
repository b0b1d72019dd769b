/** The image directory: locks, leftovers, permissions, copies; with real processes. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  acquireLock,
  createKeys,
  imagePaths,
  killLeftovers,
  listProcesses,
  liveEndpoint,
  lockHolder,
  noteProcess,
  prepareImage,
  readEndpoint,
  readKeys,
  startTimeOf,
  writeEndpoint,
  writeFileAtomic,
} from '../../runtime/image/index.js';
import { tool } from './support/journal-tool.js';
import { SOMEONE_ELSE, othersMayRead, testNeeding } from './support/needs.js';
import { cleanUp, ended, isAlive, temporary } from './support/processes.js';

const children: ChildProcess[] = [];
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await cleanUp();
});

function image(): string {
  const dir = join(temporary('telos-image-'), 'image');
  prepareImage(dir);
  return dir;
}

function sleeper(): ChildProcess {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  children.push(child);
  return child;
}

const pidOf = (child: ChildProcess): number => child.pid ?? 0;

describe('leftovers', () => {
  test('what an earlier life left running is killed, stopped processes too; this process and kept ones live', async () => {
    const dir = image();
    const [one, stopped, kept] = [sleeper(), sleeper(), sleeper()];
    for (const [child, name] of [
      [one, 'host 1'],
      [stopped, 'kernel'],
      [kept, 'guardian'],
    ] as const)
      await noteProcess(dir, pidOf(child), name);
    await noteProcess(dir, process.pid, 'me');
    stopped.kill('SIGSTOP');
    const killed = await killLeftovers(dir, [pidOf(kept)]);
    expect(killed.map(({ name }) => name).sort()).toEqual(['host-1', 'kernel']);
    expect([pidOf(one), pidOf(stopped), pidOf(kept)].map(isAlive)).toEqual([false, false, true]);
    expect(
      listProcesses(dir)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['guardian', 'me']);
  });

  test('a stranger under the same pid is not killed', async () => {
    const dir = image();
    const stranger = sleeper();
    const entry = await noteProcess(dir, pidOf(stranger), 'host-1');
    const { processes } = imagePaths(dir);
    const [file = ''] = readdirSync(processes);
    cpSync(join(processes, file), join(processes, file.replace(entry?.startTime ?? '', '1-00000000')));
    rmSync(join(processes, file));
    expect(await killLeftovers(dir)).toEqual([]);
    expect(isAlive(pidOf(stranger))).toBe(true);
    expect(listProcesses(dir)).toEqual([]);
  });

  test('the processes, endpoint and locks of the original do not count in a copy', async () => {
    const dir = image();
    const child = sleeper();
    await noteProcess(dir, pidOf(child), 'host-1');
    await writeEndpoint(dir, 'tcp://127.0.0.1:4444', 'key');
    const lock = await acquireLock(dir, 'kernel');
    const copy = `${dir}-copy`;
    cpSync(dir, copy, { recursive: true });
    expect(await liveEndpoint(dir)).toMatchObject({ endpoint: 'tcp://127.0.0.1:4444', pid: process.pid });
    expect(await readEndpoint(copy)).toBeUndefined();
    expect(await killLeftovers(copy)).toEqual([]);
    expect(isAlive(pidOf(child))).toBe(true);
    (await acquireLock(copy, 'kernel')).release();
    lock.release();
  });

  test('start times: of a running process the same each time, of an ended one none', async () => {
    const child = sleeper();
    const first = await startTimeOf(pidOf(child));
    expect(first).toMatch(/^[0-9a-f-]+$/);
    expect(await startTimeOf(pidOf(child))).toBe(first);
    child.kill('SIGKILL');
    await ended(child);
    expect(await startTimeOf(pidOf(child))).toBeUndefined();
  });
});

describe('locks', () => {
  test('held once, released, taken again; each name by itself', async () => {
    const dir = image();
    const lock = await acquireLock(dir, 'kernel');
    expect(await lockHolder(dir, 'kernel')).toBe(process.pid);
    await expect(acquireLock(dir, 'kernel')).rejects.toMatchObject({
      code: 'IMAGE_LOCKED',
      details: { pid: process.pid },
    });
    (await acquireLock(dir, 'guardian')).release();
    lock.release();
    lock.release();
    expect(await lockHolder(dir, 'kernel')).toBeUndefined();
    (await acquireLock(dir, 'kernel')).release();
    expect(readdirSync(imagePaths(dir).locks).filter((file) => file.startsWith('kernel'))).toHaveLength(1);
  });

  test('many at once over a lock that a dead process left: one gets it', async () => {
    const dir = image();
    for (let round = 0; round < 5; round++) {
      const { locks } = imagePaths(dir);
      const number = Math.max(0, ...readdirSync(locks).map((file) => Number(file.split('.')[1]))) + 1;
      writeFileSync(join(locks, `journal.${number}`), '999999999 1-00000000 0-0');
      const tries = await Promise.allSettled(Array.from({ length: 12 }, () => acquireLock(dir, 'journal')));
      const got = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      expect(got).toHaveLength(1);
      got[0]?.release();
    }
  });
});

describe('files', () => {
  test('keys are made once and only the owner reads them', async () => {
    const dir = image();
    expect(await readKeys(dir)).toBeUndefined();
    let made = 0;
    const make = () => ({ publicKey: `public${++made}`, secretKey: `secret${made}` });
    const keys = await createKeys(dir, make);
    expect(await createKeys(dir, make)).toEqual(keys);
    expect(await readKeys(dir)).toEqual(keys);
    expect(keys.owner.token).toMatch(/^[0-9a-f]{64}$/);
    expect(made).toBe(2);
    if (process.platform === 'win32') return;
    for (const path of [imagePaths(dir).ownerKeys, imagePaths(dir).serverKeys])
      expect(statSync(path).mode & 0o077).toBe(0);
    expect(statSync(imagePaths(dir).keys).mode & 0o077).toBe(0);
  });

  test('a file is replaced as a whole, nothing is left beside it', async () => {
    const dir = image();
    const path = join(dir, 'some.json');
    await Promise.all(Array.from({ length: 20 }, (_, i) => writeFileAtomic(path, `${i}`.repeat(1000))));
    expect(statSync(path).size % 1000).toBe(0);
    expect(readdirSync(dir).filter((file) => file.startsWith('some'))).toEqual(['some.json']);
  });

  test('a path that can not hold an image', () => {
    const file = join(temporary('telos-image-'), 'file');
    writeFileSync(file, '');
    for (const bad of [file, join(file, 'below'), '', 'a\0b']) {
      expect(() => prepareImage(bad)).toThrow(expect.objectContaining({ code: 'BAD_PATH' }));
    }
  });

  const asSomeoneElse = process.getuid?.() === 0 && othersMayRead();
  testNeeding('root and a checkout that others may read', asSomeoneElse, 'a directory without write permission', () => {
    const home = temporary('telos-image-');
    chmodSync(home, 0o755);
    const dir = join(home, 'image');
    mkdirSync(dir, { mode: 0o555 });
    expect(tool('create', dir, {}, { uid: SOMEONE_ELSE }).error).toMatchObject({
      code: 'NO_PERMISSION',
      message: expect.stringContaining(dir),
    });
    expect(tool('create', join(home, 'other'), {}, { uid: SOMEONE_ELSE }).error).toMatchObject({
      code: 'NO_PERMISSION',
    });
    expect(existsSync(join(home, 'other'))).toBe(false);
    const whole = join(home, 'whole');
    tool('fill', whole, { groups: 2 });
    expect(tool('open', whole, {}, { uid: SOMEONE_ELSE }).error).toMatchObject({ code: 'NO_PERMISSION' });
  });
});
