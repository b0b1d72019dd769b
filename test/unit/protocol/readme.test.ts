/** The worked examples of protocol/README.md: the hex says what the JSON says, and is what this program would send. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  checkFromClient,
  checkHello,
  checkToClient,
  checkVersion,
  checkWelcome,
  decodeArgs,
  decodeContent,
  fromJson,
  pack,
  QUERY_OPS,
  SIGNAL,
  T,
  unpack,
  wireRefs,
} from '../../../protocol/index.js';

const here = dirname(fileURLToPath(import.meta.url));
const text = readFileSync(join(here, '../../../protocol/README.md'), 'utf8');

interface Example {
  readonly title: string;
  readonly signal: number;
  readonly bytes: Buffer;
  readonly json: unknown;
}

/** Hex digits in pairs at the beginning of a line; what stands behind three spaces is a comment. */
function bytesOf(line: string): Buffer {
  const digits = (/^\s*((?:[0-9a-f]{2} ?)+)(?: |$)/.exec(line)?.[1] ?? '').replaceAll(' ', '');
  return Buffer.from(digits, 'hex');
}

function examples(): Example[] {
  const found = text.matchAll(/```hex\n([^`]*)```\s*```json\n([^`]*)```/g);
  return [...found].map(([, hex, json]) => {
    const lines = (hex as string).trimEnd().split('\n');
    const signal = bytesOf(lines[0] as string);
    expect(signal).toHaveLength(1);
    const title = (lines[0] as string).slice(2).trim();
    return {
      title,
      signal: signal[0] as number,
      bytes: Buffer.concat(lines.slice(1).map(bytesOf)),
      json: fromJson(JSON.parse(json as string)),
    };
  });
}

const all = examples();
const checkEnvelope = (envelope: unknown[]): unknown =>
  (envelope[0] as number) < T.ANSWER ? checkFromClient(envelope) : checkToClient(envelope);

test('there-is-an-example-of-each-signal-and-each-client-envelope-but-cancel', () => {
  expect([...text.matchAll(/```hex/g)]).toHaveLength(all.length);
  expect(new Set(all.map(({ signal }) => signal))).toEqual(new Set(Object.values(SIGNAL)));
  const types = all
    .filter(({ signal }) => signal === SIGNAL.WORK)
    .flatMap(({ json }) => (json as unknown[][]).slice(1).map(([type]) => type));
  expect(new Set(types)).toEqual(
    new Set([T.ASK, T.SUBSCRIBE, T.CREDIT, T.UNSUBSCRIBE, T.QUERY, T.ANSWER, T.ERROR, T.PARTIAL, T.NOTICE]),
  );
});

describe.each(all.map((example, index) => [index, example.title, example] as const))(
  'example %i %s',
  (_, title, { signal, bytes, json }) => {
    test('signal-is-named-rightly', () => {
      expect(SIGNAL[title as keyof typeof SIGNAL]).toBe(signal);
    });

    test('hex-says-what-the-json-says', () => {
      expect(plain(unpack(bytes))).toEqual(plain(json));
    });

    test('hex-is-what-this-program-sends', () => {
      expect(pack(json).toString('hex')).toBe(bytes.toString('hex'));
    });

    test('checks-accept-it', () => {
      const list = unpack(bytes) as unknown[];
      if (signal === SIGNAL.READY) {
        checkVersion(list);
        if (list[2] === 'client') checkHello(list);
        else checkWelcome(list);
      }
      if (signal === SIGNAL.WORK) for (const envelope of list.slice(1)) checkEnvelope(envelope as unknown[]);
    });
  },
);

/** Buffers and byte arrays alike. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  return Array.isArray(value) ? value.map(plain) : value;
}

test('opaque-parts-hold-what-their-comments-say', () => {
  const envelope = (type: number): unknown[] =>
    all
      .flatMap(({ signal, bytes }) => (signal === SIGNAL.WORK ? (unpack(bytes) as unknown[][]).slice(1) : []))
      .find(([own]) => own === type) as unknown[];
  expect(decodeArgs(envelope(T.ASK)[7] as Uint8Array, wireRefs)).toEqual([42, wireRefs.makeRef('bob')]);
  expect(decodeArgs(envelope(T.QUERY)[5] as Uint8Array, wireRefs)).toEqual(['acct']);
  expect(decodeContent(envelope(T.ANSWER)[2] as Uint8Array, wireRefs)).toEqual({
    balance: 142,
    owner: wireRefs.makeRef('#2.1'),
  });
});

test('every-envelope-and-every-question-has-its-row', () => {
  for (const [name, type] of Object.entries(T)) expect(text).toMatch(new RegExp(`\\| ${type} +\\| ${name} `));
  for (const op of QUERY_OPS) expect(text).toMatch(new RegExp(`\\| \`${op}\` `));
});
