/** The pieces of the journal that need no database: keys, seals, head, log and table checks, the watch over writes. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Seq } from '../../protocol/index.js';
import { describeKey, openRecord, openValue, sealRecord, sealValue } from '../../runtime/journal/seal.js';
import { createHead, HeadFile, readHead } from '../../runtime/journal/head.js';
import { NEW_END } from '../../runtime/journal/end.js';
import { crc32c, maskedCrc } from '../../runtime/journal/crc32c.js';
import { checkLogFile } from '../../runtime/journal/log-file.js';
import { unsnappy } from '../../runtime/journal/table-file.js';
import { WriteWatch } from '../../runtime/journal/write-watch.js';
import { fieldsOf, historyOf, keys } from '../../runtime/journal/index.js';

let dir = '';
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'telos-files-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const flip = (path: string, at: number): void => {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
};

describe('keys', () => {
  test('are in the order of their fields, far beyond 32 bits', () => {
    const numbers = [0, 1, 255, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER];
    const made = numbers.map((n) => keys.record(n));
    expect([...made].sort((a, b) => a.compare(b))).toEqual(made);
    expect(made.map((key) => fieldsOf(key)[0])).toEqual(numbers);
  });

  test('a history key gives back its oid and seq, and has no other byte', () => {
    expect(keys.history('#a', 5).toString('hex')).toBe('782361000000000000000005');
    expect(historyOf(keys.history('#é.9', 2 ** 33))).toEqual(['#é.9', 2 ** 33]);
  });

  test('have names for people', () => {
    expect(describeKey(keys.record(15))).toBe('commit record 15');
    expect(describeKey(keys.object('#a'))).toBe('object #a');
    expect(describeKey(keys.history('#a', 7))).toBe('history of #a up to turn 7');
    expect(describeKey(keys.reply(3, 4))).toBe('reply 3/4');
    expect(describeKey(Buffer.from([1, 2]))).toBe('key 0102');
  });
});

describe('seals', () => {
  test('every flipped bit, and a value under another key, is found', () => {
    const key = keys.object('#a');
    const stored = sealValue(key, Buffer.from('value'));
    expect(String(openValue(key, stored))).toBe('value');
    for (let bit = 0; bit < stored.length * 8; bit++) {
      const changed = Buffer.from(stored);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => openValue(key, changed)).toThrow(/object #a does not have the content/);
    }
    expect(() => openValue(keys.object('#b'), stored)).toThrow(expect.objectContaining({ code: 'DAMAGED' }));
    expect(() => openValue(key, Buffer.alloc(3))).toThrow(expect.objectContaining({ code: 'DAMAGED' }));
  });

  test('a record comes with its chain hash', () => {
    const key = keys.record(1);
    const stored = sealRecord(key, Buffer.from('record'), Buffer.alloc(32, 7));
    expect(openRecord(key, stored).map(String)).toEqual(['record', String(Buffer.alloc(32, 7))]);
    expect(String(openValue(key, stored))).toBe('record');
  });
});

describe('head', () => {
  const end = (seq: number) => ({ seq: seq as Seq, first: seq as Seq, chain: Buffer.alloc(32, seq), groups: seq });
  const path = (): string => join(dir, 'head');
  const make = (): Promise<void> => createHead(path(), { ...NEW_END, generation: 1, incarnation: 0 });

  test('what was written is read, the later slot counts', async () => {
    await make();
    const head = await HeadFile.open(path());
    expect(await head.raiseIncarnation()).toBe(1);
    for (let seq = 1; seq <= 9; seq++) {
      head.write(end(seq));
      if (seq % 2 === 0) await head.sync();
      expect(readHead(path())).toMatchObject({ state: { seq, incarnation: 1 }, damaged: [] });
    }
    await head.close();
    expect(readHead(path()).state).toMatchObject(end(9));
  });

  test('between two syncs the slot that was synced is not touched', async () => {
    await make();
    const head = await HeadFile.open(path());
    head.write(end(1));
    await head.sync();
    const slots = (): string[] =>
      [0, 4096].map((at) =>
        readFileSync(path())
          .subarray(at, at + 84)
          .toString('hex'),
      );
    const synced = slots();
    for (const seq of [2, 3, 4]) head.write(end(seq));
    expect(slots().filter((slot) => synced.includes(slot))).toHaveLength(1);
    await head.close();
  });

  test('incarnations drawn during a sync are all different and durable', async () => {
    await make();
    const head = await HeadFile.open(path());
    const first = head.sync();
    const drawn = await Promise.all([1, 2, 3].map(() => head.raiseIncarnation()));
    await first;
    expect(new Set(drawn).size).toBe(3);
    expect(readHead(path()).state.incarnation).toBe(3);
    await head.close();
  });

  test('a damaged slot is told and the other counts; any byte of the page', async () => {
    for (const at of [0, 9, 40, 83, 84, 4095]) {
      await make();
      flip(path(), at);
      expect(readHead(path()).damaged).toEqual([0]);
      flip(path(), 4096 + at);
      expect(() => readHead(path())).toThrow(/both slots/);
    }
  });

  test('opening heals a damaged page', async () => {
    await make();
    flip(path(), 2000);
    flip(path(), 40);
    const head = await HeadFile.open(path());
    head.write(end(1));
    await head.sync();
    head.write(end(2));
    await head.close();
    expect(readHead(path()).damaged).toEqual([]);
  });

  test('a newer generation is told apart from damage', async () => {
    await createHead(path(), { ...NEW_END, generation: 2, incarnation: 0 });
    expect(() => readHead(path())).toThrow(expect.objectContaining({ code: 'IMAGE_NEWER' }));
    flip(path(), 60);
    flip(path(), 4096 + 60);
    expect(() => readHead(path())).toThrow(expect.objectContaining({ code: 'IMAGE_NEWER' }));
    rmSync(path());
    expect(() => readHead(path())).toThrow(expect.objectContaining({ code: 'DAMAGED' }));
  });
});

describe('files of RocksDB', () => {
  /** A log with one record for each content, the last piece of a block filled with zeros. */
  function logOf(contents: readonly Buffer[]): Buffer {
    const pieces: Buffer[] = [];
    let at = 0;
    const put = (bytes: Buffer): void => {
      pieces.push(bytes);
      at += bytes.length;
    };
    for (const content of contents) {
      let rest = content;
      for (let first = true; first || rest.length > 0; first = false) {
        const room = 32_768 - (at % 32_768);
        if (room < 7) put(Buffer.alloc(room));
        const left = 32_768 - (at % 32_768) - 7;
        const piece = rest.subarray(0, left);
        rest = rest.subarray(piece.length);
        const kind = first ? (rest.length > 0 ? 2 : 1) : rest.length > 0 ? 3 : 4;
        const body = Buffer.concat([Buffer.from([kind]), piece]);
        const header = Buffer.alloc(6);
        header.writeUInt32LE(maskedCrc(body), 0);
        header.writeUInt16LE(piece.length, 4);
        put(Buffer.concat([header, body]));
      }
    }
    return Buffer.concat(pieces);
  }
  const contents = [100, 40_000, 1, 0, 32_754, 90_000, 5].map((size, i) => Buffer.alloc(size, i + 1));
  const log = (): string => join(dir, '000007.log');

  test('a whole log; one that ends in a torn write; and any flipped bit before another write', async () => {
    const bytes = logOf(contents);
    writeFileSync(log(), bytes);
    await checkLogFile(log(), true);
    await checkLogFile(log(), false);
    writeFileSync(log(), bytes.subarray(0, bytes.length - 3));
    await checkLogFile(log(), true);
    await expect(checkLogFile(log(), false)).rejects.toMatchObject({ code: 'DAMAGED' });
    for (let at = 0; at < bytes.length - 12; at += 499) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      writeFileSync(log(), changed);
      await expect(checkLogFile(log(), false)).rejects.toMatchObject({
        code: 'DAMAGED',
        message: expect.stringContaining('000007.log'),
      });
    }
  });

  test('CRC-32C and Snappy, against known values', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(Buffer.from(unsnappy(Buffer.from('0b2868656c6c6f20776f726c64', 'hex'))).toString()).toBe('hello world');
    expect(Buffer.from(unsnappy(Buffer.from('0a0461621e0200', 'hex'))).toString()).toBe('ababababab');
    expect(() => unsnappy(Buffer.from('0a04616212ff00', 'hex'))).toThrow(RangeError);
  });
});

