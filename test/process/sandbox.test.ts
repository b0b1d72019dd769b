/** The sandbox from outside: hostile drafts against real threads, and what ordinary drafts may do. */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { PoolOptions, SandboxReport, SandboxTask } from '../../runtime/sandbox/index.js';
import { HOSTILE } from '../fixtures/hostile/drafts.js';
import { cleanUp, ended, ROOT, start, telos, temporary } from './support/processes.js';

const OPTIONS: PoolOptions = {
  threads: 2,
  queue: 8,
  killAfterMs: 5000,
  limits: { runTimeMs: 1000, memoryBytes: 32 << 20, stackBytes: 256 << 10, reportChars: 1 << 20, effects: 1000 },
};

interface Word {
  readonly id: number;
  readonly polluted: boolean;
  readonly report?: SandboxReport;
  readonly error?: { readonly code: string; readonly message: string };
}

class Pool {
  readonly child: ChildProcess;
  readonly #waiting = new Map<number, (word: Word) => void>();
  #counter = 0;

  constructor(options: PoolOptions = OPTIONS) {
    const fixture = join(ROOT, 'test', 'fixtures', 'sandbox-pool.mjs');
    this.child = start(process.execPath, [fixture, JSON.stringify(options)]);
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const word = JSON.parse(line) as Word;
      this.#waiting.get(word.id)?.(word);
      this.#waiting.delete(word.id);
    });
  }

  ask(source: string, more: Partial<SandboxTask> = {}): Promise<Word> {
    const id = ++this.#counter;
    const task: SandboxTask = { source, self: {}, args: [], recordings: [], time: 1e12, seed: 7, ...more };
    this.child.stdin?.write(`${JSON.stringify({ id, task })}\n`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  async try(source: string, more: Partial<SandboxTask> = {}): Promise<SandboxReport> {
    const { report, error } = await this.ask(source, more);
    if (report === undefined) throw new Error(`${error?.code}: ${error?.message}`);
    return report;
  }

  /** Its exit code, after the end of its input. */
  async end(): Promise<number | string | null> {
    this.child.stdin?.end();
    return ended(this.child);
  }
}

afterAll(cleanUp);

describe('hostile drafts', () => {
  let pool: Pool;
  beforeAll(() => {
    pool = new Pool();
  });
  afterAll(async () => expect(await pool.end()).toBe(0));

  test('the-corpus-is-large-and-has-no-doubles', () => {
    expect(HOSTILE.length).toBeGreaterThanOrEqual(100);
    expect(new Set(HOSTILE.map(({ name }) => name)).size).toBe(HOSTILE.length);
    expect(new Set(HOSTILE.map(({ source }) => source)).size).toBe(HOSTILE.length);
  });

  test.each(HOSTILE)('rejected: $name', async ({ source }) => {
    const { report, polluted } = await pool.ask(source);
    expect(report?.verdict).not.toBe('answered');
    expect(report?.verdict).toMatch(/^(failed|stalled|refused|killed)$/);
    expect(polluted).toBe(false);
    // The next draft finds nothing of it.
    expect(pool.child.exitCode).toBeNull();
  });

  test('a-draft-after-all-of-them-answers-as-ever', async () => {
    expect(
      await pool.try('async (self) => [typeof globalThis.kept, ({}).polluted, [1, 2].map((n) => n + 1)]'),
    ).toMatchObject({ verdict: 'answered', value: ['undefined', null, [2, 3]] });
  });
});

describe('ordinary drafts', () => {
  let pool: Pool;
  beforeAll(() => {
    pool = new Pool();
  });
  afterAll(async () => expect(await pool.end()).toBe(0));

  test('reads-writes-and-removes-slots-and-tells-which', async () => {
    const report = await pool.try(
      'async (self, n) => { self.a += n; delete self.b; self.c = { d: [1] }; return Object.keys(self) }',
      {
        self: { a: 1, b: 2, unused: 3 },
        args: [4],
      },
    );
    expect(report).toMatchObject({ verdict: 'answered', value: ['a', 'unused', 'c'], error: null });
    expect(report.effects).toMatchObject({ writes: { a: 5, c: { d: [1] } }, removed: ['b'] });
    expect(report.effects.reads).toEqual(expect.arrayContaining(['a', 'b']));
  });

  test('what-it-would-send-is-told-and-answered-from-recordings', async () => {
    const report = await pool.try(
      'async (self, cart) => { image.tell(cart, "x", self); image.after(5, "later", "y"); await image.create({ n: 1 }); return (await cart.total(1)) + 1 }',
      { args: [{ $ref: '#cart' }], recordings: [{ to: '#cart', selector: 'total', reply: 41 }] },
    );
    expect(report).toMatchObject({
      verdict: 'answered',
      value: 42,
      effects: {
        sends: [{ to: '#cart', selector: 'total', args: [1] }],
        tells: [{ to: '#cart', selector: 'x', args: [{ $ref: 'self' }] }],
        timers: [{ to: 'later', selector: 'y', args: [], ms: 5 }],
        creates: [{ n: 1 }],
      },
    });
  });

  test('values-come-and-go-as-they-are', async () => {
    const value = {
      a: { $int: '123456789012345678901' },
      b: { $bytes: 'AQIDBA==' },
      c: { $$ref: 'x' },
      d: [null, true, 'ä\u0000'],
      e: { $num: 'NaN' },
    };
    expect(await pool.try('async (self) => self.value', { self: { value } })).toMatchObject({
      verdict: 'answered',
      value,
    });
    const looks =
      'async (self) => [typeof self.value.a, self.value.b.length, self.value.c.$ref, self.value.e !== self.value.e]';
    expect((await pool.try(looks, { self: { value } })).value).toEqual(['bigint', 4, 'x', true]);
  });

  test('time-and-chance-are-those-of-the-task', async () => {
    const source = 'async () => [Date.now(), new Date().toISOString(), Math.random(), Math.random()]';
    const first = await pool.try(source);
    expect(first.value).toEqual((await pool.try(source)).value);
    expect((first.value as unknown[]).slice(0, 2)).toEqual([1e12, '2001-09-09T01:46:40.000Z']);
    expect((await pool.try(source, { seed: 8 })).value).not.toEqual(first.value);
  });

  test('an-error-of-the-draft-is-its-own', async () => {
    expect(await pool.try('async () => { throw new RangeError("too few") }')).toMatchObject({
      verdict: 'failed',
      error: { name: 'RangeError', message: 'too few' },
    });
  });
});

test('past-the-queue-busy-and-the-others-are-answered', async () => {
  const pool = new Pool({ ...OPTIONS, threads: 1, queue: 2 });
  await pool.try('async () => 1');
  const words = await Promise.all(Array.from({ length: 6 }, () => pool.ask('async () => 1')));
  const busy = words.filter(({ error }) => error?.code === 'BUSY');
  expect(busy.length).toBeGreaterThan(0);
  expect(words.filter(({ report }) => report?.verdict === 'answered').length).toBe(words.length - busy.length);
  expect(await pool.end()).toBe(0);
});

describe('telos sandbox FILE', () => {
  const file = (source: string): string => {
    const path = join(temporary(), 'method.js');
    writeFileSync(path, source);
    return path;
  };
  const deposit =
    '// adds\nasync (self, n) => { if (!(n > 0)) throw new RangeError("too few"); self.balance += n; return self.balance };\n';

  test('tells-answer-effects-time-and-memory', async () => {
    const path = file(deposit);
    const said = await telos(['sandbox', path, '--self', '{"balance":1}', '--arg', '5']);
    expect(said).toMatchObject({ code: 0, stderr: '' });
    expect(said.stdout).toMatch(/^answered: 6\nwrites: \{"balance":6\}\nreads: \["balance"\]\n[\d.]+ ms, \d+ MiB\n$/);
    const json = await telos(['sandbox', path, '--json', '--self', '{"balance":1}', '--arg', '-5']);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      verdict: 'failed',
      error: { name: 'RangeError', message: 'too few' },
    });
  });

  test('wrong-usage-and-files-that-are-not-there-or-no-method', async () => {
    expect(await telos(['sandbox', file(deposit), '--self', 'x'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('USAGE: --self x is no JSON') as string,
    });
    expect(await telos(['sandbox', join(temporary(), 'none.js')])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^BAD_ARGUMENT: .*none\.js can not be read/) as string,
    });
    const said = await telos(['sandbox', file('let x = 1')]);
    expect(said.code).toBe(1);
    expect(said.stdout).toMatch(/^refused: /);
  });
});
