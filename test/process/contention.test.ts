/** Many who want the same: serializable, nothing stuck, nobody starved. Two hosts, real processes. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, telos, temporary } from './support/processes.js';

let running: Running;
let driver: Driver;
const image = join(temporary(), 'image');

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
afterAll(async () => {
  await driver.close();
  await running.down();
  expect((await telos(['verify', '--image', image])).code).toBe(0);
  await cleanUp();
});

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
  expect(count).toBe(400);
  expect([...answers].sort((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, i) => i + 1));
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
  expect([...answers].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
});

test('wide-slow-turn-among-small-ones: a turn over 200 objects ends while they are written all the time, and sees one moment', async () => {
  const { sums, small } = await driver.run<{ sums: number[]; small: number }>(async (it: RemoteImage) => {
    const patient = it.with({ deadlineMs: 60_000 });
    const counter = it.actor('counter');
    await counter.setMethod(
      'shift',
      'async (self, other) => { self.count = self.count - 1; await other.increment(1) }',
    );
    const all = await Promise.all(Array.from({ length: 200 }, () => counter.clone({ count: 10 })));
    let stop = false;
    let done = 0;
    const lanes = Array.from({ length: 32 }, async (_, lane) => {
      for (let i = lane; !stop; i += 7) {
        await patient.send(all[i % 200], 'shift', all[(i * 31 + 1) % 200]);
        done++;
      }
    });
    const sum = 'async (objects) => { let all = 0; for (const one of objects) all += await one.count(); return all }';
    const seen: number[] = [];
    for (let i = 0; i < 5; i++) seen.push(await patient.turn(sum, all));
    stop = true;
    await Promise.all(lanes);
    return { sums: seen, small: done };
  });
  expect(sums).toEqual([2000, 2000, 2000, 2000, 2000]);
  expect(small).toBeGreaterThan(100);
});