describe('the watch over writes', () => {
  const MIB = 1024 * 1024;
  const never = new Promise<void>(() => undefined);
  let now = 0;
  const properties: Record<string, number> = {};
  const db = { property: (name: string): string => String(properties[name.replace('rocksdb.', '')] ?? 0) };
  const watchOf = (): WriteWatch => new WriteWatch(db, dir, MIB, () => now);

  test('a write that nothing in RocksDB can end is given up after two looks', async () => {
    const watch = watchOf();
    properties['is-write-stopped'] = 1;
    const write = watch.watch(never);
    const looked = (async () => {
      for (now = 500; now < 3000; now += 500) await watch.look();
    })();
    await expect(write).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
    await looked;
    expect(watch.gaveUp).toBe(true);
  });

  test('a slow one that a flush will end is waited for', async () => {
    const watch = watchOf();
    properties['num-running-flushes'] = 1;
    let end = (): void => undefined;
    const write = watch.watch(new Promise((resolve) => (end = resolve)));
    for (now = 0; now < 60_000; now += 1000) await watch.look();
    end();
    await write;
    expect(watch.gaveUp).toBe(false);
  });

  test('a group is refused while there is less room than a write buffer', async () => {
    await watchOf().makeSure(1);
    await expect(new WriteWatch(db, dir, 2 ** 60, () => now).makeSure(1)).rejects.toMatchObject({ code: 'DISK_FULL' });
  });
});
