/** The memory double: the acceptance suite, and what only a double can do: crash, fail, dawdle, rot. */
import { TelosError, type Seq } from '../../protocol/index.js';
import { keys, MemoryJournal, MemoryStore, rangeOf, type GroupWrite } from '../../runtime/journal/index.js';
import { journalChecks } from '../journal-suite.js';

const group = (seq: number, text = `turn ${seq}`): GroupWrite => ({
  record: Buffer.from(text),
  firstSeq: seq as Seq,
  lastSeq: seq as Seq,
  puts: [[keys.object('#a'), Buffer.from(text)]],
  deletes: [keys.outbox(seq - 1)],
});

describe('acceptance suite', () => {
  for (const [name, check] of Object.entries(journalChecks)) {
    test(name, async () => {
      const store = new MemoryStore();
      await check({ open: async () => new MemoryJournal(store) });
    });
  }
});

test('a power cut takes what was not synced, whole groups only', () => {
  for (const survivors of [0, 1, 2]) {
    const store = new MemoryStore('image');
    store.open();
    store.apply(group(1));
    store.sync();
    store.apply(group(2));
    store.apply(group(3));
    store.crash(survivors);
    const { endSeq } = store.open();
    expect(endSeq).toBe(1 + survivors);
    expect(String(store.getMany([keys.object('#a')])[0])).toBe(`turn ${1 + survivors}`);
    expect(store.page(rangeOf('j'), 10)).toHaveLength(1 + survivors);
    store.apply(group(2 + survivors));
  }
});

test('a power cut before the sync rejects the append', async () => {
  const store = new MemoryStore();
  const steps: (() => void)[] = [];
  const journal = new MemoryJournal(store, { schedule: (done) => void steps.push(done) });
  const append = journal.append(group(1));
  steps.shift()?.();
  await Promise.resolve();
  expect(store.unsyncedGroups).toBe(1);
  journal.crash();
  steps.shift()?.();
  await expect(append).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  expect(new MemoryJournal(store).identity).toMatchObject({ endSeq: 0, incarnation: 2 });
});

test.each([false, true])('a planned failure (written: %s) leaves all of the group or nothing', async (written) => {
  const store = new MemoryStore();
  const journal = new MemoryJournal(store);
  journal.failAppend(2, new TelosError('DISK_FULL', 'planned'), written);
  await journal.append(group(1));
  await expect(journal.append(group(2))).rejects.toMatchObject({ code: 'DISK_FULL' });
  await expect(journal.append(group(2))).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(new MemoryJournal(store).identity.endSeq).toBe(written ? 2 : 1);
});

test('a flipped bit is found and its key named', async () => {
  const store = new MemoryStore();
  const journal = new MemoryJournal(store);
  await journal.append(group(1));
  store.flipBit(keys.object('#a'));
  await expect(journal.getMany([keys.object('#a')])).rejects.toMatchObject({
    code: 'DAMAGED',
    message: expect.stringContaining('object #a'),
  });
  store.flipBit(keys.record(1), 3);
  await expect(journal.page(rangeOf('j'), 1)).rejects.toMatchObject({
    code: 'DAMAGED',
    message: expect.stringContaining('commit record 1'),
  });
});

test('a store of a newer generation is refused', () => {
  expect(() => new MemoryJournal(new MemoryStore('image', 99))).toThrow(
    expect.objectContaining({ code: 'IMAGE_NEWER' }),
  );
});

test('read only: every append is refused, reading goes on', async () => {
  const journal = new MemoryJournal(new MemoryStore(), { readOnly: true });
  await expect(journal.append(group(1))).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(journal.readOnly).toBe(true);
  expect(await journal.getMany([keys.record(1)])).toEqual([undefined]);
});
