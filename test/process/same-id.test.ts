/** The same message id sent twice: one effect, the same answer. Spoken by hand, so that no library helps. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, signal, temporary, until } from './support/processes.js';

let running: Running;
let raw: Driver;

beforeAll(async () => {
  const image = join(temporary(), 'image');
  running = await Running.up(image, ['--hosts', '1']);
  const driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    const counter = await it.actor('genesis').clone({ name: 'counter', count: 0 });
    await counter.setMethod('increment', 'async (self, by) => { self.count = self.count + by; return self.count }');
    await counter.setMethod('fail', 'async (self) => { self.count = self.count + 100; throw new RangeError("no") }');
    return null;
  });
  await driver.close();
  raw = await Driver.raw(image);
});
afterAll(async () => {
  await raw.close();
  await running.down();
  await cleanUp();
});

const greet = (session = 0): Promise<number> =>
  raw.run<number>((peer: RemoteImage, id: number) => peer.greet({ session: id }), session);
const ask = (no: number, selector: string, args: unknown[] = [], lowest = 1): Promise<[string, unknown] | null> =>
  raw.run(
    (peer: RemoteImage, n: number, what: string, rest: unknown[], low: number) =>
      peer.ask(n, 'counter', what, rest, { lowest: low }),
    no,
    selector,
    args,
    lowest,
  );

test('same-id-twice: an answer and an error are said again, nothing is done again', async () => {
  await greet();
  expect(await ask(1, 'increment', [5])).toEqual(['answer', 5]);
  expect(await ask(1, 'increment', [5])).toEqual(['answer', 5]);
  expect(await ask(2, 'fail')).toEqual(['error', 'METHOD_FAILED']);
  expect(await ask(2, 'fail')).toEqual(['error', 'METHOD_FAILED']);
  expect(await ask(3, 'count')).toEqual(['answer', 5]);
});

test('same-id-in-one-frame: the repeat joins the message under way', async () => {
  await greet();
  const answers = await raw.run(async (peer: RemoteImage) => {
    const envelope = [1, 1, 1, 20_000, 'trace', 'counter', 'increment', peer.pack([1]), 0];
    await peer.work(envelope, envelope, envelope);
    return peer.answer(1);
  });
  expect(answers).toEqual(['answer', 6]);
  expect(await ask(2, 'count')).toEqual(['answer', 6]);
});

test('same-id-after-a-kernel-restart: the saved answer, the saved error, one effect', async () => {
  const session = await greet();
  const first = await ask(1, 'increment', [1]);
  const second = await ask(2, 'fail');
  const kernel = await running.pid('kernel');
  signal(kernel, 'SIGKILL');
  await until('another kernel', async () => (await running.pid('kernel')) !== kernel);
  expect(await greet(session)).toBe(session);
  expect(await ask(1, 'increment', [1])).toEqual(first);
  expect(await ask(2, 'fail')).toEqual(second);
  expect(await ask(3, 'count')).toEqual(first);
});

test('below-the-lowest: a repeat of what its sender no longer waits for is refused EXPIRED', async () => {
  await greet();
  const [, count] = (await ask(1, 'increment', [1])) as [string, number];
  expect(await ask(2, 'count', [], 2)).toEqual(['answer', count]);
  expect(await ask(1, 'increment', [1], 2)).toEqual(['error', 'EXPIRED']);
  expect(await ask(3, 'count', [], 3)).toEqual(['answer', count]);
});
