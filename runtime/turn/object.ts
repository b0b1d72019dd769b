/**
 * One object as this host knows it: the accepted state, with the host's own unanswered commits on top. Shared by all turns; a turn
 * never changes it (drafts are its own), only the host does, when a turn ends or the kernel tells.
 */
import { ABSENT, type Attempt, type Content, type ObjectState, type Oid, type SlotRow } from '../../protocol/index.js';
import { Cell, isParentSlot, KIND } from './cell.js';

/** Estimates of what the heap takes for an object, a slot of it, and a byte string, beside their contents. */
const OBJECT_MEMORY = 512;
const SLOT_MEMORY = 128;
const BYTES_MEMORY = 128;

export class CachedObject {
  readonly slots = new Map<string, Cell>();
  exists = false;
  shape: Attempt = ABSENT;
  parents: Attempt = ABSENT;
  /** The attempt of this host that makes it, as long as it is not loaded from the kernel. */
  born: Attempt = ABSENT;
  /** Running turns that look at it: it is not evicted. */
  pins = 0;
  /** Called when the last of them has ended. */
  unpinned: (() => void) | null = null;
  /** Something changed that could not be applied: to be loaded anew at the next use. */
  stale = false;
  /** What it takes of the heap, by estimate. */
  memory = OBJECT_MEMORY;
  /** What of that the cache has counted. */
  counted = 0;
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
      this.memory += memoryOf(content);
    }
  }

  unpin(): void {
    if (--this.pins === 0) this.unpinned?.();
  }

  /** References in the slots whose name ends in `*`, in the order of those names. */
  get parentOids(): readonly Oid[] {
    return (this.#parentOids ??= parentsIn(this.slots));
  }

  set(slot: string, attempt: Attempt, content: Content): void {
    const old = this.slots.get(slot);
    this.slots.set(slot, new Cell(attempt, (old?.version ?? 0) + 1, content));
    this.#noteSize(old, content);
    this.#noteChange(slot, old === undefined, attempt);
  }

  /** What another host has made of the slot. */
  adopt(slot: string, attempt: Attempt, version: number, content: Content): void {
    const old = this.slots.get(slot);
    this.slots.set(slot, new Cell(attempt, version, content));
    this.#noteSize(old, content);
    this.#noteChange(slot, old === undefined, attempt);
  }

  remove(slot: string, attempt: Attempt): void {
    this.#noteSize(this.slots.get(slot), undefined);
    this.#noteChange(slot, this.slots.delete(slot), attempt);
  }

  #noteSize(before: Cell | undefined, after: Content | undefined): void {
    if (before !== undefined) this.memory -= memoryOf(before.content);
    if (after !== undefined) this.memory += memoryOf(after);
  }

  #noteChange(slot: string, cameOrWent: boolean, attempt: Attempt): void {
    if (cameOrWent) this.shape = attempt;
    if (!isParentSlot(slot)) return;
    this.parents = attempt;
    this.#parentOids = null;
  }
}

function memoryOf(content: Content): number {
  if (typeof content === 'string') return SLOT_MEMORY + content.length * 2;
  return content instanceof Uint8Array ? SLOT_MEMORY + BYTES_MEMORY + content.length : SLOT_MEMORY;
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
