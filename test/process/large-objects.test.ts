/** Objects and answers that fit no frame together: they come all the same, or there is an error that names the limit. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, temporary } from './support/processes.js';

const COUNT = 256;

afterAll(cleanUp);

test('passive-objects-of-18-MB-asked-for-at-once, an object that may grow no more', async () => {
  const image = join(temporary(), 'image');
  let running = await Running.up(image, ['--hosts', '1']);
  let driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage, count: number) => {
    const make = async (i: number): Promise<unknown> =>
      it.send('genesis', 'clone', { name: `big${i}`, i, text: 'x'.repeat(70_000) });
    await Promise.all(Array.from({ length: count }, (_, i) => make(i)));
    return null;
  }, COUNT);
  await driver.close();
  await running.down();
  running = await Running.up(image, ['--hosts', '1']);
  driver = await Driver.connect({ image });
  const answers = await driver.run<number[]>(
    async (it: RemoteImage, count: number) =>
      Promise.all(Array.from({ length: count }, (_, i) => it.send(`big${i}`, 'i') as Promise<number>)),
    COUNT,
  );
  expect(answers).toEqual(Array.from({ length: COUNT }, (_, i) => i));
  const outcome = await driver.run<string[]>(async (it: RemoteImage) => {
    await it.send('genesis', 'clone', { name: 'large' });
    const outcomes = [];
    for (const slot of ['a', 'b', 'c'])
      outcomes.push(
        await it.send('large', 'setSlot', slot, 'x'.repeat(6_000_000)).then(
          () => 'stored',
          (error: { code: string; message: string }) => `${error.code} ${error.message}`,
        ),
      );
    return outcomes;
  });
  expect(outcome).toEqual([
    'stored',
    'stored',
    expect.stringMatching(/^TOO_LARGE #.* would take \d+ bytes; message.max_object_bytes is 12582912$/),
  ]);
  await driver.close();
  await running.down();
}, 120_000);
