/**
 * Validation of a turn against the accepted state, and its application to it. Both are total: what can't be applied is found by
 * validation, so `applyTurn` never fails half way.
 */
import {
  ABSENT,
  applyPatch,
  WRITE,
  type Attempt,
  type CommitBody,
  type Content,
  type Oid,
  type SlotChange,
} from '../../protocol/index.js';
import type { NameBefore, SlotBefore } from '../journal/index.js';
import { AcceptedState, keep, LOBBY, nameKey, newObject, type KObject } from './objects.js';

export interface Validation {
  /** Keys (oids, `=name`) whose reads are not of the accepted state. */
  readonly stale: string[];
  /** Highest turn among those that were read. */
  readonly readSeq: number;
}

/** Does every read name the attempt that is accepted for it, and can every write be applied? Source: Kung & Robinson 1981, backward validation. */
export function validate(state: AcceptedState, body: CommitBody): Validation {
  const stale: string[] = [];
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
  stale.push(...unwritable(state, body));
  return { stale, readSeq };
}

/** Keys that the turn would write and that can't be written, whatever it read. */
export function unwritable(state: AcceptedState, body: CommitBody): string[] {
  const stale: string[] = [];
  const creates = body[2];
  for (const oid of creates) if (state.objects.get(oid)?.exists) stale.push(oid);
  for (const [oid, writes] of body[3]) {
    const object = state.objects.get(oid);
    if (!object?.exists) {
      if (!creates.includes(oid)) stale.push(oid);
      continue;
    }
    for (const [slot, op] of writes) if (op === WRITE.PATCH && !hasRead(body, oid, slot)) stale.push(oid);
  }
  for (const [name] of body[4]) if (!state.names.has(name)) stale.push(nameKey(name));
  return stale;
}

/** A patch fits only the content that the turn has read: without that read it could fail half-way through the turn. */
function hasRead(body: CommitBody, oid: Oid, slot: string): boolean {
  return body[0].some(([read, slots]) => read === oid && slots.some((name, i) => i % 2 === 0 && name === slot));
}

export interface Applied {
  readonly before: SlotBefore[];
  readonly namesBefore: NameBefore[];
  /** What other holders must be told, by object. */
  readonly changed: [object: KObject, changes: SlotChange[]][];
  readonly namesChanged: string[];
}

/** Applies an accepted turn (or one that is replayed) to the state. */
export function applyTurn(state: AcceptedState, body: CommitBody, attempt: Attempt, seq: number): Applied {
  const applied: Applied = { before: [], namesBefore: [], changed: [], namesChanged: [] };
  for (const oid of body[2]) {
    const object = state.objects.get(oid) ?? newObject(oid, true);
    object.exists = true;
    object.shape = attempt;
    object.shapeSeq = seq;
    state.objects.set(oid, object);
    state.touch(object, seq);
  }
  for (const [oid, writes] of body[3]) {
    const object = state.objects.get(oid) as KObject;
    const changes: SlotChange[] = [];
    for (const [slot, op, payload] of writes)
      changes.push(applyWrite(object, slot, op, payload, attempt, seq, applied.before));
    state.touch(object, seq);
    applied.changed.push([object, changes]);
  }
  for (const [name, oid] of body[4]) applyName(state, name, oid, attempt, seq, applied);
  return applied;
}

function applyWrite(
  object: KObject,
  slot: string,
  op: number,
  payload: Content,
  attempt: Attempt,
  seq: number,
  before: SlotBefore[],
): SlotChange {
  const old = object.slots.get(slot);
  before.push(old ? [object.oid, slot, old.attempt, old.version, old.content] : [object.oid, slot, ABSENT, 0, null]);
  const isParent = slot.endsWith('*');
  if (op === WRITE.REMOVE) {
    object.slots.delete(slot);
    noteShape(object, isParent, true, attempt, seq);
    return [slot, attempt, 0, true, null];
  }
  const content = op === WRITE.PATCH ? applyPatch(old?.content ?? null, payload as Uint8Array) : keep(payload);
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

function applyName(
  state: AcceptedState,
  name: string,
  oid: Oid | null,
  attempt: Attempt,
  seq: number,
  applied: Applied,
): void {
  const entry = state.names.get(name) ?? state.adoptName(name, undefined);
  applied.namesBefore.push([name, entry.oid, entry.attempt]);
  const cameOrWent = (entry.oid === null) !== (oid === null);
  entry.oid = oid;
  entry.attempt = oid === null ? ABSENT : attempt;
  entry.seq = seq;
  applied.namesChanged.push(name);
  const lobby = state.objects.get(LOBBY);
  if (cameOrWent && lobby) {
    lobby.shape = attempt;
    lobby.shapeSeq = seq;
    state.touch(lobby, seq);
    if (!applied.changed.some(([object]) => object === lobby)) applied.changed.push([lobby, []]);
  }
}

/** Keys that a turn would write, for grants. */
export function writtenKeys(body: CommitBody): string[] {
  const keys: string[] = body[3].map(([oid]) => oid);
  for (const [name] of body[4]) keys.push(nameKey(name));
  return keys;
}
