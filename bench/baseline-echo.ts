/**
 * The baselines of the asks: two bare zeromq processes, messages of 200 bytes, one a frame, without CURVE; and bare synced writes of RocksDB
 * on the disk that holds the images. They are measured again in every round, between the asks, so that a busy machine is busy for both.
 */
import { measure, type Settings } from './harness.js';
import type { Rate } from './processes/options.js';

const MESSAGE_BYTES = 200;
export const OUTSTANDING = 256;

/** Echoes a second with so many outstanding, and the time of one. */
export const echoes = (outstanding: number, { seconds }: Settings): Promise<Rate> =>
  measure('echo-client', { outstanding, seconds, bytes: MESSAGE_BYTES });

/** One synced write after another. */
export const syncedWrites = ({ seconds, cache }: Settings): Promise<Rate> =>
  measure('synced-writes', { seconds, folder: cache });
