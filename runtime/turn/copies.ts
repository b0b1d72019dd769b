/**
 * Working copies: mutable values of `self.items` that code holds and may change in place.
 *
 *   C1  A slot read twice in a frame is the same value, as long as nobody else has written the slot.
 *   C2  What was changed in place is written to the receiver's own slot, at each send, at the end of the frame, and checked once more before the
 *       commit. So a clone that changes an inherited list gets a list of its own.
 *   C3  A change of a copy whose slot somebody else has written meanwhile is STALE_VALUE, never lost and never a silent overwrite.
 */
import type { Content } from '../../protocol/index.js';
import { sameContent, type Cell } from './cell.js';
import type { Frame } from './frame.js';

interface Copy {
  readonly slot: string;
  readonly value: unknown;
  base: Content;
}

export class Copies {
  readonly #bySlot = new Map<string, Copy>();
  /** Copies whose slot was written by others: a change of one can only be refused. */
  readonly #detached: Copy[] = [];

  constructor(private readonly frame: Frame) {}

  /** The value of this slot, for this frame. */
  of(slot: string, cell: Cell): unknown {
    const known = this.#bySlot.get(slot);
    if (known?.base === cell.content) return known.value;
    if (known !== undefined) this.#detached.push(known);
    const copy: Copy = { slot, value: this.frame.turn.codec.decode(cell.content, this.frame), base: cell.content };
    this.#bySlot.set(slot, copy);
    return copy.value;
  }

  /** Code has set the slot to this value; it may go on changing it. */
  assigned(slot: string, value: unknown, base: Content): void {
    this.#bySlot.set(slot, { slot, value, base });
  }

  forget(slot: string): void {
    this.#bySlot.delete(slot);
  }

  write(): void {
    for (const copy of this.#bySlot.values()) {
      const now = this.#changed(copy);
      if (now === undefined) continue;
      const { codec } = this.frame.turn;
      const { sawName } = codec;
      if (this.frame.findSlot(copy.slot)?.content !== copy.base) throw this.#stale(copy);
      this.frame.put(copy.slot, now, sawName);
      copy.base = now;
    }
  }

  /** `all`: the frame is over, so a change of any copy would be lost. */
  checkDetached(all: boolean): void {
    for (const copy of this.#detached) if (this.#changed(copy) !== undefined) throw this.#stale(copy);
    if (!all) return;
    for (const copy of this.#bySlot.values()) if (this.#changed(copy) !== undefined) throw this.#stale(copy);
  }

  #changed(copy: Copy): Content | undefined {
    if (typeof copy.value !== 'object' || copy.value === null) return undefined;
    const now = this.frame.turn.codec.encode(copy.value, this.#place(copy));
    return sameContent(now, copy.base) ? undefined : now;
  }

  #place(copy: Copy): string {
    return `${this.frame.turn.label(this.frame.ownView.oid)}.${copy.slot}`;
  }

  #stale(copy: Copy): Error {
    return this.frame.turn.failure(
      'STALE_VALUE',
      `${this.#place(copy)} was changed in place, but the slot was written by another send meanwhile`,
    );
  }
}
