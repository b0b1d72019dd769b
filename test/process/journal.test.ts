/** The journal on RocksDB, in real processes: the acceptance suite, kills, locks, damage, full disks. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { journalChecks } from '../journal-suite.js';
import { fixtureLines, flipBit, hold, journalFiles, tool, type Result } from './support/journal-tool.js';
import { cleanUp, ended, temporary } from './support/processes.js';

afterAll(cleanUp);

const fresh = (): string => join(temporary('telos-journal-'), 'image');

/** A copy without the reserve, which no check needs. */
function copyOf(image: string): string {
  const copy = fresh();
  cpSync(image, copy, { recursive: true, filter: (path) => !path.endsWith('reserve') });
  return copy;
}

describe('acceptance suite on RocksDB', () => {
  let results: Result[] = [];
  beforeAll(() => (results = fixtureLines('suite.ts', [temporary('telos-suite-')])));
  test.each(Object.keys(journalChecks))('%s', (name) => {
    const result = results.find((one) => one.name === name);
    expect(result).toBeDefined();
    if (result.error !== undefined) throw new Error(result.error);
  });
});

describe('lives', () => {
  test('kill -9 in the middle: everything answered is there, the image is whole', () => {
    const image = fresh();
    const { answered } = tool('fillAndDie', image, { groups: 30, turns: 5 });
    expect(answered).toBe(150);
    expect(tool('open', image)).toMatchObject({ endSeq: 150, incarnation: 2, damage: [] });
    expect(tool('verify', image)).toMatchObject({ ok: true, turns: 150 });
  });

  test('as many real syncs as groups', () => {
    const { syncs } = tool('fill', fresh(), { groups: 40, turns: 3 });
    expect(syncs).toBe(40);
  });

  test('an image that another process has open is refused, also to verify; one that was killed is not', async () => {
    const image = fresh();
    tool('create', image);
    const { child, first } = await hold(image);
    expect(first.incarnation).toBe(1);
    for (const command of ['open', 'verify']) {
      expect(tool(command, image).error).toMatchObject({
        code: 'IMAGE_LOCKED',
        message: expect.stringContaining(String(child.pid)),
      });
    }
    child.kill('SIGKILL');
    await ended(child);
    expect(tool('open', image)).toMatchObject({ incarnation: 2 });
  });

  test('a copy of an image that is open can be opened', async () => {
    const image = fresh();
    tool('fill', image, { groups: 3 });
    const { child } = await hold(image);
    const copy = copyOf(image);
    expect(tool('open', copy)).toMatchObject({ endSeq: 30 });
    child.stdin?.end();
    await ended(child);
  });

  test('a directory without an image, an interrupted creation, a second creation', () => {
    const image = fresh();
    mkdirSync(image);
    expect(tool('open', image).error.code).toBe('NO_IMAGE');
    expect(tool('create', image)).toEqual({ made: true });
    expect(tool('create', image)).toEqual({ made: false });
    rmSync(join(image, 'head'));
    expect(tool('create', image)).toEqual({ made: true });
    expect(tool('fill', image, { groups: 2 })).toMatchObject({ syncs: 2 });
    rmSync(join(image, 'head'));
    expect(tool('create', image).error.code).toBe('DAMAGED');
  });

  test('a newer generation is refused and the image left as it was', () => {
    const image = fresh();
    tool('create', image, { generation: 99 });
    const before = contents(image);
    for (const command of ['open', 'touch', 'verify'])
      expect(tool(command, image).error).toMatchObject({ code: 'IMAGE_NEWER', message: expect.stringContaining('99') });
    expect(contents(image)).toEqual(before);
  });
});

function contents(image: string): Record<string, string> {
  const files = ['head', ...readdirSync(join(image, 'journal')).map((file) => join('journal', file))];
  return Object.fromEntries(
    files.map((file) => [file, existsSync(join(image, file)) ? readFileSync(join(image, file), 'hex') : 'none']),
  );
}

