/**
 * Validation of a turn against the accepted state, and its application to it.
 *
 *   C1  All that could fail is done by validation, patches included, so `applyTurn` of a validated turn never fails half way.
 *   C2  What no honest host sends (something written twice, a patch that does not fit what was read) is an offence of the host that sent it:
 *       MALFORMED, before any verdict. It says nothing about the journal.
 *   C3  Both take time in proportion to the body: a large turn may not keep the kernel from its heartbeats.
 */
import {
  ABSENT,
  applyPatch,
  PARENTS,
  SHAPE,
  slotBytes,
  TelosError,
  WRITE,
  OBJECT_BYTES,
  type Attempt,
  type CommitBody,
  type Content,
  type Oid,
  type SlotChange,
  type SlotWrite,
} from '../../protocol/index.js';
import type { NameBefore, SlotBefore } from '../journal/index.js';
import { AcceptedState, keep, LOBBY, nameKey, newObject, type KObject } from './objects.js';

/** What the patches of a body make, by write. */
export type Patched = ReadonlyMap<SlotWrite, Content>;

export const NO_PATCHES: Patched = new Map();

export interface Validation {
  /** Keys (oids, `=name`) whose reads are not of the accepted state, or that can't be written. */
  readonly stale: string[];
  /** Highest turn among those that were read. */
  readonly readSeq: number;
  /** Of a turn that is not stale. */
  readonly patched: Patched;
}

/**
 * Does every read name the attempt that is accepted for it, and can every write be applied? `unchecked` (tests): whatever was read.
 * Source: Kung & Robinson 1981, backward validation.
 * @throws TelosError MALFORMED (C2)
 */
export function validate(
  state: AcceptedState,
  body: CommitBody,
  maxContentBytes: number,
  unchecked = false,
): Validation {
  refuseDuplicates(body);
  const stale: string[] = [];
  const readSeq = unchecked ? 0 : checkReads(state, body, stale);
  const patches = checkWrites(state, body, stale);
  return { stale, readSeq, patched: stale.length > 0 ? NO_PATCHES : applyPatches(patches, maxContentBytes) };
}

function checkReads(state: AcceptedState, body: CommitBody, stale: string[]): number {
  let readSeq = 0;
  for (const [oid, reads] of body[0]) {
    const object = state.objects.get(oid);
    if (object === undefined) {
      stale.push(oid);
      continue;
    }
    for (let i = 0; i < reads.length; i += 2) {
      const slot = reads[i] as string;
      if (AcceptedState.slotAttempt(object, slot) !== reads[i + 1]) {
        stale.push(oid);
        break;
      }
      const seq = AcceptedState.slotSeq(object, slot);
      if (seq > readSeq) readSeq = seq;
    }
  }
  for (const [name, attempt] of body[1]) {
    const entry = state.names.get(name);
    if (entry === undefined || entry.attempt !== attempt) stale.push(nameKey(name));
    else if (entry.seq > readSeq) readSeq = entry.seq;
  }
  return readSeq;
}

interface Patch {
  readonly oid: Oid;
  readonly write: SlotWrite;
  readonly before: Content;
}

/** Notes the keys that the turn would write and that can't be written, whatever it read. Gives the patches, with what they apply to. */
function checkWrites(state: AcceptedState, body: CommitBody, stale: string[]): Patch[] {
  const patches: Patch[] = [];
  const creates = new Set(body[2]);
  for (const oid of creates) if (state.objects.get(oid)?.exists) stale.push(oid);
  let reads: ReadIndex | undefined;
  for (const [oid, writes] of body[3]) {
    const object = state.objects.get(oid);
    if (!object?.exists && !creates.has(oid)) {
      stale.push(oid);
      continue;
    }
    for (const write of writes) {
      if (write[1] !== WRITE.PATCH) continue;
      reads ??= indexReads(body);
      const attempt = reads.get(oid)?.get(write[0]);
      const slot = object?.slots.get(write[0]);
      if (slot === undefined && attempt === ABSENT) throw misfit(oid, write, 'it is absent');
      // A patch fits only the content that the turn has read.
      if (slot === undefined || slot.attempt !== attempt) {
        stale.push(oid);
        break;
      }
      patches.push({ oid, write, before: slot.content });
    }
  }
  for (const [name] of body[4]) if (!state.names.has(name)) stale.push(nameKey(name));
  return patches;
}

