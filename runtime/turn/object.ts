/**
 * One object as this host knows it: the accepted state, with the host's own unanswered commits on top. Shared by all turns; a turn
 * never changes it (drafts are its own), only the host does, when a turn ends or the kernel tells.
 */
import { ABSENT, type Attempt, type Content, type ObjectState, type Oid, type SlotRow } from '../../protocol/index.js';
import { Cell, isParentSlot, KIND } from './cell.js';

export class CachedObject {
  readonly slots = new Map<string, Cell>();
  exists = false;
  shape: Attempt = ABSENT;
  parents: Attempt = ABSENT;
  /** Running turns that look at it: it is not evicted. */
  pins = 0;
  /** Something changed that could not be applied: to be loaded anew at the next use. */
  stale = false;
  /** Neighbours in the cache's order of use. */
  newer: CachedObject | null = null;
  older: CachedObject | null = null;
  #parentOids: readonly Oid[] | null = null;

  constructor(readonly oid: Oid) {}

  static of([oid, shape, parents, rows]: ObjectState): CachedObject {
    const object = new CachedObject(oid);
    object.shape = shape;
    object.parents = parents;
    object.exists = rows !== null;
    if (rows !== null) object.#fill(rows);
    return object;
  }

  #fill(rows: readonly SlotRow[]): void {
    for (let i = 0; i < rows.length; i += 4) {
      const content = keepContent(rows[i + 3] as Content);
      this.slots.set(rows[i] as string, new Cell(rows[i + 1] as Attempt, rows[i + 2] as number, content));
    }
  }

  /** References in the slots whose name ends in `*`, in the order of those names. */
  get parentOids(): readonly Oid[] {
    return (this.#parentOids ??= parentsIn(this.slots));
  }

  set(slot: string, attempt: Attempt, content: Content): void {
    const old = this.slots.get(slot);
    this.slots.set(slot, new Cell(attempt, (old?.version ?? 0) + 1, content));
    this.#noteChange(slot, old === undefined, attempt);
  }

  /** What another host has made of the slot. */
  adopt(slot: string, attempt: Attempt, version: number, content: Content): void {
    const cameOrWent = !this.slots.has(slot);
    this.slots.set(slot, new Cell(attempt, version, content));
    this.#noteChange(slot, cameOrWent, attempt);
  }

  remove(slot: string, attempt: Attempt): void {
    this.#noteChange(slot, this.slots.delete(slot), attempt);
  }

  #noteChange(slot: string, cameOrWent: boolean, attempt: Attempt): void {
    if (cameOrWent) this.shape = attempt;
    if (!isParentSlot(slot)) return;
    this.parents = attempt;
    this.#parentOids = null;
  }
}

/** By name, not by age: what a slot means must not hang on when it was made, or taking it away could not be undone. */
export function parentsIn(slots: Iterable<readonly [string, Cell]>): Oid[] {
  const found: [slot: string, oid: Oid][] = [];
  for (const [slot, cell] of slots)
    if (isParentSlot(slot) && cell.kind === KIND.REFERENCE) found.push([slot, cell.text as Oid]);
  if (found.length > 1) found.sort(([a], [b]) => (a < b ? -1 : 1));
  return found.map(([, oid]) => oid);
}

/** Bytes that outlive the frame in which they came. */
export const keepContent = (content: Content): Content =>
  content instanceof Uint8Array ? new Uint8Array(content) : content;
