/**
 * Owns: the open journal of a serving kernel, and the order of appends to it: none is begun before the one before has ended, close waits for all.
 */
import type { GroupWrite, JournalPort, Key, KeyRange } from '../../runtime/journal/index.js';

export class Storage {
  #last: Promise<unknown> = Promise.resolve();

  constructor(readonly journal: JournalPort) {}

  append(group: GroupWrite): Promise<void> {
    return this.#inOrder(() => this.journal.append(group));
  }

  /** Every entry of a range that is known to be short. */
  async all(range: KeyRange & { lt: Key }, pageSize = 256): Promise<(readonly [Key, Buffer])[]> {
    const found: (readonly [Key, Buffer])[] = [];
    for (let next: KeyRange = range; ;) {
      const page = await this.journal.page(next, pageSize);
      found.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < pageSize) return found;
      next = { gt: last[0], lt: range.lt };
    }
  }

  /** Waits for appends under way. */
  async close(): Promise<void> {
    await this.#last.catch(() => undefined);
    await this.journal.close();
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work, work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}
