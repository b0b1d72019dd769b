/**
 * Owns: outbox messages and timers that are durable and not yet handled: a window of each in memory, the rest only in the journal.
 *
 *   D1  An entry is sent only after the turn that made it is durable, in the order of its number (outbox) or due time (timers).
 *   D2  An entry's key leaves the journal in the commit of the turn that handled it, so it takes effect once; a crash before sends it again.
 *   D3  Everything in the journal below the window's end is in memory or under way; what is above is read when there is room.
 */
import { ORIGIN } from '../../protocol/index.js';
import { decodeRecord, fieldsOf, keys, rangeOf, type OutboxRecord } from '../journal/index.js';
import type { KernelCore } from './core.js';
import type { Message } from './message.js';

interface Entry {
  readonly due: number;
  readonly no: number;
  readonly record: OutboxRecord;
}

const FIRST_RETRY_MS = 10;
const LAST_RETRY_MS = 2000;

export class Delivery {
  #outbox: Entry[] = [];
  /** Highest number that was ever in memory; above it `#outboxBeyond` says whether the journal holds more. */
  #outboxSeen = 0;
  #outboxBeyond = true;
  #outboxReading = false;
  /** Sorted by due time, then number. */
  #timers: Entry[] = [];
  #timersKnown = new Set<number>();
  /** Timers due at or after this may be in the journal only. */
  #horizon = 0;
  #timersReading = false;
  /** Armed while a page is being read that may or may not show them. */
  #armedMeanwhile: Entry[] = [];
  /** Handled, but perhaps still in the journal, or in a page of it that is being read. */
  readonly #handled = new Set<number>();
  /** Of those, the ones that are out of the journal, while a page from before is being read. */
  #settled: number[] = [];
  /** Entries per page; doubled when more are due in one and the same millisecond. */
  #timerPage = 0;
  #delayed: Message[] = [];
  #started = false;

  constructor(private readonly core: KernelCore) {}

  get counts(): { outbox: number; timers: number; underWay: number } {
    return {
      outbox: this.#outbox.length + this.#delayed.length,
      timers: this.#timers.length,
      underWay: this.core.own.inFlight.size,
    };
  }

  start(): void {
    this.#started = true;
  }

