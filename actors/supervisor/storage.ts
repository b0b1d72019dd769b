/**
 * Owns: the open journal of a serving kernel, and the order of appends to it: those of the kernel and, in between, the few keys of the wiring.
 */
import type { Seq } from '../../protocol/index.js';
import type { GroupWrite, JournalPort, Key, KeyRange, Put } from '../../runtime/journal/index.js';

export class Storage {
  #endSeq: Seq;
  #last: Promise<unknown> = Promise.resolve();

  constructor(readonly journal: JournalPort) {
    this.#endSeq = journal.identity.endSeq;
  }

  append(group: GroupWrite): Promise<void> {
    return this.#inOrder(async () => {
      await this.journal.append(group);
      if (group.record !== null) this.#endSeq = group.lastSeq;
    });
  }

  /** Keys of the wiring itself. */
  put(...puts: Put[]): Promise<void> {
    return this.#inOrder(() =>
      this.journal.append({
        record: null,
        firstSeq: (this.#endSeq + 1) as Seq,
        lastSeq: this.#endSeq,
        puts,
        deletes: [],
      }),
    );
  }

  async get(key: Key): Promise<Buffer | undefined> {
    return (await this.journal.getMany([key]))[0];
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
