/** Values: what goes in comes out, what can not be stored is refused with its path (E1–E3, D1, D2, R1, R2). */
import assert from 'node:assert';
import vm from 'node:vm';
import {
  contentKind,
  decodeArgs,
  decodeContent,
  encodeArgs,
  encodeContent,
  fromJson,
  isIdentifier,
  isOid,
  isSlotName,
  methodContent,
  methodOf,
  pack,
  primitiveContent,
  primitiveOf,
  refIn,
  toJson,
  unpack,
  WireRef,
  wireRefs,
  type Content,
  type EncodeOptions,
} from '../../../protocol/index.js';
import { randomValue, runSeed, seeded } from './random.js';

const options: EncodeOptions = { place: 'acct', refOf: wireRefs.refOf, maxBytes: 1 << 20, maxDepth: 64 };
const decode = { makeRef: wireRefs.makeRef };
const roundTrip = (value: unknown): unknown => decodeContent(encodeContent(value, options), decode);

describe('round trips', () => {
  test('random-values-come-back-equal', () => {
    const seed = runSeed();
    const random = seeded(seed);
    for (let i = 0; i < 2000; i++) {
      const value = randomValue(random);
      try {
        assert.deepStrictEqual(roundTrip(value), value);
        assert.deepStrictEqual(decodeArgs(encodeArgs([value, i], options), decode), [value, i]);
      } catch (error) {
        throw new Error(`seed ${seed}, value ${i}`, { cause: error });
      }
    }
  });

  test('the-bytes-are-the-shortest-and-those-of-the-codec', () => {
    const texts = [
      '',
      'x',
      'x'.repeat(31),
      'x'.repeat(32),
      'ä'.repeat(15),
      'ä'.repeat(20),
      'x'.repeat(300),
      'x'.repeat(70_000),
    ];
    const numbers = [
      0,
      127,
      128,
      255,
      256,
      65_535,
      65_536,
      2 ** 32 - 1,
      2 ** 32,
      -1,
      -32,
      -33,
      -128,
      -129,
      -32_768,
      -40_000,
      -(2 ** 31),
      1.5,
    ];
    const others = [true, null, [1], { a: null }, Array.from({ length: 20 }, () => 0), 5n, -5n, new Uint8Array(300)];
    for (const value of [...texts, ...numbers, ...others]) {
      expect(Buffer.from(encodeArgs([value], options)).equals(pack([value]))).toBe(true);
    }
  });

  test('minus-zero-is-stored-as-zero', () => {
    expect(Object.is(encodeContent(-0, options), 0)).toBe(true);
    expect(Object.is((roundTrip([-0]) as number[])[0], 0)).toBe(true);
    expect(Object.is(decodeContent(Buffer.from('91cb8000000000000000', 'hex'), decode), undefined)).toBe(false);
    expect(Object.is((decodeContent(Buffer.from('91cb8000000000000000', 'hex'), decode) as number[])[0], 0)).toBe(true);
  });

  test('bytes-come-back-as-plain-copies', () => {
    const content = encodeContent(Buffer.from([1, 2, 3]), options) as Uint8Array;
    const value = decodeContent(content, decode) as Uint8Array;
    expect(Object.getPrototypeOf(value)).toBe(Uint8Array.prototype);
    content.fill(0);
    expect([...value]).toEqual([1, 2, 3]);
  });

  test('each-decode-is-fresh', () => {
    const content = encodeContent({ a: [1] }, options);
    const first = decodeContent(content, decode) as { a: number[] };
    first.a.push(2);
    expect(decodeContent(content, decode)).toEqual({ a: [1] });
  });

  test('keys-of-object-prototype-become-own-properties', () => {
    const value = roundTrip(JSON.parse('{"__proto__": {"x": 1}, "toString": 2, "constructor": 3}')) as Record<
      string,
      unknown
    >;
    expect(Object.keys(value)).toEqual(['__proto__', 'toString', 'constructor']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect((value as { x?: unknown }).x).toBeUndefined();
  });

  test('dollar-keys-are-escaped-and-come-back', () => {
    const value = { $ref: '#1', $$: 1, $method: 'x', plain: 2 };
    expect(unpack(encodeContent(value, options) as Uint8Array)).toEqual({
      $$ref: '#1',
      $$$: 1,
      $$method: 'x',
      plain: 2,
    });
    expect(roundTrip(value)).toEqual(value);
  });

  test('references-travel-as-references', () => {
    const value = roundTrip({ owner: new WireRef('#1.2'), list: [new WireRef('bob')] });
    expect(value).toEqual({ owner: new WireRef('#1.2'), list: [new WireRef('bob')] });
    expect(refIn(unpack(encodeContent(new WireRef('#7'), options) as Uint8Array))).toBe('#7');
    expect(refIn({ $ref: '#7', more: 1 })).toBeUndefined();
  });

  test('top-level-undefined-is-null-and-functions-can-travel-as-source', () => {
    expect(encodeContent(undefined, options)).toBeNull();
    expect(decodeArgs(encodeArgs([undefined], options), decode)).toEqual([null]);
    const source = { ...options, functionsAsSource: true };
    expect(encodeContent((a: number) => a + 1, source)).toMatch(/^\(?a\)? ?=> ?a ?\+ ?1/);
    expect(decodeArgs(encodeArgs([(a: number) => a], source), decode)[0]).toMatch(/=>/);
  });

  test('plain-data-of-another-realm-is-plain-data', () => {
    const foreign: unknown = vm.runInNewContext('({list: [1, {b: new Uint8Array([7])}], nothing: null})');
    expect(roundTrip(foreign)).toEqual({ list: [1, { b: new Uint8Array([7]) }], nothing: null });
  });
});

describe('refusals', () => {
  class Account {
    balance = 1;
  }
  const cycle: Record<string, unknown> = { name: 'x' };
  cycle['next'] = { list: [1, cycle] };
  const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);
  const hidden = Object.defineProperty({}, 'x', { value: 1, enumerable: false });

  test.each<[string, unknown, RegExp]>([
    ['date', { items: [0, 1, 2, { when: new Date(0) }] }, /^acct\.items\[3\]\.when: an object of class Date/],
    ['not-a-number', { a: Number.NaN }, /^acct\.a: NaN/],
    ['infinity', Number.NEGATIVE_INFINITY, /^acct: -Infinity/],
    ['hole', { a: [1, , 3] }, /^acct\.a\[1\]: undefined/],
    ['undefined', { a: { b: undefined } }, /^acct\.a\.b: undefined/],
    ['symbol', [Symbol('s')], /^acct\[0\]: a symbol/],
    ['symbol-key', { a: { [Symbol('s')]: 1 } }, /^acct\.a: .*symbol/],
    ['accessor', { get a() { return 1; } }, /^acct\.a: an accessor/], // prettier-ignore
    ['hidden-property', { a: hidden }, /^acct\.a\.x: .*not enumerable/],
    ['class-instance', { a: new Account() }, /^acct\.a: an object of class Account/],
    ['map', { 'a b': new Map() }, /^acct\["a b"\]: an object of class Map/],
    ['set', new Set(), /^acct: an object of class Set/],
    ['regexp', [/a/], /^acct\[0\]: an object of class RegExp/],
    ['float-array', new Float64Array(1), /^acct: an object of class Float64Array/],
    ['array-buffer', new ArrayBuffer(1), /^acct: an object of class ArrayBuffer/],
    ['boxed', Object(1), /^acct: an object of class Number/],
    ['promise', { a: Promise.resolve(1) }, /^acct\.a: an object of class Promise/],
    ['inherited', Object.create({ a: 1 }), /^acct: an object/],
    ['array-with-property', Object.assign([1, 2], { index: 0 }), /^acct: an array with the property "index"/],
    ['array-subclass', new (class Rows extends Array<number> {})(), /^acct: an object of class Rows/],
    ['lone-surrogate', { a: 'x\ud800' }, /^acct\.a: the string .* lone surrogate/],
    ['lone-surrogate-key', { '\udfff': 1 }, /lone surrogate/],
    ['function', { f: () => 1 }, /^acct\.f: the function/],
    ['big-bigint', [2n ** 64n], /^acct\[0\]: the bigint "18446744073709551616"/],
    ['small-bigint', -(2n ** 63n) - 1n, /^acct: the bigint/],
    ['cycle', cycle, /^acct\.next\.list\[1\]: a cycle/],
    ['depth', deep(65), /nested deeper than 64/],
  ])('%s', (_, value, message) => {
    const refusal = { code: 'BAD_VALUE', message: expect.stringMatching(message) as string };
    expect(() => encodeContent(value, options)).toThrow(expect.objectContaining(refusal));
    const inArgs = {
      code: 'BAD_VALUE',
      message: expect.stringMatching(new RegExp(message.source.replace('^acct', '^acct\\[1\\]'))) as string,
    };
    expect(() => encodeArgs(['first', value], options)).toThrow(expect.objectContaining(inArgs));
  });

  test('depth-up-to-the-limit-is-taken', () => {
    expect(roundTrip(deep(64))).toEqual(deep(64));
    expect(decodeArgs(encodeArgs([deep(64)], options), { ...decode, maxDepth: 64 })).toEqual([deep(64)]);
    expect(() => decodeArgs(encodeArgs([deep(64)], options), { ...decode, maxDepth: 63 })).toThrow(
      /nested deeper than 64/,
    );
  });

  test.each<[string, unknown]>([
    ['one-string', 'x'.repeat(300)],
    ['many-small', Array.from({ length: 300 }, () => 1)],
    ['bytes', new Uint8Array(300)],
    ['shared-structure-that-doubles', Array.from({ length: 40 }).reduce<unknown>((inner) => [inner, inner], 1)],
  ])('too-large-%s', (_, value) => {
    const small = { ...options, maxBytes: 200 };
    expect(() => encodeContent(value, small)).toThrow(
      expect.objectContaining({
        code: 'TOO_LARGE',
        message: expect.stringMatching(/^acct: .* at least [0-9]{3,} bytes; message.max_body_bytes is 200$/) as string,
      }),
    );
    expect(() => encodeArgs([value], small)).toThrow(expect.objectContaining({ code: 'TOO_LARGE' }));
  });

  test('encoding-inside-of-encoding', () => {
    let inner: unknown;
    const trap = new Proxy({ a: 1 }, {
      ownKeys: () => {
        inner = encodeContent({ deep: [1, 2, 3] }, options);
        return ['a'];
      },
    }); // prettier-ignore
    expect(roundTrip([trap, 'after'])).toEqual([{ a: 1 }, 'after']);
    expect(decodeContent(inner as Content, decode)).toEqual({ deep: [1, 2, 3] });
  });

  test('an-encoder-that-threw-works-again', () => {
    for (let i = 0; i < 20; i++) expect(() => encodeContent({ a: [new Date(0)] }, options)).toThrow(/Date/);
    expect(roundTrip({ a: [1] })).toEqual({ a: [1] });
  });
});

