/**
 * What turns do to objects, from their commit records alone: for verify. The kernel applies turns to its own state
 * (kernel/commit.ts); that both agree is what verify shows.
 */
import {
  ABSENT,
  applyPatch,
  unpack,
  WRITE,
  type Attempt,
  type CommitBody,
  type Content,
  type Oid,
  type SlotWrite,
} from '../../protocol/index.js';
import type { ObjectRecord, TurnRecord } from './records.js';

/** Its shape changes when a name comes or goes. */
export const LOBBY_OID = '#lobby' as Oid;

export interface SlotState {
  readonly attempt: Attempt;
  readonly version: number;
  readonly content: Content;
}

export interface ReplayedObject {
  exists: boolean;
  shape: Attempt;
  parents: Attempt;
  readonly slots: Map<string, SlotState>;
}

export const blankObject = (): ReplayedObject => ({ exists: false, shape: ABSENT, parents: ABSENT, slots: new Map() });

export function objectFrom([, shape, parents, rows]: ObjectRecord): ReplayedObject {
  const object: ReplayedObject = { exists: true, shape, parents, slots: new Map() };
  for (let i = 0; i < rows.length; i += 4) {
    object.slots.set(rows[i] as string, {
      attempt: rows[i + 1] as Attempt,
      version: rows[i + 2] as number,
      content: rows[i + 3] as Content,
    });
  }
  return object;
}

export const bodyOf = (turn: TurnRecord): CommitBody => unpack(turn[9]) as CommitBody;

/** Did a name come or go in this turn? */
export function namesCameOrWent(turn: TurnRecord, body: CommitBody): boolean {
  const written = new Map(body[4]);
  return turn[11].some(([name, before]) => (before === null) !== ((written.get(name) ?? null) === null));
}

/** Objects that the turn made, wrote, or changed the shape of. */
export function touchedBy(turn: TurnRecord, body: CommitBody): Set<Oid> {
  const oids = new Set<Oid>(body[2]);
  for (const [oid] of body[3]) oids.add(oid);
  if (namesCameOrWent(turn, body)) oids.add(LOBBY_OID);
  return oids;
}

function applyWrite(object: ReplayedObject, [slot, op, payload]: SlotWrite, attempt: Attempt): void {
  const old = object.slots.get(slot);
  if (slot.endsWith('*')) object.parents = attempt;
  if (op === WRITE.REMOVE) {
    object.slots.delete(slot);
    object.shape = attempt;
    return;
  }
  if (old === undefined) object.shape = attempt;
  const content = op === WRITE.PATCH ? applyPatch(old?.content ?? null, payload as Uint8Array) : payload;
  object.slots.set(slot, { attempt, version: (old?.version ?? 0) + 1, content });
}

/** What the turn did to this one object. */
export function applyTurnTo(object: ReplayedObject, oid: Oid, turn: TurnRecord, body: CommitBody): void {
  const [attempt] = turn;
  if (body[2].includes(oid)) {
    object.exists = true;
    object.shape = attempt;
  }
  for (const [written, writes] of body[3])
    if (written === oid) for (const write of writes) applyWrite(object, write, attempt);
  if (oid === LOBBY_OID && namesCameOrWent(turn, body)) object.shape = attempt;
}

const sameContent = (a: Content, b: Content): boolean =>
  a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : Object.is(a, b);

/** The first difference between what a snapshot says and what the turns say, for people; undefined when there is none. */
export function difference(snapshot: ReplayedObject, replayed: ReplayedObject): string | undefined {
  for (const [slot, { attempt, version, content }] of replayed.slots) {
    const other = snapshot.slots.get(slot);
    if (other === undefined) return `slot ${slot} is missing`;
    if (other.attempt !== attempt) return `slot ${slot} is of attempt ${other.attempt}, the turns say ${attempt}`;
    if (other.version !== version) return `slot ${slot} has version ${other.version}, the turns say ${version}`;
    if (!sameContent(other.content, content)) return `slot ${slot} has another content than the turns say`;
  }
  for (const slot of snapshot.slots.keys()) if (!replayed.slots.has(slot)) return `slot ${slot} was never written`;
  if (snapshot.shape !== replayed.shape)
    return `its shape is of attempt ${snapshot.shape}, the turns say ${replayed.shape}`;
  if (snapshot.parents !== replayed.parents)
    return `its parents are of attempt ${snapshot.parents}, the turns say ${replayed.parents}`;
  return undefined;
}
