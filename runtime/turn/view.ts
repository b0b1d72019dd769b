/**
 * What one turn sees of one object.
 *
 *   W1  Own drafts come first, then the committed state; what came from there is in `reads` with its attempt, also that it was absent.
 *   W2  The first read of a slot wins: a later one that finds another attempt is a conflict, told to the turn.
 *   W3  An object that the turn creates has no reads: nobody else can know it.
 */
import { ABSENT, PARENTS, SHAPE, type Attempt, type Content, type Oid } from '../../protocol/index.js';
import { isParentSlot, type Cell } from './cell.js';
import { putDraft, type Creation, type Draft, type DraftHome, type Owner } from './effects.js';
import { parentsIn, type CachedObject } from './object.js';

const INDEX_FROM = 16;
const NO_PARENTS: readonly Oid[] = [];
/** Shared by all that have drafted nothing, which are most; never written. */
const NO_DRAFTS: Map<string, Draft> = new Map();

export interface ViewOwner {
  /** Ends the turn. */
  conflict(key: string): Error;
  /** Parent slots were drafted: lineages have to be looked at again. */
  lineageChanged(): void;
}

export class ObjectView implements DraftHome {
  /** [slot, attempt, …], as the commit wants it. */
  readonly reads: (string | Attempt)[] = [];
  drafts: Map<string, Draft> = NO_DRAFTS;
  /** Age of the turn's lineages at which all ancestors were known to be loaded. */
  lineageSeen = -1;
  #index: Map<string, Attempt> | null = null;
  #parentsDrafted = false;

  constructor(
    private readonly turn: ViewOwner,
    readonly oid: Oid,
    /** Null: created by this turn. */
    readonly object: CachedObject | null,
    private readonly creation: Creation | null = null,
  ) {}

  get exists(): boolean {
    if (this.object === null) return this.creation?.dead === false;
    if (!this.object.exists) this.read(SHAPE, this.object.shape);
    return this.object.exists;
  }

  /** The object's own slot. */
  own(slot: string): Cell | undefined {
    if (this.drafts.size > 0) {
      const draft = this.drafts.get(slot);
      if (draft !== undefined) return draft.removed ? undefined : draft;
    }
    const { object } = this;
    if (object === null) return undefined;
    const cell = object.slots.get(slot);
    this.read(slot, cell === undefined ? ABSENT : cell.attempt);
    return cell;
  }

  /** Parents, in order. */
  parents(): readonly Oid[] {
    if (this.object !== null) this.read(PARENTS, this.object.parents);
    return this.peekParents();
  }

  /** Parents, for loading them ahead: no read. */
  peekParents(): readonly Oid[] {
    if (this.#parentsDrafted) return parentsIn(this.#merged());
    return this.object === null ? NO_PARENTS : this.object.parentOids;
  }

  /** Names of all own slots, sorted: a listing. */
  list(): string[] {
    if (this.object !== null) this.read(SHAPE, this.object.shape);
    return this.#merged()
      .map(([slot]) => slot)
      .sort();
  }

  /** All of the committed state is a read: no other turn may have changed anything of the object. */
  readWhole(): void {
    if (this.object === null) return;
    this.read(SHAPE, this.object.shape);
    for (const [slot, cell] of this.object.slots) this.read(slot, cell.attempt);
  }

  #merged(): [string, Cell][] {
    const merged: [string, Cell][] = [];
    for (const [slot, cell] of this.object?.slots ?? []) {
      const draft = this.drafts.get(slot);
      if (draft === undefined) merged.push([slot, cell]);
      else if (!draft.removed) merged.push([slot, draft]);
    }
    for (const [slot, draft] of this.drafts)
      if (!draft.removed && !this.object?.slots.has(slot)) merged.push([slot, draft]);
    return merged;
  }

  /** @throws the turn's conflict */
  read(slot: string, attempt: Attempt): void {
    const known = this.#attemptRead(slot);
    if (known === attempt) return;
    if (known !== undefined) throw this.turn.conflict(this.oid);
    this.reads.push(slot, attempt);
    this.#index?.set(slot, attempt);
  }

  hasRead(slot: string): boolean {
    return this.#attemptRead(slot) !== undefined;
  }

  #attemptRead(slot: string): Attempt | undefined {
    const { reads } = this;
    if (reads.length <= INDEX_FROM) {
      for (let i = 0; i < reads.length; i += 2) if (reads[i] === slot) return reads[i + 1] as Attempt;
      return undefined;
    }
    return (this.#index ??= indexOf(reads)).get(slot);
  }

  write(slot: string, content: Content, removed: boolean, named: boolean, owner: Owner): Draft | null {
    if (this.drafts === NO_DRAFTS) this.drafts = new Map();
    return putDraft(this, slot, content, removed, named, owner);
  }

  drafted(slot: string): void {
    if (!isParentSlot(slot)) return;
    this.#parentsDrafted = true;
    this.turn.lineageChanged();
  }
}

function indexOf(reads: readonly (string | Attempt)[]): Map<string, Attempt> {
  const index = new Map<string, Attempt>();
  for (let i = 0; i < reads.length; i += 2) index.set(reads[i] as string, reads[i + 1] as Attempt);
  return index;
}

/** What one turn sees of one name. */
export class NameView implements DraftHome {
  drafts: Map<string, Draft> = NO_DRAFTS;
  /** The committed state was looked at. */
  wasRead = false;

  constructor(
    readonly name: string,
    readonly committed: Oid | null,
    readonly attempt: Attempt,
  ) {}

  /** A name whose committed state was looked at before the turn began. */
  static read(name: string, oid: Oid | null, attempt: Attempt): NameView {
    const view = new NameView(name, oid, attempt);
    view.wasRead = true;
    return view;
  }

  get oid(): Oid | null {
    const draft = this.drafts.get(this.name);
    if (draft !== undefined) return draft.removed ? null : (draft.content as Oid);
    this.wasRead = true;
    return this.committed;
  }

  /** The name as this turn would leave it; null takes it away. */
  write(oid: Oid | null, owner: Owner): Draft | null {
    if (this.drafts === NO_DRAFTS) this.drafts = new Map();
    return putDraft(this, this.name, oid, oid === null, false, owner);
  }

  drafted(): void {
    // Nothing hangs on names.
  }
}
