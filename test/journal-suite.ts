/**
 * The acceptance suite of the journal's port (runtime/journal/port.ts, J1 to J5): plain async checks that throw, so that they run in jest on
 * MemoryJournal and in a spawned process on RocksDB. A check is named by the hazard that it attacks.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { TelosError, type Seq } from '../protocol/index.js';
import {
  keys,
  prefixRange,
  rangeOf,
  type GroupWrite,
  type JournalPort,
  type Key,
  type Put,
} from '../runtime/journal/index.js';

/** One store, opened again and again. */
export interface Subject {
  /** Begins a life. The one before was closed. */
  open(): Promise<JournalPort>;
}

export type Check = (subject: Subject) => Promise<void>;

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
const group = (
  first: number,
  last: number,
  record: string | null,
  puts: Put[] = [],
  deletes: Key[] = [],
): GroupWrite => ({
  record: record === null ? null : bytes(record),
  firstSeq: first as Seq,
  lastSeq: last as Seq,
  puts,
  deletes,
});
const chainOf = (...records: string[]): Buffer =>
  records.reduce<Buffer>(
    (chain, record) => createHash('sha256').update(chain).update(record).digest(),
    Buffer.alloc(32),
  );
const texts = (rows: readonly (readonly [Key, Buffer])[]): string[] => rows.map(([, value]) => value.toString());

async function rejects(promise: Promise<unknown>, code: string, text?: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof TelosError, String(error));
    assert.equal(error.code, code, error.message);
    if (text !== undefined) assert.match(error.message, text);
    return true;
  });
}

async function using<R>(subject: Subject, use: (journal: JournalPort) => Promise<R>): Promise<R> {
  const journal = await subject.open();
  try {
    return await use(journal);
  } finally {
    await journal.close();
  }
}

