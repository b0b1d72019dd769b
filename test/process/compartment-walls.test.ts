/** What a method can not reach, and where it can not keep state; and that ordinary JavaScript means the same inside as outside. */
import { Realm } from './support/realm.js';

let realm: Realm;

beforeAll(() => {
  realm = new Realm();
});
afterAll(() => realm.stop());

const show = async (source: string, args: unknown[] = []): Promise<string> => {
  const { ok, value, error } = await realm.call(source, { args });
  return ok ? String(value) : `${error?.code ?? error?.name ?? ''}: ${error?.message ?? ''}`;
};

describe('the names of the host', () => {
  const names =
    'process require module exports global Buffer setTimeout setInterval setImmediate queueMicrotask console fetch WebAssembly URL ' +
    'SharedArrayBuffer Atomics structuredClone performance crypto Compartment harden lockdown assert Intl WeakRef FinalizationRegistry ' +
    'Proxy escape gc AbortController TextDecoder navigator __dirname getStackString';
  test.each(names.split(' '))('%s is not there', async (name) => {
    expect(await show(`() => typeof ${name}`)).toBe('"undefined"');
    expect(await show(`() => typeof globalThis.${name}`)).toBe('"undefined"');
    expect(await show(`() => ${name}`)).toBe(`ReferenceError: ${name} is not defined`);
  });

  test('the global object holds what is listed and nothing else', async () => {
    const keys = JSON.parse(await show('() => Reflect.ownKeys(globalThis).map(String)')) as string[];
    expect(keys).not.toEqual(expect.arrayContaining(['eval', 'Function', 'Date', 'Math', 'process']));
    expect(keys).toEqual(expect.arrayContaining(['Array', 'JSON', 'Promise', 'Uint8Array']));
  });

  test.each(['process.exit(1)', 'process.kill(1)', 'require("fs")', 'setTimeout(() => {}, 0)', 'fetch("http://x")'])(
    '%s',
    async (code) => {
      expect(await show(`async () => ${code}`)).toMatch(/^ReferenceError: \w+ is not defined$/);
      expect(realm.alive).toBe(true);
    },
  );
});

describe('code made at run time', () => {
  test.each([
    '(() => {}).constructor',
    '(function () {}).constructor',
    '(async () => {}).constructor',
    '(function* () {}).constructor',
    '(async function* () {}).constructor',
    'Object.getPrototypeOf(function* () {}).constructor',
    'Object.getPrototypeOf(async () => {}).constructor',
    '[].constructor.constructor',
    "''['constr' + 'uctor']['constr' + 'uctor']",
    'Object.getOwnPropertyDescriptor(Object.getPrototypeOf(() => {}), "constructor").get()',
    'image.log.constructor',
    'image.host().constructor.constructor',
    'image.host().then.constructor',
    'Date.constructor',
    'Math.random.constructor',
    'new Uint8Array(1).constructor.constructor',
    'new Map().constructor.constructor',
    'new Error("x").constructor.constructor',
    '(() => { try { null.x } catch (e) { return e.constructor.constructor } })()',
    '(() => { const f = () => f(); try { f() } catch (e) { return e.constructor.constructor } })()',
    'Reflect.getPrototypeOf(JSON.stringify).constructor',
    '[].map.constructor',
    '/x/.exec.constructor',
    'Promise.prototype.then.constructor',
  ])('%s makes none', async (expression) => {
    expect(await show(`() => { const F = ${expression}; return F('return typeof process')() }`)).toMatch(
      /is not a valid constructor|BUDGET/,
    );
    expect(await show(`() => { const F = ${expression}; return new F('return typeof process')() }`)).toMatch(
      /is not a valid constructor|BUDGET/,
    );
  });

  test('eval and the inherited one of the global object', async () => {
    expect(await show("() => globalThis['ev' + 'al']")).toBe('undefined');
    expect(await show("() => globalThis['Func' + 'tion']")).toBe('undefined');
  });
});

