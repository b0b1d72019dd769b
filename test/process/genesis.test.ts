/** Genesis as it is seen from outside: one turn in the journal, and primitives whose services come later. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, telos, temporary } from './support/processes.js';

const image = join(temporary(), 'image');
afterAll(cleanUp);

interface Turn {
  readonly seq: number;
  readonly sender: string;
  readonly creates: string[];
  readonly names: string[];
}
const journal = async (): Promise<Turn[]> =>
  JSON.parse((await telos(['journal', '--json', '--image', image])).stdout) as Turn[];

test('first-breath: is one turn, and a second start writes none', async () => {
  const first = await Running.up(image, ['--hosts', '1']);
  const turns = await journal();
  expect(turns).toMatchObject([{ seq: 1, sender: 'genesis' }]);
  expect(turns[0]?.creates).toHaveLength(turns[0]?.names.length ?? -1);
  await first.down();
  const second = await Running.up(image, ['--hosts', '1']);
  expect(await journal()).toEqual(turns);
  await second.down();
});

test('service-that-comes-later: each of its primitives answers UNAVAILABLE with the remedy', async () => {
  const running = await Running.up(image, ['--hosts', '1']);
  const driver = await Driver.connect({ image });
  const refused = await driver.run<[string, string, string][]>(async (it: RemoteImage) => {
    const answers: [string, string, string][] = [];
    for (const [name] of await it.names()) {
      const { slots } = await it.inspect(name);
      for (const { slot, content } of slots) {
        const primitive = content?.$primitive ?? '';
        if (!primitive.includes('.')) continue;
        const error = await it.send(name, slot).catch((thrown: unknown) => thrown);
        answers.push([`${name}.${slot}`, error?.code, error?.remedy ?? '']);
      }
    }
    return answers;
  });
  expect(refused.length).toBeGreaterThanOrEqual(15);
  for (const [primitive, code, remedy] of refused)
    expect([primitive, code, remedy]).toEqual([primitive, 'UNAVAILABLE', expect.stringContaining('telos ')]);
  await driver.close();
  await running.down();
});
