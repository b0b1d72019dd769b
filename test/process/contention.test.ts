/** Many who want the same: serializable, nothing stuck, nobody starved. Two hosts, real processes. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { tool } from './support/journal-tool.js';
import { Running, cleanUp, telos, temporary } from './support/processes.js';

let running: Running;
let driver: Driver;
const image = join(temporary(), 'image');
/** What the increments of these counters answered: the counts that they made. */
const answered = new Map<string, readonly number[]>();

beforeAll(async () => {
  running = await Running.up(image, ['--hosts', '2']);
  driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    const counter = await it.actor('genesis').clone({ name: 'counter', count: 0 });
    await counter.setMethod('increment', 'async (self, by) => { self.count = self.count + by; return self.count }');
    await counter.setMethod(
      'bump',
      'async (self, other) => { self.count = self.count + 1; return await other.increment(1) }',
    );
    return null;
  });
});
afterAll(cleanUp);

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const sorted = (counts: readonly number[]): number[] => [...counts].sort((a, b) => a - b);

test('two-hosts-one-object: objects of all shards add to one counter, and each addition is there once', async () => {
  const [answers, count] = await driver.run<[number[], number]>(async (it: RemoteImage) => {
    const target = await it.actor('counter').clone({ name: 'shared', count: 0 });
    const senders = await Promise.all(Array.from({ length: 16 }, () => it.actor('counter').clone({ count: 0 })));
    const rounds = Array.from({ length: 25 }, () => senders).flat();
    const seen = await Promise.all(
      rounds.map((sender) => it.with({ deadlineMs: 60_000 }).send(sender, 'bump', target)),
    );
    return [seen, await target.count()];
  });
  answered.set('shared', answers);
  expect(count).toBe(400);
  expect(sorted(answers)).toEqual(upTo(400));
});

test('two-objects-call-each-other: both ways at once, a hundred times, none is stuck', async () => {
  const counts = await driver.run(async (it: RemoteImage) => {
    const [a, b] = [
      await it.actor('counter').clone({ name: 'left', count: 0 }),
      await it.actor('counter').clone({ name: 'right', count: 0 }),
    ];
    const patient = it.with({ deadlineMs: 60_000 });
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? patient.send(a, 'bump', b) : patient.send(b, 'bump', a))),
    );
    return [await a.count(), await b.count()];
  });
  expect(counts).toEqual([100, 100]);
});

test('two-create-the-same-name: from two clients at once, one gets it, all others NAME_TAKEN', async () => {
  const second = await Driver.connect({ image });
  const create = (it: RemoteImage): Promise<string[]> =>
    Promise.all(
      Array.from({ length: 20 }, () =>
        it.send('counter', 'clone', { name: 'wanted', count: 0 }).then(
          () => 'made',
          (error: { code: string }) => error.code,
        ),
      ),
    );
  const outcomes = (await Promise.all([driver.run<string[]>(create), second.run<string[]>(create)])).flat();
  expect(outcomes.filter((outcome) => outcome === 'made')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'NAME_TAKEN')).toHaveLength(39);
  await second.close();
});

test('thousand-senders-one-hot-object: every one is answered, each sees a count of its own', async () => {
  const answers = await driver.run<number[]>(async (it: RemoteImage) => {
    const hot = await it.actor('counter').clone({ name: 'hot', count: 0 });
    return Promise.all(Array.from({ length: 1000 }, () => hot.increment(1)));
  });
  answered.set('hot', answers);
  expect(sorted(answers)).toEqual(upTo(1000));
});

interface Wide {
  readonly sums: number[];
  readonly marks: number[];
  /** Small turns that each lane had answered, and the longest that one of them waited. */
  readonly small: number[];
  readonly longestMs: number;
}

const WIDE_DEADLINE_MS = 60_000;