describe('what a peer may send', () => {
  test.each([
    ['truncated-array', '9301', 'MALFORMED'],
    ['truncated-string', 'a5616263', 'MALFORMED'],
    ['huge-array', 'ddffffffff', 'MALFORMED'],
    ['huge-map', 'dfffffffff', 'MALFORMED'],
    ['huge-bytes', 'c6ffffffff00', 'MALFORMED'],
    ['left-over', '0102', 'MALFORMED'],
    ['empty', '', 'MALFORMED'],
    ['extension', 'd40100', 'MALFORMED'],
    ['never-used', 'c1', 'MALFORMED'],
    ['key-no-string', '810102', 'MALFORMED'],
    ['not-a-number', 'cb7ff8000000000000', 'BAD_VALUE'],
    ['infinity', 'ca7f800000', 'BAD_VALUE'],
    ['method-as-argument', '81a7246d6574686f64a178', 'BAD_VALUE'],
    ['reference-to-a-number', '81a42472656601', 'BAD_VALUE'],
  ])('%s', (_, hex, code) => {
    const list = Buffer.from(`91${hex}`, 'hex');
    expect(() => decodeArgs(list, decode)).toThrow(expect.objectContaining({ code }));
  });

  test('nesting-is-bounded', () => {
    expect(() => decodeContent(Buffer.alloc(100_000, 0x91), decode)).toThrow(
      expect.objectContaining({ code: 'MALFORMED' }),
    );
  });

  test('random-bytes-throw-nothing-but-our-errors', () => {
    const seed = runSeed();
    const random = seeded(seed);
    for (let i = 0; i < 5000; i++) {
      const bytes = Buffer.from(Array.from({ length: random.below(60) }, () => random.below(256)));
      try {
        decodeArgs(bytes, decode);
      } catch (error) {
        if (!['MALFORMED', 'BAD_VALUE'].includes((error as { code: string }).code))
          throw new Error(`seed ${seed}: ${bytes.toString('hex')}`, { cause: error });
      }
    }
  });
});

