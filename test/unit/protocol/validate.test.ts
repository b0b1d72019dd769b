/** Checks at the border: what is of the protocol passes unchanged, every position of every envelope is guarded. */
import {
  checkCommitBody,
  checkFromClient,
  checkFromHost,
  checkFromService,
  checkHello,
  checkToClient,
  checkToHost,
  checkVersion,
  checkWelcome,
  T,
} from '../../../protocol/index.js';

const bytes = new Uint8Array([0x90]);
const error = ['BUSY', 'TelosError', 'm', 'r', null];

const GOOD: [string, (env: unknown) => unknown, unknown[]][] = [
  ['ASK', checkFromClient, [T.ASK, 1, 1, 20_000, '', 'bob', 'greet', bytes, 0]],
  ['CANCEL', checkFromClient, [T.CANCEL, 1]],
  ['SUBSCRIBE', checkFromClient, [T.SUBSCRIBE, 1, '*', 100]],
  ['CREDIT', checkFromClient, [T.CREDIT, 1, 100]],
  ['UNSUBSCRIBE', checkFromClient, [T.UNSUBSCRIBE, 1]],
  ['QUERY', checkFromClient, [T.QUERY, 2, 1, 1000, 'status', bytes]],
  ['RELEASE', checkFromClient, [T.RELEASE, [2, 5, 7, 7, 9, 12]]],
  ['ANSWER', checkToClient, [T.ANSWER, 1, bytes, 7]],
  ['ERROR', checkToClient, [T.ERROR, 1, error]],
  ['PARTIAL', checkToClient, [T.PARTIAL, 1, 1, 'text']],
  ['NOTICE', checkToClient, [T.NOTICE, 1, 1, 7, 1000, ['#1', ['a', 'b'], '#2', []]]],
  ['UNSUBSCRIBED', checkToClient, [T.UNSUBSCRIBED, 1, error]],
  ['RUN', checkToHost, [T.RUN, 1, 1, 'bob', '#1', 0, 'greet', bytes, 1, 1, 0, '', null]],
  ['LOAD', checkFromHost, [T.LOAD, 1, ['#1'], ['bob']]],
  ['COMMIT', checkFromHost, [T.COMMIT, 2 ** 33 + 1, 2 ** 32 + 1, 1, bytes]],
  ['DROPPED', checkFromHost, [T.DROPPED, ['#1']]],
  ['GRANT_REQUEST', checkFromHost, [T.GRANT_REQUEST, 0, 1, ['#1', '=bob']]],
  ['SERVICE', checkFromHost, [T.SERVICE, 1, 0, 1, 'key', 'mind', 'infer', bytes]],
  ['HOST_PARTIAL', checkFromHost, [T.HOST_PARTIAL, 0, 1, 1, null]],
  ['DECLINED', checkFromHost, [T.DECLINED, 0, 1, error]],
  ['HOST_STATS', checkFromHost, [T.HOST_STATS, { turns: 1 }]],
  ['SERVED', checkFromService, [T.SERVED, 1, 0, true, bytes]],
  ['COMMIT body', checkCommitBody, [[['#1', ['a', 5, '', 0]]], [['bob', 0]], ['#2'], [['#2', [['a', 0, 1], ['b', 1, null], ['c', 2, bytes]]]], [['bob', '#2'], ['old', null]], [['#1', 'x', bytes]], [[5, '#1', 'x', bytes]], [true, 'ok', null]]], // prettier-ignore
  ['Hello', checkHello, ['TelOS', 1, 'client', 0, 'key', 'token', 0, 'me', []]],
  ['Welcome', checkWelcome, ['TelOS', 1, 1, 'image', 2 ** 32 + 1, 1000, 3, 1 << 20, 1 << 19, 64]],
];

const malformed = expect.objectContaining({ code: 'MALFORMED' }) as Error;

test.each([[[1]], [[0, 1]], [[5, 4]], [[1, 3, 3, 5]], [[7, 9, 1, 2]], [[1.5, 2]], [['1', '2']]])(
  'RELEASE of %j is refused',
  (ranges) => {
    expect(() => checkFromClient([T.RELEASE, ranges])).toThrow(malformed);
  },
);

describe.each(GOOD)('%s', (name, check, good) => {
  test('passes-unchanged', () => {
    expect(check(good)).toBe(good);
  });

  test('every-shorter-list-is-refused', () => {
    for (let length = 0; length < good.length; length++) expect(() => check(good.slice(0, length))).toThrow(malformed);
  });

  test('longer-lists-are-taken-for-later-additions', () => {
    expect(() => check([...good, 'more'])).not.toThrow();
  });

  // The kernel is trusted by its hosts: of RUN only type and length are looked at.
  const guarded = name === 'RUN' ? [0] : good.keys();
  test('every-position-refuses-what-does-not-belong-there', () => {
    for (const at of guarded) {
      if ((name === 'Hello' || name === 'Welcome') && at < 2) continue;
      const wrong = [...good];
      wrong[at] = { no: 'where' };
      if (name === 'HOST_STATS' && at === 1) continue;
      expect(() => check(wrong)).toThrow(malformed);
    }
  });
});

test.each<[string, unknown]>([
  ['nothing', undefined],
  ['null', null],
  ['text', 'ASK'],
  ['map', { 0: 1 }],
  ['empty', []],
  ['unknown-type', [99, 1]],
  ['type-of-the-other-side', [T.ANSWER, 1, 1, 1]],
  ['number-zero', [T.CANCEL, 0]],
  ['negative', [T.CANCEL, -1]],
  ['fraction', [T.CANCEL, 1.5]],
  ['not-a-number', [T.CANCEL, Number.NaN]],
  ['too-large', [T.CANCEL, 2 ** 60]],
  ['bigint', [T.CANCEL, 5n]],
  ['endless-text', [T.SUBSCRIBE, 1, 'x'.repeat(5000), 1]],
  ['origin-of-the-kernel', [T.ASK, 1, 1, 1, '', 'a', 'b', bytes, 3]],
])('from a client: %s', (_, env) => {
  expect(() => checkFromClient(env)).toThrow(malformed);
});

test('the-message-quotes-place-and-value', () => {
  expect(() => checkFromClient([T.ASK, 1, 1, 1, '', 'bob', 42, bytes, 0])).toThrow('ASK: selector is 42 where a text');
});

test('versions', () => {
  expect(() => checkVersion(['TelOS', 1])).not.toThrow();
  expect(() => checkVersion(['TelOS', 2, 'whatever'])).toThrow(expect.objectContaining({ code: 'VERSION_MISMATCH' }));
  for (const bad of [null, [], ['telos', 1], 'TelOS']) expect(() => checkVersion(bad)).toThrow(malformed);
});

test('session-as-64-bit-integer-of-another-language', () => {
  expect(checkHello(['TelOS', 1, 'client', 0, 'key', '', 4294967297n, 'py', []])[6]).toBe(4_294_967_297);
});

test('notice-with-an-odd-list', () => {
  expect(() => checkToClient([T.NOTICE, 1, 1, 7, 1000, ['#1']])).toThrow(malformed);
});

test('reads-without-attempt', () => {
  expect(() => checkCommitBody([[['#1', ['a']]], [], [], [], [], [], [], [true, null, null]])).toThrow(malformed);
  expect(() => checkCommitBody([[], [], [], [['#1', [['a', 7, 1]]]], [], [], [], [true, null, null]])).toThrow(
    malformed,
  );
  expect(() => checkCommitBody([[], [], [], [], [], [], [], [false, null, ['BUSY']]])).toThrow(malformed);
});
