/** The commit of a turn, from what its frames have left standing. */
import {
  ABSENT,
  diff,
  incarnationOf,
  PARENTS,
  SHAPE,
  WRITE,
  type Attempt,
  type CommitBody,
  type Content,
  type NameWrite,
  type NewTimer,
  type Oid,
  type Outgoing,
  type ReadSet,
  type SlotWrite,
  type WireError,
  type WriteSet,
} from '../../protocol/index.js';
import type { Draft } from './effects.js';
import type { CachedObject } from './object.js';
import type { Turn } from './turn.js';
import type { ObjectView } from './view.js';

/** A slot as the turn leaves it; content undefined: removed. */
export interface Written {
  readonly oid: Oid;
  readonly slot: string;
  readonly content: Content | undefined;
}

/** For the host's own cache. */
export interface TurnWrites {
  readonly creates: readonly Oid[];
  readonly slots: readonly Written[];
  readonly names: readonly NameWrite[];
}

/** Shared, never changed: most commits only read. */
const NONE: never[] = [];

export const NO_WRITES: TurnWrites = { creates: [], slots: [], names: [] };

/** A failed turn commits its reads and its error, nothing else: the error counts only if the reads are valid. */
export function buildCommit(turn: Turn, reply: Content | WireError, ok: boolean): CommitBody {
  turn.writes = NO_WRITES;
  if (!ok) {
    return [readSets(turn), turn.nameReads(), NONE, NONE, NONE, NONE, NONE, [false, null, reply as WireError]];
  }
  if (turn.writesNothing)
    return [readSets(turn), turn.nameReads(), NONE, NONE, NONE, NONE, NONE, [true, reply as Content, null]];
  const slots: Written[] = [];
  const writes = writeSets(turn, slots);
  const names = nameWrites(turn);
  const creates = turn.creations.filter(({ dead }) => !dead).map(({ oid }) => oid);
  const [outbox, timers] = departures(turn);
  turn.writes = { creates, slots, names };
  return [readSets(turn), turn.nameReads(), creates, writes, names, outbox, timers, [true, reply as Content, null]];
}

function readSets(turn: Turn): ReadSet[] {
  const sets: ReadSet[] = [];
  for (const { oid, reads } of turn.views.values()) if (reads.length > 0) sets.push([oid, reads]);
  return sets;
}

function writeSets(turn: Turn, slots: Written[]): WriteSet[] {
  const sets: WriteSet[] = [];
  for (const view of turn.views.values()) {
    if (view.drafts.size === 0) continue;
    const writes: SlotWrite[] = [];
    for (const draft of view.drafts.values()) {
      const write = slotWrite(turn, view, draft);
      if (write === null) continue;
      writes.push(write);
      slots.push({ oid: view.oid, slot: draft.key, content: draft.removed ? undefined : draft.content });
    }
    if (writes.length > 0) sets.push([view.oid, writes]);
  }
  return sets;
}

function slotWrite(turn: Turn, view: ObjectView, draft: Draft): SlotWrite | null {
  const slot = draft.key;
  const before = view.object?.slots.get(slot);
  if (draft.removed) {
    if (before !== undefined) return [slot, WRITE.REMOVE, null];
    if (view.object !== null && !view.hasRead(slot)) view.read(slot, ABSENT); // that there is nothing to remove
    return null;
  }
  if (draft.named) draft.replace(turn.codec.resolved(draft.content));
  const { content } = draft;
  if (before !== undefined && content instanceof Uint8Array && view.hasRead(slot)) {
    const patch = diff(before.content, content);
    if (patch !== undefined) return [slot, WRITE.PATCH, patch];
  }
  return [slot, WRITE.SET, content];
}

function nameWrites(turn: Turn): NameWrite[] {
  const writes: NameWrite[] = [];
  for (const view of turn.names.values()) {
    const { name, committed } = view;
    const draft = view.drafts.get(name);
    if (draft === undefined) continue;
    const oid = draft.removed ? null : (draft.content as Oid);
    if (oid !== null || committed !== null) writes.push([name, oid]);
    else view.wasRead = true; // that there is nothing to take away
  }
  return writes;
}

function departures(turn: Turn): [Outgoing[], NewTimer[]] {
  const outbox: Outgoing[] = [];
  const timers: NewTimer[] = [];
  for (const departure of turn.departures) {
    if (departure.dead) continue;
    const { selector, delay, named } = departure;
    const target = turn.resolveNow(departure.target) as Oid;
    const args = named ? (turn.codec.resolved(departure.args) as Uint8Array) : departure.args;
    if (delay === null) outbox.push([target, selector, args]);
    else timers.push([delay, target, selector, args]);
  }
  return [outbox, timers];
}

/** Keys of all that the turn read and wrote: oids, and names as `=name`. */
export function keysOf(turn: Turn): string[] {
  const keys: string[] = [];
  for (const { oid, reads, drafts, object } of turn.views.values()) {
    if (object !== null && (reads.length > 0 || drafts.size > 0)) keys.push(oid);
  }
  for (const { name, wasRead, drafts } of turn.names.values()) if (wasRead || drafts.size > 0) keys.push(`=${name}`);
  return keys;
}

/** An attempt that meets `isOpen` and made a listing (slots, parents) that the turn has read, but for one that made the whole object. */
export function listedOf(turn: Turn, isOpen: (attempt: Attempt) => boolean): Attempt | undefined {
  for (const { reads, object } of turn.views.values()) {
    for (let i = 0; i < reads.length; i += 2) {
      const attempt = reads[i + 1] as Attempt;
      if (isListing(reads[i]) && attempt !== object?.born && isOpen(attempt)) return attempt;
    }
  }
  return undefined;
}

const isListing = (slot: unknown): boolean => slot === SHAPE || slot === PARENTS;

/**
 * The first read that is of another state than the cache has now: the kernel would refuse it, so it need not be asked. Not so a listing of this
 * host's own making in an object that was dropped or loaded anew since: it lacks what came before, though the attempt is the same.
 */
export function firstStaleKey(turn: Turn): string | undefined {
  const { ports } = turn.engine;
  const own = incarnationOf(turn.attempt);
  for (const { oid, reads, object } of turn.views.values()) {
    if (object === null) continue;
    const now = ports.object(oid);
    for (let i = 0; i < reads.length; i += 2) {
      const slot = reads[i] as string;
      const attempt = reads[i + 1] as Attempt;
      if (now !== undefined && attemptIn(now, slot) !== attempt) return oid;
      if (now !== object && isListing(slot) && attempt !== object.born && incarnationOf(attempt) === own) return oid;
    }
  }
  return undefined;
}

function attemptIn(object: CachedObject, slot: string): Attempt {
  if (slot === SHAPE) return object.shape;
  if (slot === PARENTS) return object.parents;
  return object.slots.get(slot)?.attempt ?? ABSENT;
}