test('wide-slow-turns-among-small-ones: turns that read, and turns that write 200 objects, end while all of them are written, and see one moment; nobody is starved', async () => {
  const wide = await driver.run<Wide>(async (it: RemoteImage, deadlineMs: number) => {
    const patient = it.with({ deadlineMs });
    const counter = it.actor('counter');
    await counter.setMethod(
      'shift',
      'async (self, other) => { self.count = self.count - 1; await other.increment(1) }',
    );
    const all = await Promise.all(Array.from({ length: 200 }, () => counter.clone({ count: 10, mark: 0 })));
    let stop = false;
    let longestMs = 0;
    const small = Array.from({ length: 32 }, () => 0);
    const lanes = small.map(async (_, lane) => {
      for (let i = lane; !stop; i += 7) {
        const begun = performance.now();
        await patient.send(all[i % 200], 'shift', all[(i * 31 + 1) % 200]);
        longestMs = Math.max(longestMs, performance.now() - begun);
        small[lane] = (small[lane] as number) + 1;
      }
    });
    const sum = 'async (objects) => { let all = 0; for (const one of objects) all += await one.count(); return all }';
    // What is written depends on what is read: the count of each goes up by one, and down again in the last.
    const stir = `async (objects, mark) => {
      let all = 0;
      for (const one of objects) { all += await one.increment(1); await one.setSlot('mark', mark) }
      await objects[0].increment(-objects.length);
      return all - objects.length;
    }`;
    const [sums, marks] = [[] as number[], [] as number[]];
    for (let i = 1; i <= 5; i++) {
      sums.push(await patient.turn(sum, all));
      sums.push(await patient.turn(stir, all, i));
      marks.push(...(new Set(await Promise.all(all.map((one: RemoteImage) => one.mark()))) as unknown as number[]));
    }
    stop = true;
    await Promise.all(lanes);
    sums.push(await patient.turn(sum, all));
    return { sums, marks, small, longestMs };
  }, WIDE_DEADLINE_MS);
  expect(wide.sums).toEqual(Array.from({ length: 11 }, () => 2000));
  expect(wide.marks).toEqual([1, 2, 3, 4, 5]);
  expect(Math.min(...wide.small)).toBeGreaterThan(2);
  expect(wide.longestMs).toBeLessThan(WIDE_DEADLINE_MS / 2);
});

test('lobby-listings-among-named-clones: each listing is answered though names come all the time, and holds all that were answered before', async () => {
  const { listings, made } = await driver.run<{ listings: number[][]; made: number }>(async (it: RemoteImage) => {
    let stop = false;
    const done: string[] = [];
    const lanes = Array.from({ length: 8 }, async (_, lane) => {
      for (let i = 0; !stop; i++) {
        const name = `named${lane}x${i}`;
        await it.with({ deadlineMs: 60_000 }).send('counter', 'clone', { name, count: 0 });
        done.push(name);
      }
    });
    const seen: number[][] = [];
    for (let i = 0; i < 10; i++) {
      const before = [...done];
      const names = new Set<string>(
        await it.with({ deadlineMs: 20_000 }).turn("async () => image.ref('lobby').slots()"),
      );
      seen.push([before.length, before.filter((name) => names.has(name)).length]);
    }
    stop = true;
    await Promise.all(lanes);
    return { listings: seen, made: done.length };
  });
  expect(listings).toHaveLength(10);
  for (const [before, found] of listings) expect(found).toBe(before);
  expect(made).toBeGreaterThan(10);
});

test('recorded-versions: the journal is a serial order of all of that, and says for each increment the count that its sender was answered', async () => {
  await driver.close();
  await running.down();
  expect((await telos(['verify', '--image', image])).code).toBe(0);
  const slots = ['shared.count', 'hot.count'];
  const order = tool('serialOrder', image, { slots });
  expect(order.wrong).toEqual([]);
  expect(order.turns).toBeGreaterThan(1800);
  expect(order.reads).toBeGreaterThan(order.turns);
  for (const name of ['shared', 'hot']) {
    const [made, ...increments] = order.written[`${name}.count`] as [number, number, number][];
    const counts = upTo(answered.get(name)?.length ?? 0);
    expect(made?.[1]).toBe(1);
    expect(increments.map(([, version]) => version)).toEqual(counts.map((n) => n + 1));
    expect(increments.map(([, , answer]) => answer)).toEqual(counts);
    expect(sorted(answered.get(name) ?? [])).toEqual(counts);
  }
});
