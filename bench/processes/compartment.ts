/** Methods as they are run (in the compartment, instrumented) against the same source as plain JavaScript: milliseconds, and nanoseconds a call. */
import { Script } from 'node:vm';
import {
  Compiler,
  leaveMethods,
  lockdownRealm,
  makeDate,
  makeMath,
  Meter,
  type MethodContext,
} from '../../runtime/compartment/index.js';
import { report } from './options.js';

type Job = (self: unknown, n: number) => unknown;

const JOBS: Record<string, { readonly source: string; readonly n: number }> = {
  'a numeric loop': {
    source: '(self, n) => { let s = 0; for (let i = 0; i < n; i++) s = (s + i * 3) % 1000003; return s }',
    n: 20_000_000,
  },
  'recursive calls': {
    source: '(self, n) => { const f = (x) => (x < 2 ? x : f(x - 1) + f(x - 2)); return f(n) }',
    n: 30,
  },
  'short lists': {
    source:
      '(self, n) => { let t = 0; for (let i = 0; i < n; i++) t += [1, 2, 3, 4].map((x) => x + i).filter((x) => x & 1).length; return t }',
    n: 300_000,
  },
  'JSON of a small object': {
    source:
      '(self, n) => { let t = 0; for (let i = 0; i < n; i++) t += JSON.stringify({ a: i, b: [1, 2, 3], c: "text" }).length; return t }',
    n: 100_000,
  },
};
const CALL = 'async (self, n) => { self.balance = self.balance + n; return self.balance }';
const CALLS = 300_000;
const ROUNDS = 5;

class Context implements MethodContext {
  readonly meter = new Meter({ fuel: 1e12, runTimeMs: 1e9, maxGrowBytes: 64 * 1024 * 1024 });
  readonly image = null;
  get Date(): unknown {
    return makeDate(0);
  }
  get Math(): unknown {
    return makeMath(() => 0.5);
  }
}

const best = async (run: () => unknown): Promise<number> => {
  let least = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const begun = performance.now();
    await run();
    least = Math.min(least, performance.now() - begun);
  }
  return least;
};

const evaluate = (source: string): Job => new Script(`(${source})`).runInThisContext() as Job;

const plain: Record<string, number> = {};
for (const [name, { source, n }] of Object.entries(JOBS)) {
  const job = evaluate(source);
  plain[name] = await best(() => job(null, n));
}
const plainCall = evaluate(CALL);
const plainMs = await best(async () => {
  const self = { balance: 0 };
  for (let i = 0; i < CALLS; i++) await plainCall(self, 1);
});

lockdownRealm();
const compiler = new Compiler({ cacheEntries: 100 });
const metered: Record<string, number> = {};
for (const [name, { source, n }] of Object.entries(JOBS)) {
  metered[name] = await best(() => {
    const result = compiler.compile(source)(new Context())(null, n);
    leaveMethods();
    return result;
  });
}
const meteredMs = await best(async () => {
  const self = { balance: 0 };
  for (let i = 0; i < CALLS; i++) {
    const called = compiler.compile(CALL)(new Context())(self, 1);
    leaveMethods();
    await called;
  }
});
const nanoseconds = (ms: number): number => (ms * 1e6) / CALLS;
report({ plain, metered, call: { plain: nanoseconds(plainMs), metered: nanoseconds(meteredMs) } });