describe('damage', () => {
  /** Turns in tables of several levels and in the log. */
  let image = '';
  beforeAll(() => {
    image = fresh();
    tool('fill', image, { groups: 150, turns: 10, options: { writeBufferBytes: 262_144 } });
  });

  /** Opening names the damage and changes nothing; verify names it and ends with 1. */
  function expectFound(copy: string, place: RegExp): void {
    const before = contents(copy);
    expect(tool('open', copy).error).toMatchObject({ code: 'DAMAGED', message: expect.stringMatching(place) });
    expect(contents(copy)).toEqual(before);
    const report = tool('verify', copy);
    expect(report.ok).toBe(false);
    expect(report.problems.map((one: Result) => `${one.place}: ${one.message}`).join('\n')).toMatch(place);
  }

  test('the image is whole before', () => {
    expect(journalFiles(image, '.log')[0]).toBeDefined();
    expect(journalFiles(image, '.sst')[0]).toBeDefined();
    expect(tool('verify', image)).toMatchObject({ ok: true, turns: 1500 });
  });

  test.each([0.02, 0.3, 0.5, 0.7, 0.97])('a flipped bit in the log, at %d of it', (part) => {
    const copy = copyOf(image);
    const [log = ''] = journalFiles(copy, '.log');
    const { length } = readFileSync(log);
    flipBit(log, Math.floor(length * part));
    expectFound(
      copy,
      part > 0.9 ? /turns? \d+/ : new RegExp(`${basename(log)}.*turns \\d+ to \\d+ are missing|turn \\d+`, 's'),
    );
  });

  test('a log that was cut short', () => {
    const copy = copyOf(image);
    const [log = ''] = journalFiles(copy, '.log');
    truncateSync(log, Math.floor(readFileSync(log).length / 2));
    expectFound(copy, /ends at turn \d+, but turns up to 1500 were written/);
  });

  test.each([0, 0.3, 0.6, 0.9, 0.9999])('a flipped bit in a table, at %d of it', (part) => {
    const copy = copyOf(image);
    const [table = ''] = journalFiles(copy, '.sst');
    flipBit(table, Math.floor(readFileSync(table).length * part));
    expectFound(copy, new RegExp(basename(table)));
  });

  test('a value that was changed through RocksDB itself', () => {
    const copy = copyOf(image);
    for (const key of ['6f236f2e3132', '6a0000000000000065']) {
      const changed = spawnSync(process.execPath, ['-e', CHANGE_VALUE, join(copy, 'journal'), key], {
        encoding: 'utf8',
      });
      expect(changed.stderr).toBe('');
      expectFound(copy, /object #o\.12 does not have|commit record 101 does not have/);
    }
  });

  test('a table that is missing', () => {
    const copy = copyOf(image);
    rmSync(journalFiles(copy, '.sst')[0] ?? '');
    expectFound(copy, /\.sst/);
  });

  test('a flipped bit in head: served from the other slot, named by the log and by verify; both gone: not served', () => {
    const copy = copyOf(image);
    flipBit(join(copy, 'head'), 20);
    const report = tool('verify', copy);
    expect(report).toMatchObject({
      ok: false,
      problems: [{ place: 'head', message: expect.stringContaining('slot 0') }],
    });
    flipBit(join(copy, 'head'), 4096 + 20);
    expectFound(copy, /head: both slots/);
    rmSync(join(copy, 'head'));
    expectFound(copy, /head is missing/);
    const other = copyOf(image);
    flipBit(join(other, 'head'), 3000);
    expect(tool('open', other).events).toContainEqual(['warn', 'head.slotDamaged', expect.anything()]);
    expect(tool('verify', other)).toMatchObject({ ok: true });
  });

  test('a head of another image', () => {
    const copy = copyOf(image);
    const stranger = fresh();
    tool('fill', stranger, { groups: 30, turns: 7 });
    writeFileSync(join(copy, 'head'), readFileSync(join(stranger, 'head')));
    expectFound(copy, /do not belong together|chain hash|is missing/);
  });

  test('a large journal is checked in the background, and damage ends serving', () => {
    const copy = copyOf(image);
    const [table = ''] = journalFiles(copy, '.sst');
    flipBit(table, 5000);
    const options = { verifyAtOpenBytes: 0 };
    const opened = tool('open', copy, { options, waitMs: 2000 });
    expect(opened.damage).toMatchObject([{ code: 'DAMAGED', message: expect.stringContaining(basename(table)) }]);
    writeFileSync(join(copy, 'run', 'unchecked'), '2');
    expect(tool('open', copy, { options }).error).toMatchObject({ code: 'DAMAGED' });
  });
});

/** Takes a value out, flips a bit, puts it back, so that RocksDB's own checksums are right. */
const CHANGE_VALUE = `
const db = require('rocksdb')(process.argv[1]);
const key = Buffer.from(process.argv[2], 'hex');
db.open({}, () => db.get(key, (error, value) => {
  if (error) throw error;
  value[5] ^= 4;
  db.batch([{ type: 'put', key, value }], { sync: true }, () => db.close(() => {}));
}));`;

describe('verify', () => {
  const ENTRY = ['--no-warnings', '--import', './test/simulation/register.mjs', 'ops/verify.ts'];
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [...ENTRY, ...args], { encoding: 'utf8' });

  test('exit code 0 and the counts; 1 with the place; 2 for wrong usage', () => {
    const image = fresh();
    tool('fill', image, { groups: 10, turns: 10 });
    expect(run('--image', image)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^ok: 100 turns, \d+ objects/),
    });
    expect(JSON.parse(run('--image', image, '--json').stdout)).toMatchObject({ ok: true, turns: 100, problems: [] });
    expect(run('--imagine', image)).toMatchObject({ status: 2, stderr: expect.stringContaining('usage') });
    expect(run('--image', `${image}-none`)).toMatchObject({ status: 1, stderr: expect.stringContaining('NO_IMAGE') });
    const [log = ''] = journalFiles(image, '.log');
    flipBit(log, 2000);
    expect(run('--image', image)).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/\.log is damaged[^]*DAMAGED: \d+ problem/),
    });
    expect(JSON.parse(run('--image', image, '--json').stdout)).toMatchObject({ ok: false });
  });
});

