/** The parts of the compartment that need no lockdown: source check, free names, instrumentation, cost of regular expressions, meter. */
import { TelosError } from '../../protocol/errors.js';
import { instrument } from '../../runtime/compartment/instrument.js';
import { leaveMethods, Meter, running, setMeterPorts } from '../../runtime/compartment/meter.js';
import { regExpCost } from '../../runtime/compartment/regexp-cost.js';
import { checkSource } from '../../runtime/compartment/source.js';

function refusal(source: string): TelosError {
  try {
    checkSource(source);
  } catch (error) {
    if (error instanceof TelosError) return error;
    throw error;
  }
  throw new Error(`accepted: ${source}`);
}

describe('what is a method', () => {
  test.each([
    ['async (self, n = 1, ...rest) => n', ['self', 'n = 1', '...rest'], true],
    ['self => self.x', ['self'], false],
    ['function (self, { a }) { return a }', ['self', '{ a }'], false],
    ['async function deposit(self) {}', ['self'], true],
    ['  /* c */ ((self) => 1) ; // d', ['self'], false],
  ])('%s', (source, params, isAsync) => {
    expect(checkSource(source)).toMatchObject({ params, isAsync });
  });

  test.each([
    ['1 + 1', '1:1: not a function expression but a binary expression; at "1 + 1"'],
    ['', '1:1: syntax error: Unexpected token; at ""'],
    ['() => 1, () => 2', '1:1: not a function expression but several expressions'],
    ['() => 1; () => 2', '1:10: syntax error: something follows the function; at "() => 2"'],
    ['function* (self) {}', '1:1: a method can not be a generator'],
    ['(self) => {\n  let x = ;\n}', '2:11: syntax error: Unexpected token; at ";\\n}"'],
    ['async () => import("node:fs")', '1:13: a method can not import'],
    ['() => { class A {} }', '1:9: a method can not declare a class'],
    ['() => class {}', '1:7: a method can not make a class'],
    ['() => { with ({}) {} }', "1:9: syntax error: 'with' in strict mode"],
    ['() => { debugger }', '1:9: `debugger` is not allowed'],
    ['() => eval("1")', '1:7: code is not made at run time'],
    ['() => new Function("1")', '1:11: code is not made at run time'],
    ['() => arguments[0]', '1:7: take the arguments as parameters'],
    ['() => { x = 1 }', '1:9: assigns to `x`, which is not declared in it'],
    ['() => { count++ }', '1:9: assigns to `count`'],
    ['() => { ({ a: Math } = {}) }', '1:15: assigns to `Math`'],
    ['() => { for (y of []); }', '1:14: assigns to `y`'],
    ['() => $telosM', '1:7: names that begin with $telos are reserved'],
    ['() => \\u0024telos', '1:7: names that begin with $telos are reserved'],
    ['({ a: [b, ...c] }) => c', '1:11: a rest of a list inside another pattern'],
    ['(() => { let n = 0; return async () => ++n })()', '1:1: not a function expression but a call expression'],
    ['class A {}', '1:1: not a function expression but a class expression'],
  ])('%s is refused', (source, message) => {
    const error = refusal(source);
    expect(error.code).toBe('BAD_SOURCE');
    expect(error.message.slice(0, message.length)).toBe(message);
  });

  test.each([
    'async deposit(self, n) { return n }',
    'deposit(self) {}',
    'get x() { return 1 }',
    '*each(self) { yield 1 }',
  ])('shorthand %s is refused with a remedy', (source) => {
    const error = refusal(source);
    expect(error.message).toMatch(/^1:1: a method in shorthand form/);
    expect(error.remedy).toMatch(/write `async \(self, \.\.\.args\)/);
  });

  test('nesting too deep for the parser is refused, not a crash', () => {
    expect(refusal(`() => ${'('.repeat(50_000)}1${')'.repeat(50_000)}`).code).toBe('BAD_SOURCE');
    expect(refusal(`() => ${'['.repeat(100_000)}`).code).toBe('BAD_SOURCE');
  });

  test('too long a source is refused', () => {
    expect(refusal(`() => "${'x'.repeat(300_000)}"`).code).toBe('TOO_LARGE');
  });
});

describe('free names', () => {
  test.each([
    ['(self, a) => a + b', ['b']],
    ['() => { let x; { let y = x } return y }', ['y']],
    ['() => { if (1) { var v = 1 } return v }', []],
    ['() => { f(); function f() { return g } }', ['g']],
    ['({ a: b, [c]: d = e }) => [a, b, d]', ['c', 'e', 'a']],
    ['() => { try {} catch (e) { e } return e }', ['e']],
    ['() => { for (const i of list) i; return i }', ['list', 'i']],
    ['() => { l: for (;;) break l }', []],
    ['function () { return arguments.length }', []],
    ['() => ({ x, y: z, w() { return this } })', ['x', 'z']],
    ['() => (function f() { return f })()', []],
    ['() => self.a.b[c]', ['self', 'c']],
    ['() => { switch (a) { case 1: let s = 1; default: s } return s }', ['a', 's']],
    ['() => image.ref(Math.max(1, 2))', ['image', 'Math']],
  ])('%s', (source, free) => {
    expect([...checkSource(source).free].sort()).toEqual([...free].sort());
  });
});

describe('instrumentation', () => {
  test('lines stay lines', () => {
    const source = 'async (self) => {\n  // a comment\n  /* two\n lines */ let x = 1;\n  return x;\n}';
    expect(instrument(source).split('\n').length).toBe(source.split('\n').length);
    expect(instrument(source)).not.toContain('comment');
  });

  test.each([
    '() => { while (a()) b() }',
    '() => { for (;;); }',
    '() => { do x(); while (1) }',
    '() => { for (const k in {}) k }',
    'async () => { for await (const x of y) x }',
    '() => () => () => 1',
    '() => ({ get a() { return 1 }, set a(v) {}, *g() {}, async h() {} })',
    '() => { try { a() } catch { b() } finally { c() } }',
  ])('every function, loop, catch and finally of %s pays', (source) => {
    const text = instrument(source);
    const edges = text.match(/\$telosM\.(on|check|back)\(|\$telos\.caught\(/g)?.length ?? 0;
    const places = source.match(/=>|get a|set a|\*g|async h|while|for|catch|finally|do /g)?.length ?? 0;
    const doLoops = source.includes('do x') ? 1 : 0;
    expect(edges).toBe(places - doLoops);
  });
});

describe('the cost of a regular expression', () => {
  test.each([
    ['abc', { nested: false, loops: 0, size: 3 }],
    ['a+b*', { nested: false, loops: 2 }],
    ['(a+)+', { nested: true }],
    ['(?:a|b)*', { nested: true }],
    ['(?:ab)+', { nested: false, loops: 1 }],
    ['[(a+)+]', { nested: false, loops: 0 }],
    ['\\(a+\\)+', { nested: false, loops: 2 }],
    ['(a)\\1', { loops: 1 }],
    ['(?<year>\\d{4})-(?<month>\\d{2})', { nested: false, loops: 0 }],
    ['(?:a{0,100}){0,100}', { nested: true }],
    ['x{1000}', { size: 1000 }],
    ['(?=(a+)+)', { nested: true }],
    ['a{,3}', { loops: 0 }],
  ])('%s', (source, cost) => {
    expect(regExpCost(source)).toMatchObject(cost);
  });
});

describe('the meter', () => {
  let now = 0;
  const limits = { fuel: 1000, runTimeMs: 10, maxGrowBytes: 1024 };

  beforeEach(() => {
    now = 0;
    setMeterPorts({ now: () => now, heapFull: () => false });
  });
  afterEach(() => leaveMethods());

  const untilThrown = (step: () => void): Error => {
    for (let i = 0; i < 100_000; i++) {
      try {
        step();
      } catch (error) {
        return error as Error;
      }
    }
    throw new Error('never');
  };

  test('invariant 1: once over, every charge throws the same plain, frozen error', () => {
    const meter = new Meter(limits);
    const first = untilThrown(() => meter.on());
    expect(Object.isFrozen(first)).toBe(true);
    expect(first).not.toBeInstanceOf(TelosError);
    expect(first).toMatchObject({ name: 'BUDGET', code: 'BUDGET' });
    for (const charge of [
      () => meter.on(),
      () => meter.check(),
      () => meter.look(),
      () => meter.back(1),
      () => meter.charge(1),
    ]) {
      expect(untilThrown(charge)).toBe(first);
    }
    expect(meter.error).toMatchObject({ code: 'BUDGET' });
  });

  test('invariant 1: growth', () => {
    const meter = new Meter(limits);
    expect(() => meter.grow(2048, 'a list')).toThrow(/a list of 2048 bytes; at most 1024/);
    expect(untilThrown(() => meter.on())).toMatchObject({ code: 'BUDGET' });
  });

  test('invariants 2 and 4: time is charged to the one that runs, and to nobody while the host does', () => {
    const [a, b] = [new Meter(limits), new Meter(limits)];
    a.on();
    now = 3;
    b.on();
    expect(running.meter).toBe(b);
    now = 5;
    leaveMethods();
    now = 100;
    a.back(1);
    leaveMethods();
    expect([a.runTimeMs, b.runTimeMs]).toEqual([3, 2]);
  });

  test('running time ends a turn that charges little', () => {
    const meter = new Meter({ ...limits, fuel: 1e9 });
    meter.on();
    const error = untilThrown(() => {
      now += 0.1;
      meter.on();
    });
    expect(error.message).toBe('ran longer than 10 ms');
  });

  test('a full heap ends the turn that runs', () => {
    setMeterPorts({ now: () => (now += 3), heapFull: () => true });
    const meter = new Meter({ ...limits, runTimeMs: 1e9 });
    expect(untilThrown(() => meter.on()).message).toBe('the memory of the host is used up');
  });
});