export const journalChecks: Record<string, Check> = {
  'a new journal is empty': (subject) =>
    using(subject, async (journal) => {
      const { identity } = journal;
      assert.equal(identity.endSeq, 0);
      assert.deepEqual(Buffer.from(identity.chain), Buffer.alloc(32));
      assert.ok(identity.incarnation >= 1);
      assert.ok(identity.imageId.length > 0);
      assert.equal(journal.readOnly, false);
    }),

  'what was appended is read back, by key and in order': (subject) =>
    using(subject, async (journal) => {
      const put = (oid: string, text: string): Put => [keys.object(oid), bytes(text)];
      await journal.append(group(1, 3, 'first', [put('#b', 'B'), put('#a', 'A')]));
      await journal.append(group(4, 4, 'second', [put('#c', 'C')], [keys.object('#b')]));
      assert.deepEqual(texts(await journal.page(rangeOf('o'), 10)), ['A', 'C']);
      assert.deepEqual(texts(await journal.page({ ...rangeOf('o'), reverse: true }, 1)), ['C']);
      const [a, b, first] = await journal.getMany([keys.object('#a'), keys.object('#b'), keys.record(1)]);
      assert.equal(a?.toString(), 'A');
      assert.equal(b, undefined);
      assert.equal(first?.toString(), 'first');
      assert.deepEqual(await journal.getMany([]), []);
    }),

  'every kind of range': (subject) =>
    using(subject, async (journal) => {
      const at = (n: number): Key => keys.outbox(n);
      await journal.append(
        group(
          1,
          0,
          null,
          [1, 2, 3, 256, 2 ** 32, 2 ** 40].map((n): Put => [at(n), bytes(String(n))]),
        ),
      );
      const all = async (range: object, limit = 10): Promise<string[]> =>
        texts(await journal.page({ ...range }, limit));
      assert.deepEqual(await all({ gte: at(2), lt: at(256) }), ['2', '3']);
      assert.deepEqual(await all({ gt: at(2), lte: at(256) }), ['3', '256']);
      assert.deepEqual(await all({ gt: at(256), lt: rangeOf('q').lt }), [String(2 ** 32), String(2 ** 40)]);
      assert.deepEqual(await all({ gte: rangeOf('q').gte, lte: at(255), reverse: true }, 2), ['3', '2']);
      assert.deepEqual(await all({ gte: at(4), lte: at(255) }), []);
      assert.deepEqual(await all(prefixRange(at(2).subarray(0, 9))), ['2']);
      const rows = await journal.page({ gt: at(3), lt: rangeOf('q').lt }, 1);
      assert.deepEqual(rows[0]?.[0], at(256));
    }),

  'values that are no Buffers are stored as bytes': (subject) =>
    using(subject, async (journal) => {
      const frame = Uint8Array.of(9, 1, 2, 3, 9);
      await journal.append(
        group(1, 0, null, [
          [keys.object('#u'), frame.subarray(1, 4)],
          [keys.object('#empty'), new Uint8Array(0)],
        ]),
      );
      const [value, empty] = await journal.getMany([keys.object('#u'), keys.object('#empty')]);
      assert.deepEqual([...(value ?? [])], [1, 2, 3]);
      assert.equal(empty?.length, 0);
    }),

  'keys of any bytes': (subject) =>
    using(subject, async (journal) => {
      const oids = ['#', '#ÿ', '#日本', '#\u0000', '#a\u0000b'];
      await journal.append(
        group(
          1,
          0,
          null,
          oids.flatMap((oid): Put[] => [
            [keys.object(oid), bytes(oid)],
            [keys.history(oid, 300), bytes(`${oid} x`)],
          ]),
        ),
      );
      const found = await journal.getMany(oids.map((oid) => keys.object(oid)));
      assert.deepEqual(found.map(String), oids);
    }),

  'everything is there after the next open, and the chain goes on': async (subject) => {
    await using(subject, async (journal) => {
      await journal.append(group(1, 2, 'one', [[keys.name('x'), bytes('X')]]));
      await journal.append(group(3, 2, null, [[keys.client('k'), bytes('K')]]));
      await journal.append(group(3, 3, 'two'));
    });
    await using(subject, async (journal) => {
      assert.equal(journal.identity.endSeq, 3);
      assert.deepEqual(Buffer.from(journal.identity.chain), chainOf('one', 'two'));
      assert.deepEqual((await journal.getMany([keys.name('x'), keys.client('k'), keys.record(3)])).map(String), [
        'X',
        'K',
        'two',
      ]);
      await journal.append(group(4, 4, 'three'));
    });
    await using(subject, async ({ identity }) => {
      assert.equal(identity.endSeq, 4);
      assert.deepEqual(Buffer.from(identity.chain), chainOf('one', 'two', 'three'));
    });
  },

  'no two lives have the same incarnation': async (subject) => {
    const seen: number[] = [];
    let imageId: string | undefined;
    for (let life = 0; life < 3; life++) {
      await using(subject, async (journal) => {
        seen.push(journal.identity.incarnation);
        assert.equal(imageId ?? journal.identity.imageId, journal.identity.imageId);
        imageId = journal.identity.imageId;
        const workers = await Promise.all([
          journal.raiseIncarnation(),
          journal.raiseIncarnation(),
          journal.raiseIncarnation(),
        ]);
        seen.push(...workers.sort((a, b) => a - b));
      });
    }
    assert.deepEqual(
      [...new Set(seen)].sort((a, b) => a - b),
      seen,
    );
  },

  'incarnations drawn while groups are written': (subject) =>
    using(subject, async (journal) => {
      const drawn: Promise<number>[] = [];
      for (let seq = 1; seq <= 20; seq++) {
        drawn.push(journal.raiseIncarnation());
        await journal.append(group(seq, seq, `turn ${seq}`));
      }
      assert.equal(new Set(await Promise.all(drawn)).size, 20);
    }),

  'a group that leaves a gap or repeats is refused, and nothing of it is written': (subject) =>
    using(subject, async (journal) => {
      const stray: Put[] = [[keys.object('#stray'), bytes('!')]];
      await journal.append(group(1, 1, 'one'));
      await rejects(journal.append(group(3, 3, 'gap', stray)), 'INTERNAL', /ends at turn 1/);
      await rejects(journal.append(group(1, 1, 'again', stray)), 'INTERNAL');
      await rejects(journal.append(group(2, 2, null, stray)), 'INTERNAL');
      assert.deepEqual(await journal.getMany([keys.object('#stray'), keys.record(3)]), [undefined, undefined]);
      await journal.append(group(2, 2, 'two'));
    }),

  'a second append while one is under way is refused': (subject) =>
    using(subject, async (journal) => {
      const first = journal.append(group(1, 1, 'one'));
      await rejects(journal.append(group(2, 2, 'two')), 'INTERNAL', /under way/);
      await first;
      await journal.append(group(2, 2, 'two'));
    }),

  'the last of several puts of one key counts, and a delete after them all': (subject) =>
    using(subject, async (journal) => {
      const key = keys.object('#twice');
      await journal.append(
        group(1, 0, null, [
          [key, bytes('old')],
          [key, bytes('new')],
        ]),
      );
      assert.equal(String((await journal.getMany([key]))[0]), 'new');
      await journal.append(group(1, 0, null, [[key, bytes('newer')]], [key]));
      assert.deepEqual(await journal.getMany([key]), [undefined]);
    }),

  'pages while groups are written': (subject) =>
    using(subject, async (journal) => {
      await journal.append(
        group(
          1,
          0,
          null,
          Array.from({ length: 500 }, (_, i): Put => [keys.outbox(i + 1), bytes(String(i + 1))]),
        ),
      );
      const writing = (async () => {
        for (let i = 0; i < 20; i++)
          await journal.append(group(1, 0, null, [[keys.outbox(1000 + i), bytes('late')]], [keys.outbox(i + 1)]));
      })();
      let from: Key = keys.outbox(0);
      const seen: string[] = [];
      for (;;) {
        const rows = await journal.page({ gt: from, lt: keys.outbox(1000) }, 33);
        const last = rows[rows.length - 1];
        if (last === undefined) break;
        seen.push(...texts(rows));
        from = last[0];
      }
      await writing;
      assert.deepEqual(
        seen.slice(-480),
        Array.from({ length: 480 }, (_, i) => String(i + 21)),
      );
    }),

  'a group of several MiB': async (subject) => {
    const big = Buffer.alloc(6 * 1024 * 1024, 'telos');
    await using(subject, (journal) =>
      journal.append(group(1, 4096, big.toString('latin1'), [[keys.object('#big'), big]])),
    );
    await using(subject, async (journal) => {
      assert.equal(journal.identity.endSeq, 4096);
      assert.ok((await journal.getMany([keys.object('#big')]))[0]?.equals(big));
    });
  },

  'answered values are the reader’s own': (subject) =>
    using(subject, async (journal) => {
      const key = keys.object('#own');
      const value = bytes('mine');
      await journal.append(group(1, 0, null, [[key, value]]));
      value.fill(0);
      (await journal.getMany([key]))[0]?.fill(0);
      (await journal.page({ gte: key, lte: key }, 1))[0]?.[1].fill(0);
      assert.equal(String((await journal.getMany([key]))[0]), 'mine');
    }),

  'each append is one sync at least': (subject) =>
    using(subject, async (journal) => {
      const before = journal.stats();
      for (let seq = 1; seq <= 25; seq++) await journal.append(group(seq, seq, `turn ${seq}`));
      const after = journal.stats();
      assert.equal(after.appends - before.appends, 25);
      assert.ok(after.syncs - before.syncs >= 25, `${after.syncs - before.syncs} syncs for 25 groups`);
      assert.ok(after.bytes > before.bytes);
    }),

  'closed is closed, twice too, and what was under way ends': async (subject) => {
    const journal = await subject.open();
    const under = journal.append(group(1, 1, 'one'));
    const reading = journal.page(rangeOf('j'), 10);
    await Promise.allSettled([under, reading]);
    await Promise.all([journal.close(), journal.close()]);
    await rejects(journal.append(group(2, 2, 'two')), 'STORAGE_FAILED');
    await rejects(journal.getMany([keys.record(1)]), 'STORAGE_FAILED');
    await rejects(journal.page(rangeOf('j'), 1), 'STORAGE_FAILED');
  },
};
