/** The baseline of all rates: two bare zeromq processes, messages of 200 bytes, one a frame; and bare synced writes. */
import { measure, type Settings } from './harness.js';
import type { Rate } from './processes/options.js';

const MESSAGE_BYTES = 200;
export const OUTSTANDING = 256;

export interface Baseline {
  /** Echoes a second at 256 outstanding. */
  readonly echo: Rate;
  /** One echo at a time. */
  readonly echoAlone: Rate;
  /** One synced write of RocksDB after another. */
  readonly syncedWrite: Rate;
}

export async function baseline({ seconds, cache }: Settings): Promise<Baseline> {
  const echo = (outstanding: number): Promise<Rate> =>
    measure('echo-client', { outstanding, seconds, bytes: MESSAGE_BYTES });
  return {
    echo: await echo(OUTSTANDING),
    echoAlone: await echo(1),
    syncedWrite: await measure<Rate>('synced-writes', { seconds, folder: cache }),
  };
}