describe('a full disk', () => {
  const volume = temporary('telos-full-');
  const mounted =
    process.platform === 'linux' &&
    spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'telos-test', volume]).status === 0;
  afterAll(() => {
    if (mounted) spawnSync('umount', [volume]);
  });
  const needsMount = mounted ? test : test.skip;
  const suffix = mounted ? '' : ' [skipped: needs mount]';

  needsMount(`refused, reopened, readable, and writable again after space was freed${suffix}`, () => {
    const image = join(volume, 'image');
    const small = { options: { writeBufferBytes: 1024 * 1024 } };
    const filled = tool('fillUp', image, small);
    expect(filled.error.code).toBe('DISK_FULL');
    expect(filled.again.code).toBe('DISK_FULL');
    expect(filled.answered).toBeGreaterThan(1000);
    spawnSync('dd', ['if=/dev/zero', `of=${join(volume, 'filler')}`, 'bs=4k']);
    const [first, second] = [tool('open', image, small), tool('open', image, small)];
    for (const opened of [first, second])
      expect(opened).toMatchObject({ endSeq: filled.answered, readOnly: true, refused: { code: 'DISK_FULL' } });
    expect(second.incarnation).toBe(Number(first.incarnation) + 1);
    expect(tool('room', image, small)).toEqual({ room: false });
    expect(tool('verify', image)).toMatchObject({ ok: true, turns: filled.answered });
    rmSync(join(volume, 'filler'));
    spawnSync('mount', ['-o', 'remount,size=32m', volume]);
    expect(tool('room', image, small)).toEqual({ room: true });
    expect(existsSync(join(image, 'reserve'))).toBe(true);
    expect(tool('touch', image, small)).toMatchObject({ readOnly: false, endSeq: filled.answered });
    expect(tool('verify', image)).toMatchObject({ ok: true, turns: filled.answered });
  });

  needsMount(`no room for a new image${suffix}`, () => {
    spawnSync('dd', ['if=/dev/zero', `of=${join(volume, 'filler')}`, 'bs=4k']);
    expect(tool('create', join(volume, 'other')).error.code).toBe('DISK_FULL');
    rmSync(join(volume, 'filler'));
  });

  const limited = process.platform === 'win32' ? test.skip : test;
  limited('a file size limit: the group is refused, what was answered is there', () => {
    const image = fresh();
    tool('create', image);
    const filled = tool(
      'fillUp',
      image,
      { options: { writeBufferBytes: 8 * 1024 * 1024 } },
      { shell: 'trap "" XFSZ; ulimit -f 3000;' },
    );
    expect(filled.error.code).toBe('DISK_FULL');
    expect(tool('open', image)).toMatchObject({ endSeq: filled.answered, readOnly: false });
    expect(tool('verify', image)).toMatchObject({ ok: true });
  });
});
