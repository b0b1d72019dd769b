/** The one file that loads zeromq: at first use, once, with settings that hold for the whole process. */
import { createRequire } from 'node:module';
import type * as Zmq from 'zeromq';
import { TelosError } from '../errors.js';

let loaded: typeof Zmq | undefined;

/** @throws TelosError MISSING_DEPENDENCY */
export function zmq(): typeof Zmq {
  if (loaded !== undefined) return loaded;
  try {
    loaded = createRequire(import.meta.url)('zeromq') as typeof Zmq;
  } catch (cause) {
    throw new TelosError(
      'MISSING_DEPENDENCY',
      `zeromq can not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  loaded.context.blocky = false;
  return loaded;
}
