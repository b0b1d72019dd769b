/** Child processes of ours: life line, reports, last words, log files, memory. The children are small scripts. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, existsSync, appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { NodeChild, type ChildExit } from '../../runtime/process/child.js';
import { readJsonLines } from '../../runtime/process/lines.js';
import { logPath, rotateLog, tailOfLog } from '../../runtime/process/log-file.js';
import { residentBytes } from '../../runtime/process/memory.js';

const dir = mkdtempSync(join(tmpdir(), 'telos-plumbing-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

interface Life {
  readonly child: NodeChild;
  readonly reports: unknown[];
  readonly reported: Promise<unknown>;
  readonly exit: Promise<ChildExit>;
}

let scripts = 0;

function start(source: string, log: string | null = null): Life {
  const script = join(dir, `script-${++scripts}.mjs`);
  writeFileSync(script, source);
  const reports: unknown[] = [];
  let told: (value: unknown) => void = () => undefined;
  let over: (exit: ChildExit) => void = () => undefined;
  const reported = new Promise((resolve) => (told = resolve));
  const exit = new Promise<ChildExit>((resolve) => (over = resolve));
  const onReport = (value: unknown): void => {
    reports.push(value);
    told(value);
  };
  return { child: new NodeChild({ script, log, onReport, onExit: over }), reports, reported, exit };
}

/** Says what it hears on its life line, and ends when that closes. */
const ECHO = `import { writeSync } from 'node:fs';
let rest = '';
process.stdin.on('data', (chunk) => {
  const lines = (rest + chunk).split('\\n');
  rest = lines.pop();
  for (const line of lines) writeSync(3, JSON.stringify({ heard: JSON.parse(line) }) + '\\n');
});
process.stdin.on('end', () => process.exit(5));`;

test('life-line: what is told arrives, its end ends the child', async () => {
  const { child, reported, exit } = start(ECHO);
  child.tell({ first: 'configuration' });
  expect(await reported).toEqual({ heard: { first: 'configuration' } });
  child.release();
  expect(await exit).toEqual({ code: 5, signal: null });
});

test('last-report-before-a-crash-is-heard-before-the-exit', async () => {
  const { reports, exit } = start(
    `import { writeSync } from 'node:fs'; writeSync(3, '{"last":true}\\n'); process.exit(3)`,
  );
  expect(await exit).toMatchObject({ code: 3 });
  expect(reports).toEqual([{ last: true }]);
});

test('last-words-of-a-crash-are-in-the-log', async () => {
  const log = logPath(dir, 'crash');
  const { exit } = start('console.log("said before"); throw new Error("the last words")', log);
  expect((await exit).code).not.toBe(0);
  expect(tailOfLog(log, 10_000, 100)).toContain('said before');
  expect(tailOfLog(log, 10_000, 100)).toContain('the last words');
});

test('killed: the signal is told', async () => {
  const { child, exit } = start('setInterval(() => {}, 1000)');
  child.kill();
  expect(await exit).toEqual({ code: null, signal: 'SIGKILL' });
  child.kill();
});

test('script-that-is-not-there: an exit, no exception', async () => {
  const exit = new Promise<ChildExit>((resolve) => {
    new NodeChild({ script: join(dir, 'nowhere.mjs'), log: null, onExit: resolve });
  });
  expect((await exit).code).toBe(1);
});

test('lines: split anywhere, garbage is passed over', async () => {
  const stream = new PassThrough();
  const heard: unknown[] = [];
  const bad: string[] = [];
  readJsonLines(
    stream,
    (value) => heard.push(value),
    (line) => bad.push(line),
  );
  for (const part of ['{"a":', '1}\n{"b"', ':2}\nnonsense\n', '3\n']) stream.write(part);
  stream.end();
  await new Promise((resolve) => stream.once('end', resolve));
  expect(heard).toEqual([{ a: 1 }, { b: 2 }, 3]);
  expect(bad).toEqual(['nonsense']);
});

describe('log files', () => {
  test('no-name-looks-like-one-of-RocksDB', () => {
    for (const name of ['000012', '1-kernel', '../x', ''])
      expect(() => logPath(dir, name)).toThrow(/no name for a log/);
  });

  test('full-log-is-put-aside-once-and-its-writer-goes-on', () => {
    const path = logPath(dir, 'full');
    writeFileSync(path, 'x'.repeat(2000));
    expect(rotateLog(path, 5000)).toBe(false);
    expect(rotateLog(path, 1000)).toBe(true);
    appendFileSync(path, 'new');
    expect(readFileSync(path, 'utf8')).toBe('new');
    const old = join(dir, 'full.old.log');
    expect(statSync(old).size).toBe(2000);
    appendFileSync(path, 'y'.repeat(3000));
    expect(rotateLog(path, 1000)).toBe(true);
    expect(readFileSync(old, 'utf8').startsWith('newyyy')).toBe(true);
  });

  test('log-that-is-not-there-is-no-error', () => {
    expect(rotateLog(join(dir, 'none.log'), 10)).toBe(false);
    expect(tailOfLog(join(dir, 'none.log'))).toBe('');
    expect(existsSync(join(dir, 'none.log'))).toBe(false);
  });
});

test('memory: of this process, none of one that is not there', async () => {
  const found = await residentBytes([process.pid, 4_000_000]);
  expect(found.get(process.pid)).toBeGreaterThan(10 * 2 ** 20);
  expect(found.has(4_000_000)).toBe(false);
});
