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
  /** Started until then. */
  readonly threads: number;
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

  ask(source: string, more: Partial<SandboxTask> = {}, cancelMs?: number): Promise<Word> {
    const id = ++this.#counter;
    const task: SandboxTask = { source, self: {}, args: [], recordings: [], time: 1e12, seed: 7, ...more };
    this.child.stdin?.write(`${JSON.stringify({ id, task, cancelMs })}\n`);
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
      await pool.try('async (self) => [typeof globalThis.kept, typeof ({}).polluted, [1, 2].map((n) => n + 1)]'),
    ).toMatchObject({ verdict: 'answered', value: ['undefined', 'undefined', [2, 3]] });
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
      a: { $int: '-9223372036854775808' },
      b: { $bytes: 'AQIDBA==' },
      c: { $$ref: 'x' },
      d: [null, true, 'ä\u0000'],
    };
    expect(await pool.try('async (self) => self.value', { self: { value } })).toMatchObject({
      verdict: 'answered',
      value,
    });
    const looks = 'async (self) => [typeof self.value.a, self.value.b.length, self.value.c.$ref]';
    expect((await pool.try(looks, { self: { value } })).value).toEqual(['bigint', 4, 'x']);
    expect((await pool.try('async (self) => -0')).value).toBe(0);
    expect(await pool.try('async (self) => { self.x = undefined }')).toMatchObject({
      verdict: 'answered',
      value: null,
      effects: { writes: { x: null } },
    });
  });

  test('time-and-chance-are-those-of-the-task', async () => {
    const source = 'async () => [Date.now(), new Date().toISOString(), Math.random(), Math.random()]';
    const first = await pool.try(source);
    expect(first.value).toEqual((await pool.try(source)).value);
    expect((first.value as unknown[]).slice(0, 2)).toEqual([1e12, '2001-09-09T01:46:40.000Z']);
    expect((await pool.try(source, { seed: 8 })).value).not.toEqual(first.value);
  });

  test.each(['NaN', '[Infinity]', '{ a: undefined }', '[, 1]', '2n ** 64n'])(
    'what-no-slot-can-hold-is-no-answer-and-no-effect: %s',
    async (value) => {
      expect(await pool.try(`async () => (${value})`)).toMatchObject({ verdict: 'failed' });
      expect(await pool.try(`async (self) => { self.x = ${value} }`)).toMatchObject({ verdict: 'failed' });
      expect(await pool.try(`async (self) => image.tell(self, 'x', ${value})`)).toMatchObject({ verdict: 'failed' });
      expect(await pool.try(`async () => image.log(${value})`)).toMatchObject({ verdict: 'answered' });
    },
  );

  test.each([{ $int: 'x' }, { $bytes: '?' }, { $ref: 5 }])(
    'a-form-that-is-none-refuses-the-draft: %p',
    async (form) => {
      for (const task of [
        { self: { a: form } },
        { args: [[form]] },
        { recordings: [{ to: 'a', selector: 'b', reply: form }] },
      ])
        expect(await pool.try('async () => 1', task)).toMatchObject({ verdict: 'refused', ms: 0 });
    },
  );

  test('what-only-this-engine-can-not-read-is-refused', async () => {
    expect(await pool.try('async () => /(?<a>x)|(?<a>y)/.test("x")')).toMatchObject({
      verdict: 'refused',
      error: { message: expect.stringContaining('Duplicate capture group name') as string },
    });
  });

  test('a-change-inside-a-value-is-a-write', async () => {
    const self = { log: [1], deep: { a: { b: 1 } }, bytes: { $bytes: 'AQID' }, same: [1], gone: [1], n: 1 };
    const { verdict, effects } = await pool.try(
      'async (self) => { self.log.push(2); self.deep.a.b += 1; self.bytes[0] = 9; self.same.push(self.same.pop()); self.gone.push(2); delete self.gone; return self.n }',
      { self },
    );
    expect(verdict).toBe('answered');
    expect(effects.writes).toEqual({ log: [1, 2], deep: { a: { b: 2 } }, bytes: { $bytes: 'CQID' } });
    expect(effects.removed).toEqual(['gone']);
  });

  test.each(['self.log.push(() => 1)', 'self.log.push(self.log)', 'Object.values(self)[0].push(NaN)'])(
    'a-value-that-can-no-longer-be-stored-fails-the-draft: %s',
    async (code) => {
      expect(await pool.try(`async (self) => { ${code}; return 1 }`, { self: { log: [1] } })).toMatchObject({
        verdict: 'failed',
        value: null,
        effects: { writes: {} },
      });
    },
  );

  test('inherited-names-can-be-assigned-as-in-a-host', async () => {
    for (const kind of ['Error', 'TypeError', 'AggregateError'])
      expect(
        await pool.try(`async () => { const e = new ${kind}([]); e.name = 'TooFew'; e.message = 'two'; throw e }`),
      ).toMatchObject({ verdict: 'failed', error: { name: 'TooFew', message: 'two' } });
    const names = ['constructor', 'hasOwnProperty', 'isPrototypeOf', 'propertyIsEnumerable', 'valueOf', 'toString'];
    expect(
      await pool.try(
        `async (self, names) => { const o = {}; for (const name of names) { o[name] = 0; o[name] = name } return [o, ({}).toString(), typeof ({}).constructor] }`,
        { args: [names] },
      ),
    ).toMatchObject({
      verdict: 'answered',
      value: [Object.fromEntries(names.map((name) => [name, name])), '[object Object]', 'function'],
    });
    for (const owner of ['Object.prototype', 'Error.prototype', 'Object.getPrototypeOf(() => 0)'])
      expect(await pool.try(`async () => { ${owner}.constructor = 1 }`)).toMatchObject({
        verdict: 'failed',
        error: { name: 'TypeError' },
      });
  });

  test('an-error-of-the-draft-is-its-own', async () => {
    expect(await pool.try('async () => { throw new RangeError("too few") }')).toMatchObject({
      verdict: 'failed',
      error: { name: 'RangeError', message: 'too few' },
    });
  });
});

