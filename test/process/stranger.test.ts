/** A client in another language, written from protocol/README.md alone. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { pythonWith, testNeeding } from './support/needs.js';
import { ROOT, Running, cleanUp, run, temporary } from './support/processes.js';

afterAll(cleanUp);

const python = pythonWith(['zmq', 'msgpack']);

testNeeding(
  'python3 with zmq and msgpack',
  python !== undefined,
  'stranger: sends, reads, is told errors by code',
  async () => {
    const image = join(temporary(), 'image');
    const running = await Running.up(image, ['--hosts', '1']);
    const driver = await Driver.connect({ image });
    await driver.run(async (it: RemoteImage) => {
      const acct = await it.actor('genesis').clone({ name: 'acct', balance: 100 });
      await acct.setMethod(
        'deposit',
        'async (self, n) => { self.balance = self.balance + n; return { balance: self.balance } }',
      );
    });
    const ask = async (...args: string[]): Promise<[number | string | null, string]> => {
      const { code, stdout } = await run(python as string, [join(ROOT, 'test/fixtures/stranger.py'), image, ...args]);
      return [code, stdout.trim()];
    };
    expect(await ask('acct', 'deposit', '42')).toEqual([0, '{"balance": 142}']);
    expect(await ask('acct', 'balance')).toEqual([0, '142']);
    expect(await ask('nobody', 'balance')).toEqual([1, 'UNKNOWN_NAME']);
    expect(await driver.send('acct', 'balance')).toBe(142);
    await driver.close();
    await running.down();
  },
);