describe('slots', () => {
  test('kinds-of-content', () => {
    const method = methodContent({ source: 'async (self) => 1', author: 'me', examples: [{ $ref: 1 }] });
    expect(contentKind(method)).toBe('method');
    expect(methodOf(method)).toEqual({ source: 'async (self) => 1', author: 'me', examples: [{ $ref: 1 }] });
    expect(contentKind(primitiveContent('clone'))).toBe('primitive');
    expect(primitiveOf(primitiveContent('clone'))).toBe('clone');
    for (const data of [
      1,
      null,
      'x',
      encodeContent({ $method: 'no' }, options),
      encodeContent([1], options),
      encodeContent({}, options),
    ]) {
      expect(contentKind(data)).toBe('data');
      expect(methodOf(data)).toBeUndefined();
      expect(primitiveOf(data)).toBeUndefined();
    }
  });

  test('names', () => {
    for (const name of ['a', '_x', '$y', 'größe', 'camelCase9'])
      expect([name, isIdentifier(name)]).toEqual([name, true]);
    for (const name of ['', '9a', 'a b', 'class', 'await', '__proto__', 'a*', '#1', 'a.b', 'a\n'])
      expect([name, isIdentifier(name)]).toEqual([name, false]);
    for (const name of ['parent*', 'default', 'a']) expect([name, isSlotName(name)]).toEqual([name, true]);
    for (const name of ['*', 'a**', '__proto__*', '']) expect([name, isSlotName(name)]).toEqual([name, false]);
    for (const oid of ['#1', '#1.2f', '#abcDEF']) expect([oid, isOid(oid)]).toEqual([oid, true]);
    for (const oid of ['#', '1', '#a b', '##', `#${'1'.repeat(200)}`]) expect([oid, isOid(oid)]).toEqual([oid, false]);
  });
});