describe('errors', () => {
  test("keep the method's own name and message", async () => {
    expect(await show("async () => { throw new RangeError('deposit needs a positive amount') }")).toBe(
      'RangeError: deposit needs a positive amount',
    );
  });

  test('show no stack, no file of the host', async () => {
    expect(await show("() => new Error('x').stack")).toBe('""');
    expect(await show('() => { try { null.x } catch (e) { return [e.stack, Object.getOwnPropertyNames(e)] } }')).toBe(
      '["",["stack","message"]]',
    );
    expect(await show('() => { const o = {}; Error.captureStackTrace(o); return o.stack }')).toBe('""');
    expect(await show('() => { Error.stackTraceLimit = 100; return Error.stackTraceLimit }')).toBe('undefined');
  });

  test('prepareStackTrace of a method is never called', async () => {
    expect(
      await show(
        '() => { let seen = 0; Error.prepareStackTrace = (e, s) => { seen = s; return s }; void new Error("x").stack; return seen }',
      ),
    ).toBe('0');
  });

  test('the budget error is plain and frozen', async () => {
    const source = `async () => { let e; try { for (;;); } catch (x) { e = x } return 0 }`;
    expect(await show(source)).toMatch(/^BUDGET: /);
  });

  test('an error inside a guarded regular expression is of the same realm', async () => {
    const source = `async () => {
      const deep = (k) => (k === 0 ? /^(a|b)*c$/i.test('ab'.repeat(500)) : deep(k - 1));
      for (let k = 5000; ; k += 13) {
        let error;
        await (async () => deep(k))().then(() => {}, (e) => { error = e });
        if (error) return [error.constructor === RangeError, error instanceof Error];
      }
    }`;
    expect(await show(source)).toBe('[true,true]');
  });
});

describe('state outlives no call', () => {
  const three = async (source: string): Promise<string[]> => (await realm.call(source, { calls: 3 })).values;

  test.each([
    ['a variable of the method itself', 'async function f() { f.n = (f.n ?? 0) + 1; return f.n }', '1'],
    ['a function inside', 'async () => { const f = () => {}; f.n = (f.n ?? 0) + 1; return f.n }', '1'],
    ['a regular expression', "async () => { const r = /a/g; r.test('aa'); return r.lastIndex }", '1'],
    [
      'the last match of RegExp',
      "async () => { const before = RegExp.$1; /(a)/.exec('a'); return before ?? null }",
      'null',
    ],
    [
      'a template object as a key',
      'async () => { const t = (s) => s; const s = t`x`; const m = new WeakMap(); const seen = m.has(s); m.set(s, 1); return seen }',
      'false',
    ],
  ])('%s', async (_name, source, expected) => {
    expect(await three(source)).toEqual([expected, expected, expected]);
  });

  test.each([
    'globalThis.x = 1',
    'globalThis.Array = 1',
    'Array.prototype.x = 1',
    'Array.x = 1',
    'Object.prototype.x = 1',
    'Array.prototype[Symbol.iterator] = 1',
    'Array.prototype.constructor = 1',
    'Promise.prototype.then = 1',
    'Object.getPrototypeOf([][Symbol.iterator]()).next = 1',
    'Object.getPrototypeOf(async () => {}).x = 1',
    'Object.getPrototypeOf(function* () {}).prototype.x = 1',
    'JSON.x = 1',
    'Math.x = 1',
    'Math.max.x = 1',
    'Date.x = 1',
    'Date.prototype.x = 1',
    'Symbol.x = 1',
    'Error.prototype.x = 1',
    'RegExp.prototype.exec = 1',
    'Uint8Array.prototype.x = 1',
    'Uint8Array.x = 1',
    'Map.prototype.get = 1',
    "'x'.repeat.n = 1",
    'BigInt.x = 1',
    'encodeURIComponent.x = 1',
    '(() => { const t = (s) => s; t`x`.y = 1 })()',
    'Object.defineProperty(Object.prototype, "x", { value: 1 })',
    'Object.setPrototypeOf(Array.prototype, {})',
    'Object.prototype.__defineGetter__.call(Object.prototype, "x", () => 1)',
  ])('%s is refused', async (code) => {
    expect(await show(`() => { ${code}; return 'kept' }`)).toMatch(/^TypeError: /);
  });

  test('every intrinsic that a method can walk to is frozen', async () => {
    const source = `() => {
      const seen = new Set();
      const open = [];
      const walk = (value, path) => {
        if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return;
        seen.add(value);
        if (!Object.isFrozen(value) && !/^[ab]$/.test(path)) open.push(path);
        for (const key of Reflect.ownKeys(value)) {
          const d = Object.getOwnPropertyDescriptor(value, key);
          for (const part of [d.value, d.get, d.set]) walk(part, path + '.' + String(key));
        }
        walk(Object.getPrototypeOf(value), path + '.__proto__');
      };
      walk(globalThis, 'globalThis');
      for (const [name, value] of [['async', async () => {}], ['gen', function* () {}], ['asyncGen', async function* () {}], ['iter', [][Symbol.iterator]()],
        ['strIter', ''[Symbol.iterator]()], ['mapIter', new Map()[Symbol.iterator]()], ['setIter', new Set()[Symbol.iterator]()],
        ['matchIter', ''.matchAll(/x/g)], ['Date', Date], ['Math', Math]]) walk(Object.getPrototypeOf(value), name), walk(name === 'Date' || name === 'Math' ? value : null, name);
      return [open, seen.size > 500];
    }`;
    expect(await show(source)).toBe('[[],true]');
  });
});