type ReadIndex = ReadonlyMap<Oid, ReadonlyMap<string, Attempt>>;

function indexReads(body: CommitBody): ReadIndex {
  const index = new Map<Oid, Map<string, Attempt>>();
  for (const [oid, reads] of body[0]) {
    const slots = index.get(oid) ?? new Map<string, Attempt>();
    index.set(oid, slots);
    for (let i = 0; i < reads.length; i += 2) slots.set(reads[i] as string, reads[i + 1] as Attempt);
  }
  return index;
}

function applyPatches(patches: readonly Patch[], maxContentBytes: number): Patched {
  if (patches.length === 0) return NO_PATCHES;
  const contents = new Map<SlotWrite, Content>();
  for (const { oid, write, before } of patches) {
    try {
      contents.set(write, applyPatch(before, write[2] as Uint8Array, maxContentBytes));
    } catch (error) {
      throw misfit(oid, write, TelosError.from(error).message);
    }
  }
  return contents;
}

const misfit = (oid: Oid, [slot]: SlotWrite, why: string): TelosError =>
  new TelosError('MALFORMED', `COMMIT body: the patch of ${oid}.${slot} can't be applied: ${why}`);

/** C2. Twice the same slot, object or name: what stood before would be noted wrong, and a patch would meet another content. */
function refuseDuplicates(body: CommitBody): void {
  unique(body[2], 'creates', (oid) => oid);
  unique(body[3], 'writes', ([oid]) => oid);
  unique(body[4], 'nameWrites', ([name]) => name);
  for (const [oid, writes] of body[3]) {
    unique(writes, `writes of ${oid}`, ([slot]) => slot);
    for (const [slot] of writes)
      if (slot === SHAPE || slot === PARENTS)
        throw new TelosError('MALFORMED', `COMMIT body: ${oid} has no slot ${JSON.stringify(slot)} to write`);
  }
}

function unique<I>(items: readonly I[], place: string, keyOf: (item: I) => string): void {
  if (items.length < 2) return;
  const seen = new Set<string>();
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key))
      throw new TelosError('MALFORMED', `COMMIT body: ${JSON.stringify(key)} comes twice in its ${place}`);
    seen.add(key);
  }
}

/**
 * Why the turn can't be accepted although all that it read is true: an object would be larger than `most` bytes, and no host could load it. Two
 * hosts may each have added what fits alone, so only the kernel can tell. What makes an object
 * smaller is never refused.
 */
export function oversized(
  state: AcceptedState,
  body: CommitBody,
  patched: Patched,
  most: number,
): TelosError | undefined {
  for (const [oid, writes] of body[3]) {
    const object = state.objects.get(oid);
    let bytes = object?.bytes ?? OBJECT_BYTES;
    for (const write of writes) bytes += addedBytes(write, patched);
    if (bytes <= most) continue;
    for (const [slot] of writes) {
      const old = object?.slots.get(slot);
      if (old !== undefined) bytes -= slotBytes(slot, old.content);
    }
    if (bytes > most && bytes > (object?.bytes ?? 0)) return tooLarge(oid, bytes, most);
  }
  return undefined;
}

function addedBytes(write: SlotWrite, patched: Patched): number {
  const [slot, op, payload] = write;
  if (op === WRITE.REMOVE) return 0;
  return slotBytes(slot, op === WRITE.PATCH ? (patched.get(write) ?? null) : payload);
}

const tooLarge = (oid: Oid, bytes: number, most: number): TelosError =>
  new TelosError('TOO_LARGE', `${oid} would take ${bytes} bytes; message.max_object_bytes is ${most}`, {
    remedy: 'spread the slots over several objects, or raise message.max_object_bytes in the configuration',
  });

export interface Applied {
  readonly before: SlotBefore[];
  readonly namesBefore: NameBefore[];
  /** What other holders must be told, by object. */
  readonly changed: [object: KObject, changes: SlotChange[]][];
  readonly namesChanged: string[];
}

/**
 * Applies an accepted turn (or one that is replayed) to the state. `patched`: of its validation; none when it comes from the journal, whose
 * patches must fit. @throws TelosError DAMAGED a patch from the journal does not fit
 */