  /** The turn that sent it is durable. */
  sent(no: number, record: OutboxRecord): void {
    if (no <= this.#outboxSeen) return;
    if (this.#outboxBeyond || this.#outboxReading || this.#outbox.length >= this.core.config.kernel.outboxWindow)
      this.#outboxBeyond = true;
    else {
      this.#outboxSeen = no;
      this.#outbox.push({ due: 0, no, record });
    }
  }

  armed(due: number, no: number, record: OutboxRecord): void {
    if (this.#timersReading) this.#armedMeanwhile.push({ due, no, record });
    else if (due < this.#horizon && !this.#timersKnown.has(no)) {
      this.#insertTimer({ due, no, record });
      this.#trimTimers();
    }
  }

  /** A turn that handled it is accepted: it may not be sent again, though the journal still has it. */
  handled(no: number): void {
    this.#handled.add(no);
  }

  /** That turn is durable, so no page read from now on shows it. */
  settled(no: number): void {
    if (this.#timersReading || this.#outboxReading) this.#settled.push(no);
    else this.#handled.delete(no);
  }

  #forgetSettled(): void {
    if (this.#timersReading || this.#outboxReading) return;
    for (const no of this.#settled.splice(0)) this.#handled.delete(no);
  }

  /** A declined message of ours goes again, later. */
  again(message: Message, now: number): void {
    message.declined++;
    message.state = 'waiting';
    message.notBefore = now + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(8, message.declined));
    this.#delayed.push(message);
  }

  /** Sends what is due and fits the window. */
  pump(now: number): void {
    if (!this.#started || this.core.readOnly) return;
    const { outboxWindow, timerWindow } = this.core.config.kernel;
    this.#sendDelayed(now);
    while (this.#outbox.length > 0 && this.core.own.inFlight.size < outboxWindow)
      this.#deliver(this.#outbox.shift() as Entry, now);
    const wall = this.core.wallNow;
    while ((this.#timers[0]?.due ?? Infinity) <= wall && this.core.own.inFlight.size < outboxWindow) {
      const entry = this.#timers.shift() as Entry;
      this.#timersKnown.delete(entry.no);
      this.#deliver(entry, now);
    }
    if (this.#outboxBeyond && this.#outbox.length === 0) this.#readOutbox(outboxWindow);
    if (this.#horizon !== Infinity && this.#timers.length <= timerWindow / 4)
      this.#readTimers(Math.max(timerWindow, this.#timerPage));
  }

  /** Is it still here, neither under way nor handled? One beyond the window is not, to be safe. */
  withdrawable(no: number): boolean {
    return this.#outbox.some((entry) => entry.no === no) || this.#timers.some((entry) => entry.no === no);
  }

  /** Takes the entry back before it is sent, out of the journal too (undo). */
  withdraw(no: number): void {
    for (const list of [this.#outbox, this.#timers]) {
      const index = list.findIndex((entry) => entry.no === no);
      if (index < 0) continue;
      const [entry] = list.splice(index, 1);
      // A page that is being read may show it all the same.
      this.handled(no);
      this.core.groups.whenWritten(() => this.settled(no));
      this.core.groups.delete(entry && entry.due > 0 ? keys.timer(entry.due, no) : keys.outbox(no));
    }
    this.#timersKnown.delete(no);
    this.core.forgetUnasked(this.core.own, (one) => one === no);
  }

  #sendDelayed(now: number): void {
    if (this.#delayed.length === 0) return;
    const ready = this.#delayed.filter((message) => message.notBefore <= now);
    if (ready.length === 0) return;
    this.#delayed = this.#delayed.filter((message) => message.notBefore > now);
    for (const message of ready) this.core.router.dispatch(message, now);
  }

  #deliver({ due, no, record }: Entry, now: number): void {
    const [target, selector, args, cause, sender, trace] = record;
    const timer = due > 0;
    const message = this.core.ownMessage({
      no,
      origin: timer ? ORIGIN.TIMER : ORIGIN.OUTBOX,
      sender: `turn ${cause}, ${sender}`,
      target,
      selector,
      args,
      trace,
      consumed: timer ? keys.timer(due, no) : keys.outbox(no),
    });
    this.core.suspicion.restore(message);
    this.core.router.dispatch(message, now);
  }

  #readOutbox(limit: number): void {
    if (this.#outboxReading) return;
    this.#outboxReading = true;
    this.#outboxBeyond = false;
    this.core.reader.page({ gt: keys.outbox(this.#outboxSeen), lt: rangeOf('q').lt }, limit, (rows, now) => {
      this.#outboxReading = false;
      for (const [key, value] of rows) {
        const no = fieldsOf(key)[0] ?? 0;
        if (no <= this.#outboxSeen) continue;
        this.#outboxSeen = no;
        this.#outbox.push({ due: 0, no, record: decodeRecord<OutboxRecord>(value, `outbox message ${no}`) });
      }
      this.#forgetSettled();
      if (rows.length >= limit) this.#outboxBeyond = true;
      this.pump(now);
    });
  }

  #readTimers(limit: number): void {
    if (this.#timersReading) return;
    this.#timersReading = true;
    this.core.reader.page({ gte: keys.timer(this.#horizon, 0), lt: rangeOf('t').lt }, limit, (rows, now) => {
      this.#timersReading = false;
      this.#adoptTimers(rows, limit);
      this.#forgetSettled();
      this.pump(now);
    });
  }

  #adoptTimers(rows: readonly (readonly [Buffer, Uint8Array])[], limit: number): void {
    let last = this.#horizon;
    for (const [key, value] of rows) {
      const [due = 0, no = 0] = fieldsOf(key);
      last = due;
      if (!this.#timersKnown.has(no) && !this.core.own.inFlight.has(no) && !this.#handled.has(no))
        this.#insertTimer({ due, no, record: decodeRecord<OutboxRecord>(value, `timer ${no}`) });
    }
    if (rows.length < limit) this.#horizon = Infinity;
    else if (last > this.#horizon) this.#horizon = last;
    else this.#timerPage = limit * 2;
    for (const entry of this.#armedMeanwhile.splice(0)) this.armed(entry.due, entry.no, entry.record);
  }

  #insertTimer(entry: Entry): void {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#timers[middle] as Entry;
      if (other.due < entry.due || (other.due === entry.due && other.no < entry.no)) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, entry);
    this.#timersKnown.add(entry.no);
  }

  #trimTimers(): void {
    const limit = this.core.config.kernel.timerWindow * 2;
    if (this.#timers.length <= limit) return;
    const cut = this.#timers.splice(limit / 2);
    this.#horizon = Math.min(this.#horizon, cut[0]?.due ?? Infinity);
    // Those due in the very millisecond of the horizon are read again from the journal, so none may stay in memory.
    while ((this.#timers[this.#timers.length - 1]?.due ?? -1) >= this.#horizon) cut.push(this.#timers.pop() as Entry);
    for (const { no } of cut) this.#timersKnown.delete(no);
  }
}