describe('time and chance are those of the message', () => {
  test('Date and Math', async () => {
    expect(
      await show(
        '() => [Date.now(), new Date().getTime(), new Date(5).getTime(), new Date(0) instanceof Date, Math.random(), Math.max(1, 2)]',
      ),
    ).toBe('[1000000000000,1000000000000,5,true,0.25,2]');
    expect(await show('() => new Date(0).constructor.now()')).toMatch(/^TypeError: secure mode/);
    expect(await show("() => new Date(0).toLocaleString('de')")).toBe(
      '"Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)"',
    );
  });
});

describe('ordinary JavaScript', () => {
  test.each([
    [
      'this and new.target',
      'function () { return [typeof this, new.target === undefined, (() => typeof this)()] }',
      '["undefined",true,"undefined"]',
    ],
    ['parentheses, comments, semicolons', '/* a */ ( /* b */ async (self) => 1 /* c */ ) ; ; // d', '1'],
    [
      'defaults, patterns, rests',
      '(self, a = 1, { b, c = 2 } = {}, ...rest) => [a, b ?? null, c, rest]',
      '[1,null,2,[]]',
    ],
    [
      'lists taken apart',
      "() => { const r = []; for (const [a, ...b] of [[1, 2, 3], [4]]) r.push(a, b.length); const [x, ...y] = 'abc'; const f = ([p, ...q], [s, ...t] = [9, 8]) => p + q.length + s + t.length; let u, v; [u, ...v] = [1, 2, 3]; return [r, x, y, f([1, 2, 3]), f([1], [2]), u, v] }",
      '[[1,2,4,0],"a",["b","c"],13,3,1,[2,3]]',
    ],
    [
      'compound assignment',
      "() => { let a = 1, b = 'x', c = 2n; a += 2; a *= 3; a **= 2; a <<= 1; a >>= 1; b += a; b += b; c *= c; c **= 3n; const o = { p: { q: 1 }, k: ['z'] }; let n = 0; const k = () => (n++, 'q'); o.p[k()] += 5; o.p[k()] *= 2; o['k'][0] += 'y'; o.p.q -= 1; o.m ??= 7; return [a, b, String(c), o.p.q, o.k[0], n, o.m] }",
      '[81,"x81x81","64",11,"zy",2,7]',
    ],
    [
      'generators, accessors, methods',
      'async () => { const o = { async *g() { yield 1; yield* [2, 3] }, *h() { const x = yield 1; yield x * 2 }, get z() { return 5 }, set z(v) {}, async m() { return await 7 } }; const r = []; for await (const v of o.g()) r.push(v); const h = o.h(); h.next(); r.push(h.next(21).value, o.z, await o.m()); return r }',
      '[1,2,3,42,5,7]',
    ],
    [
      'labels and loops',
      '() => { let s = ""; outer: for (let i = 0; i < 3; i++) { for (let j = 0; j < 3; j++) { if (j === 1) continue outer; if (i === 2) break outer; s += `${i}${j} ` } } let n = 0; do n++; while (n < 5); for (;;) if (n++ > 10) break; while (n-- > 0); for (const k in { a: 1, b: 2 }) n += k.length; const fs = []; for (let i = 0; i < 3; i++) fs.push(() => i); return [s, n, fs.map((f) => f())] }',
      '["00 10 ",1,[0,1,2]]',
    ],
    [
      'text that SES would take for comments or imports',
      "() => { /* <!-- import( --> */ const s = '<!-- x --> import(y)'; let n = 3; while (n --> 0); return [s, n, /<!--|-->|import\\(/u.test('-->'), `<!-- ${s} -->`] }",
      '["<!-- x --> import(y)",-1,true,"<!-- <!-- x --> import(y) -->"]',
    ],
    [
      'tagged templates',
      '() => { const t = (s, ...v) => s.raw.join("|") + v.join(); return t`a${1}b\\n${2}` + String.raw`\\n${1}` }',
      '"a|b\\\\n|1,2\\\\n1"',
    ],
    [
      'lists',
      '() => [[1, 2, 3].at(-1), [3, 1, 2].sort().join(""), [1, [2, [3]]].flat(2), [1, 2].flatMap((x) => [x, x]), [1, , 3].map((x) => x * 2).length, [1, 2, 3, 4].slice(-3, -1), [1].concat(2, [3, [4]]), [5, 6].filter((x) => x > 5), [..."ab"].reverse(), Array.from({ length: 2 }, (_, i) => i), Array.of(7)]',
      '[3,"123",[1,2,3],[1,1,2,2],3,[2,3],[1,2,3,[4]],[6],["b","a"],[0,1],[7]]',
    ],
    [
      'holes',
      '() => [1 in [0, , 2].map((x) => x), 1 in [0, , 2].slice(), 1 in [].concat([0, , 2]), [0, , 2].filter(() => true).length, [, 1].join("-")]',
      '[false,false,false,2,"-1"]',
    ],
    [
      'text',
      "() => ['a-b'.split('-'), 'x'.padStart(3, 'ab'), 'abc'.replace(/b/g, (m) => m + m), 'aXbX'.replaceAll('X', '-'), 'a1b2'.match(/\\d/g), 'ab'.repeat(2), 'abc'.indexOf('c'), 'abcabc'.lastIndexOf('c'), 'abc'.at(-1), ' a '.trim(), 'a,b,c'.split(',', 2)]",
      '[["a","b"],"xab","abbc","a-b-",["1","2"],"abab",2,5,"c","a",["a","b"]]'.replace('xab', 'abx'),
    ],
    [
      'JSON',
      "() => [JSON.stringify({ a: [1, 'x', null, undefined, () => 1], b: undefined, c: { d: new Date(0) }, e: NaN, f: 'é\"\\n\\ud800' }), JSON.stringify([1, { a: [] }], null, 2), JSON.stringify({ a: 1, b: { a: 2, c: 3 } }, ['a', 'b']), JSON.stringify({ a: 1 }, (k, v) => (k === 'a' ? v + 1 : v)), JSON.stringify(undefined) ?? null, JSON.stringify('x'), JSON.parse('[1,{\"a\":2}]', (k, v) => (typeof v === 'number' ? v * 2 : v))]",
      '["{\\"a\\":[1,\\"x\\",null,null,null],\\"c\\":{\\"d\\":\\"1970-01-01T00:00:00.000Z\\"},\\"e\\":null,\\"f\\":\\"é\\\\\\"\\\\n\\\\ud800\\"}","[\\n  1,\\n  {\\n    \\"a\\": []\\n  }\\n]","{\\"a\\":1,\\"b\\":{\\"a\\":2}}","{\\"a\\":2}",null,"\\"x\\"",[2,{"a":4}]]',
    ],
    [
      'bytes',
      "() => { const u = new Uint8Array([1, 2, 3]); return [u instanceof Uint8Array, u.constructor === Uint8Array, [...u.map((x) => x * 2)], u.slice(1).length, Uint8Array.from('123').length, new Uint8Array(new ArrayBuffer(8), 2, 3).length, u.subarray(1)[0], Uint8Array.of(9)[0]] }",
      '[true,true,[2,4,6],2,3,3,2,9]',
    ],
    [
      'bigints',
      "() => [10n ** 20n, BigInt('12345678901234567890'), 1n << 70n, 5n * 7n, BigInt.asUintN(64, -1n), 7n / 2n, -(2n ** 63n)].map(String)",
      '["100000000000000000000","12345678901234567890","1180591620717411303424","35","18446744073709551615","3","-9223372036854775808"]',
    ],
    [
      'identity of constructors',
      '() => [[].constructor === Array, {}.constructor === Object, new Map().constructor === Map, 1n.constructor === BigInt, /x/.constructor === RegExp, Array.isArray(new Array(3)), new Array(1, 2).length]',
      '[true,true,true,true,true,true,2]',
    ],
    [
      'own names that prototypes have',
      "() => { const o = {}; o.constructor = 1; o.toString = 2; o.valueOf = 3; const e = new TypeError('a'); e.name = 'Mine'; e.message = 'b'; return [o, String(e)] }",
      '[{"constructor":1,"toString":2,"valueOf":3},"Mine: b"]',
    ],
    [
      'unknown names',
      '() => { try { return { nobody } } catch (e) { return [e.name, e.message, typeof nobody] } }',
      '["ReferenceError","nobody is not defined","undefined"]',
    ],
    [
      'try, catch, finally',
      '() => { const log = []; try { try { throw 1 } finally { log.push("f") } } catch (e) { var e2 = e; log.push(e) } try { null.x } catch { log.push("c") } try { throw { message: "m" } } catch ({ message }) { log.push(message) } return [log, e2] }',
      '[["f",1,"c","m"],1]',
    ],
    [
      'switch, optional chains, spreads',
      '() => { const o = { a: { b: 1 } }; let s; switch (o?.a?.b) { case 1: s = "one"; break; default: s = "other" } const { a, ...rest } = { a: 1, b: 2 }; return [s, o.x?.y ?? 5, { ...rest, c: 3, ...[7] }, Math.max(...[1, 5, 2]), new Set([1, 1]).size] }',
      '["one",5,{"0":7,"b":2,"c":3},5,1]',
    ],
    [
      'super in object literals',
      "() => { const o = { __proto__: { f() { return 'base' } }, f() { return super.f() + '!' } }; return o.f() }",
      '"base!"',
    ],
  ])('%s', async (_name, source, expected) => {
    expect(await show(source)).toBe(expected);
  });
});