export function applyTurn(
  state: AcceptedState,
  body: CommitBody,
  attempt: Attempt,
  seq: number,
  patched: Patched = NO_PATCHES,
): Applied {
  const applied: Applied = { before: [], namesBefore: [], changed: [], namesChanged: [] };
  for (const oid of body[2]) {
    const object = state.objects.get(oid) ?? newObject(oid, true);
    object.exists = true;
    object.shape = attempt;
    object.shapeSeq = seq;
    state.objects.set(oid, object);
    state.touch(object, seq);
  }
  let lobbyChanged = false;
  for (const [oid, writes] of body[3]) {
    const object = state.objects.get(oid) as KObject;
    const changes: SlotChange[] = [];
    for (const write of writes) changes.push(applyWrite(object, write, patched, attempt, seq, applied.before));
    state.touch(object, seq);
    applied.changed.push([object, changes]);
    lobbyChanged ||= oid === LOBBY;
  }
  let listingChanged = false;
  for (const [name, oid] of body[4])
    listingChanged = applyName(state, name, oid, attempt, seq, applied) || listingChanged;
  const lobby = listingChanged ? state.objects.get(LOBBY) : undefined;
  if (lobby === undefined) return applied;
  lobby.shape = attempt;
  lobby.shapeSeq = seq;
  state.touch(lobby, seq);
  if (!lobbyChanged) applied.changed.push([lobby, []]);
  return applied;
}

function applyWrite(
  object: KObject,
  write: SlotWrite,
  patched: Patched,
  attempt: Attempt,
  seq: number,
  before: SlotBefore[],
): SlotChange {
  const [slot, op, payload] = write;
  const old = object.slots.get(slot);
  before.push(old ? [object.oid, slot, old.attempt, old.version, old.content] : [object.oid, slot, ABSENT, 0, null]);
  const isParent = slot.endsWith('*');
  if (old) object.bytes -= slotBytes(slot, old.content);
  if (op === WRITE.REMOVE) {
    object.slots.delete(slot);
    noteShape(object, isParent, true, attempt, seq);
    return [slot, attempt, 0, true, null];
  }
  const content =
    op === WRITE.PATCH
      ? (patched.get(write) ?? applyPatch(old?.content ?? null, payload as Uint8Array))
      : keep(payload);
  object.bytes += slotBytes(slot, content);
  const version = (old?.version ?? 0) + 1;
  if (old) {
    old.attempt = attempt;
    old.version = version;
    old.content = content;
    old.seq = seq;
  } else {
    object.slots.set(slot, { attempt, version, content, seq });
  }
  noteShape(object, isParent, !old, attempt, seq);
  return [slot, attempt, version, false, content];
}

function noteShape(object: KObject, isParent: boolean, cameOrWent: boolean, attempt: Attempt, seq: number): void {
  if (cameOrWent) {
    object.shape = attempt;
    object.shapeSeq = seq;
  }
  if (isParent) {
    object.parents = attempt;
    object.parentsSeq = seq;
  }
}

/** True: the name came or went, so the lobby is listed otherwise. */
function applyName(
  state: AcceptedState,
  name: string,
  oid: Oid | null,
  attempt: Attempt,
  seq: number,
  applied: Applied,
): boolean {
  const entry = state.names.get(name) ?? state.adoptName(name, undefined);
  applied.namesBefore.push([name, entry.oid, entry.attempt]);
  const cameOrWent = (entry.oid === null) !== (oid === null);
  entry.oid = oid;
  entry.attempt = oid === null ? ABSENT : attempt;
  entry.seq = seq;
  applied.namesChanged.push(name);
  return cameOrWent;
}

/** Keys that a turn would write, for grants. A name that comes or goes changes the lobby's shape, which a listing reads. */
export function writtenKeys(state: AcceptedState, body: CommitBody): string[] {
  const keys: string[] = body[3].map(([oid]) => oid);
  let listingChanges = false;
  for (const [name, oid] of body[4]) {
    keys.push(nameKey(name));
    listingChanges ||= ((state.names.get(name)?.oid ?? null) === null) !== (oid === null);
  }
  if (listingChanges) keys.push(LOBBY);
  return keys;
}
