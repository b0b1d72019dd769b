/**
 * Owns: the incarnations of workers. The attempts of a worker are named by its incarnation, and stand in the journal for ever, so no
 * two lives of workers of one image may share a number, and none may have one of the kernel's.
 *
 *   W1  Each life has a number of its own, from the counter in `head` that the kernel's lives have theirs from; it is durable there before it
 *       is given. `head` is overwritten in place, so this works on a full disk.
 *   W2  All stay below 2^21, so that incarnation × 2^32 + counter is exact.
 */
import { TelosError } from '../../protocol/index.js';
import type { JournalPort } from '../../runtime/journal/index.js';

const END = 2 ** 21;

export class Incarnations {
  constructor(private readonly journal: Pick<JournalPort, 'raiseIncarnation'>) {}

  /** @throws TelosError INTERNAL when there is none left, STORAGE_FAILED */
  async take(): Promise<number> {
    const incarnation = await this.journal.raiseIncarnation();
    if (incarnation >= END)
      throw new TelosError('INTERNAL', `incarnation ${incarnation} is beyond ${END - 1}: this image has used them up`);
    return incarnation;
  }
}
