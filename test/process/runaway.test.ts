/** Methods that never end, eat all memory or try to end the process: their sender gets an error, the innocent get their answers. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, temporary, until } from './support/processes.js';

let running: Running;
let driver: Driver;

beforeAll(async () => {
  const image = join(temporary(), 'image');
  running = await Running.up(image, ['--hosts', '1']);
  driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    await it.actor('genesis').clone({ name: 'villain', count: 0 });
    const innocent = await it.actor('genesis').clone({ name: 'innocent', count: 0 });
    await innocent.setMethod('increment', 'async (self) => { self.count = self.count + 1; return self.count }');
    return null;
  });
});
afterAll(async () => {
  await driver.close();
  await running.down();
  await cleanUp();
});

interface Hazard {
  readonly name: string;
  readonly source: string;
  /** Runs as a free-standing turn, not as a method. */
  readonly free?: boolean;
  /** Codes that the sender may get; null: an answer is right as well. */
  readonly codes: readonly string[] | null;
}

const HAZARDS: readonly Hazard[] = [
  { name: 'endless-loop', source: 'async (self) => { while (true) {} }', codes: ['BUDGET'] },
  {
    name: 'endless-loop-that-catches',
    source: 'async (self) => { for (;;) { try { for (;;) {} } catch {} } }',
    codes: ['BUDGET'],
  },
  {
    name: 'unbounded-recursion',
    source: 'async (self) => { const f = (n) => f(n + 1) + 1; return f(0) }',
    codes: ['BUDGET', 'METHOD_FAILED', 'TOO_DEEP'],
  },
  {
    name: 'sends-to-itself-without-end',
    source: 'async (self) => image.ref(self).evil()',
    codes: ['TOO_DEEP', 'BUDGET'],
  },
  {
    name: 'four-gibibytes-at-once',
    source: 'async (self) => { const b = new ArrayBuffer(4 * 2 ** 30); return b.byteLength }',
    codes: ['BUDGET', 'METHOD_FAILED', 'DEAD_LETTER'],
  },
  {
    name: 'four-gibibytes-bit-by-bit',
    source:
      'async (self) => { const all = []; for (let i = 0; i < 600; i++) all.push(new Float64Array(2 ** 20).fill(i)); return all.length }',
    codes: ['BUDGET', 'METHOD_FAILED', 'DEAD_LETTER'],
  },
  {
    name: 'doubling-string',
    source: 'async (self) => { let s = "x"; for (;;) s = s + s + "y" }',
    codes: ['BUDGET', 'METHOD_FAILED', 'DEAD_LETTER'],
  },
  { name: 'process-exit', source: 'async (self) => process.exit(1)', codes: ['METHOD_FAILED', 'BAD_SOURCE'] },
  {
    name: 'regular-expression-without-end',
    source: 'async (self) => /^(a+)+$/.test("a".repeat(50) + "!")',
    codes: null,
  },
  {
    name: 'promise-that-never-settles',
    source: 'async (self) => { await new Promise(() => {}) }',
    codes: ['STALLED', 'BUDGET'],
  },
  {
    name: 'microtasks-without-end',
    source: 'async (self) => { const f = () => Promise.resolve().then(f); await f() }',
    codes: ['BUDGET', 'DEAD_LETTER'],
  },
  {
    name: 'throws-what-has-more-paths-than-can-be-walked',
    source: 'async (self) => { let a = [1]; for (let i = 0; i < 60; i++) a = [a, a]; throw { a } }',
    codes: ['METHOD_FAILED'],
  },
  {
    name: 'throws-the-same-from-a-free-standing-turn',
    source: 'async () => { let a = [1]; for (let i = 0; i < 60; i++) a = [a, a]; throw { a } }',
    free: true,
    codes: ['METHOD_FAILED'],
  },
  {
    name: 'throws-an-error-whose-text-is-sixty-million-bytes-from-a-free-standing-turn',
    source: 'async () => { throw Object.assign(new Error(), { message: new Uint8Array(6e7) }) }',
    free: true,
    codes: ['METHOD_FAILED', 'BUDGET'],
  },
];

test.each(HAZARDS)(
  '$name: its sender gets an error, what was with it on the host is answered rightly',
  async ({ source, free, codes }) => {
    const [outcome, counts] = await driver.run<[string, number[]]>(
      async (it: RemoteImage, evil: string, alone: boolean) => {
        const patient = it.with({ deadlineMs: 60_000 });
        if (!alone) await patient.send('villain', 'setMethod', 'evil', evil);
        const bad = (alone ? patient.turn(evil) : patient.send('villain', 'evil')).then(
          () => 'answered',
          (error: { code: string }) => error.code,
        );
        const good = Promise.all(Array.from({ length: 50 }, () => patient.send('innocent', 'increment')));
        return [await bad, await good];
      },
      source,
      free === true,
    );
    if (codes === null) expect(['answered', 'METHOD_FAILED', 'BUDGET']).toContain(outcome);
    else expect(codes).toContain(outcome);
    const first = Math.min(...counts);
    expect([...counts].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => first + i));
  },
  90_000,
);

test('single-host-is-never-given-up: after all of that the host runs, and is not marked degraded', async () => {
  await until('the host to be up', async () => {
    const { processes } = await running.status();
    return processes.some(({ role, state, pid }) => role === 'host' && pid > 0 && !/degraded/.test(state));
  });
  const total = await driver.send<number>('innocent', 'count');
  expect(total).toBe(50 * HAZARDS.length);
});