describe('JSON form', () => {
  test('what-json-lacks-has-a-form', () => {
    const value = {
      b: new Uint8Array([1, 255]),
      i: 12345678901234567890n,
      r: new WireRef('bob'),
      $ref: 'own',
      $price: 3,
      n: [null, 1.5],
    };
    const json = toJson(value);
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
    expect(json).toEqual({
      b: { $bytes: 'Af8=' },
      i: { $int: '12345678901234567890' },
      r: { $ref: 'bob' },
      $$ref: 'own',
      $price: 3,
      n: [null, 1.5],
    });
    expect(fromJson(json)).toEqual(value);
  });

  test('random-values-survive-json', () => {
    const random = seeded(7);
    for (let i = 0; i < 500; i++) {
      const value = randomValue(random);
      assert.deepStrictEqual(fromJson(JSON.parse(JSON.stringify(toJson(value))) as unknown), value);
    }
  });

  test('names-are-shown-where-there-are-any', () => {
    expect(
      toJson([new WireRef('#1'), { x: new WireRef('#2') }], {
        refToName: (ref) => (ref instanceof WireRef && ref.id === '#1' ? 'bob' : undefined),
      }),
    ).toEqual([{ $ref: 'bob' }, { x: { $ref: '#2' } }]);
  });

  test.each([[{ $int: 'x' }], [{ $int: 5 }], [{ $bytes: '***' }], [{ $ref: null }]])('bad form %j', (json) => {
    expect(() => fromJson([json])).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
  });
});