test('T1: each-draft-has-a-thread-and-an-engine-of-its-own', async () => {
  const pool = new Pool({ ...OPTIONS, threads: 1 });
  for (let drafts = 1; drafts <= 5; drafts++) {
    const { report, threads } = await pool.ask('async () => { image.log("x"); return image.newId() }');
    // The number behind an id, and the lists of effects, are the engine's own state: in one that was used before they would go on.
    expect(report).toMatchObject({ verdict: 'answered', value: 'sandbox.1', effects: { logs: ['x'] } });
    expect(threads).toBeGreaterThanOrEqual(drafts);
  }
  expect(await pool.end()).toBe(0);
});

describe('bounds of time', () => {
  // One call of a built-in, in which QuickJS is never asked for its time; it compares about `chars` squared characters.
  const builtIn = (chars: number): string => `async () => 'a'.repeat(${2 * chars}).indexOf('a'.repeat(${chars}) + 'b')`;
  const pool = (runTimeMs: number, killAfterMs: number): Pool =>
    new Pool({ ...OPTIONS, threads: 1, killAfterMs, limits: { ...OPTIONS.limits, runTimeMs } });

  test('run_time_ms-ends-a-loop-and-judges-a-built-in-at-its-end', async () => {
    const short = pool(50, 60_000);
    for (const source of ['async () => { for (;;); }', builtIn(16_000)]) {
      const { verdict, error, ms } = await short.try(source);
      expect([verdict, error?.message]).toEqual(['killed', 'it ran for more than 50 ms']);
      expect(ms).toBeGreaterThan(50);
    }
    expect(await short.end()).toBe(0);
  });

  test('kill_after_ms-ends-a-built-in-that-does-not-end', async () => {
    const hard = pool(200, 400);
    expect(await hard.try(builtIn(2 ** 21))).toMatchObject({
      verdict: 'killed',
      error: { message: 'it did not end within 400 ms' },
    });
    expect(await hard.try('async () => 1')).toMatchObject({ verdict: 'answered' });
    expect(await hard.end()).toBe(0);
  });

  test('a-signal-ends-a-draft-and-one-that-was-given-before-does-not-let-it-begin', async () => {
    const slow = pool(60_000, 120_000);
    for (const cancelMs of [0, 300]) {
      const { report } = await slow.ask('async () => { for (;;); }', {}, cancelMs);
      expect(report).toMatchObject({ verdict: 'killed', error: { message: 'it was cancelled' } });
    }
    expect(await slow.end()).toBe(0);
  }, 20_000);
});

test('T2: threads-that-cannot-be-prepared-are-killed-drafts', async () => {
  // Less memory than the engine asks for at its start.
  const pool = new Pool({ ...OPTIONS, limits: { ...OPTIONS.limits, memoryBytes: 1 << 20 } });
  for (let round = 0; round < 3; round++) {
    const words = await Promise.all([1, 2, 3].map(() => pool.ask('async () => 1')));
    for (const { report } of words) {
      expect(report?.verdict).toBe('killed');
      expect(report?.error?.message).toMatch(/^(the thread ended|no thread could be prepared): .*Memory/);
    }
  }
  expect(await pool.end()).toBe(0);
}, 20_000);

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

  test('a-send-that-is-recorded-as-failed-fails', async () => {
    const path = file('async (self, cart) => { try { return await cart.total() } catch (e) { return e.name } }');
    const answer = { to: '#cart', selector: 'total', error: { name: 'TooFew', message: 'two' } };
    const args = ['sandbox', path, '--arg', '{"$ref":"#cart"}', '--answer'];
    expect((await telos([...args, JSON.stringify(answer)])).stdout).toMatch(/^answered: "TooFew"\n/);
    for (const wrong of [
      { ...answer, reply: 1 },
      { ...answer, error: 'TooFew' },
      { ...answer, rely: 1, error: undefined },
    ])
      expect(await telos([...args, JSON.stringify(wrong)])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('USAGE: --answer') as string,
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
