/**
 * Owns: the accepted state of objects, synced or not, as far as a host holds it or it is not yet in a snapshot; names are in names.ts.
 * Doesn't own: what is durable (groups.ts), how it is read (reader.ts), who is told (kernel.ts).
 *
 *   O1  A slot's attempt is the one that the last *accepted* turn gave it; 0 and "absent" are the same.
 *   O2  Objects are forgotten only when no host holds them and their snapshot is written; a turn that reads a forgotten object
 *       is in conflict, never accepted.
 *   O3  `seq` of a slot, shape, parents slot or name is the turn that made it, so an answer knows what it must wait for.
 */
import {
  ABSENT,
  PARENTS,
  SHAPE,
  type Attempt,
  type Content,
  type NameState,
  type ObjectState,
  type Oid,
  OBJECT_BYTES,
  slotBytes,
  type SlotRow,
} from '../../protocol/index.js';
import { decodeRecord, type NameRecord, type ObjectRecord } from '../journal/index.js';
import { Names, type KName } from './names.js';

export const LOBBY = '#lobby' as Oid;

export interface KSlot {
  attempt: Attempt;
  version: number;
  content: Content;
  seq: number;
}

export interface KObject {
  readonly oid: Oid;
  exists: boolean;
  readonly slots: Map<string, KSlot>;
  shape: Attempt;
  shapeSeq: number;
  parents: Attempt;
  parentsSeq: number;
  /** What its state takes in a frame, at most. */
  bytes: number;
  /** Bit set of the hosts that hold it. */
  holders: number;
  /** First turn that is in no snapshot, written or on its way; 0: clean. */
  dirtySince: number;
  /** What it counts among the dirty ones. */
  dirtyBytes: number;
  /** Snapshots on their way to the disk. */
  saving: number;
  /** Turns that wrote it since the last snapshot that is durable. */
  touched: number[];
}

/** A key of conflict and grant: an oid, or `=` and a name. */
export const nameKey = (name: string): string => `=${name}`;

/** Bytes that outlive the frame which they came in. */
export const keep = (content: Content): Content => (content instanceof Uint8Array ? Uint8Array.from(content) : content);

export function newObject(oid: Oid, exists: boolean): KObject {
  return {
    oid,
    exists,
    slots: new Map(),
    shape: ABSENT,
    shapeSeq: 0,
    parents: ABSENT,
    parentsSeq: 0,
    bytes: OBJECT_BYTES,
    holders: 0,
    dirtySince: 0,
    dirtyBytes: 0,
    saving: 0,
    touched: [],
  };
}

export class AcceptedState {
  readonly objects = new Map<Oid, KObject>();
  /** Dirty objects in the order in which they became dirty; entries before `dirtyHead` are done. */
  #dirty: KObject[] = [];
  #dirtyHead = 0;
  #dirtyBytes = 0;
  /** Objects that are being read or worked on, by how many. */
  readonly #pins = new Map<Oid, number>();

  constructor(readonly names = new Names(Number.MAX_SAFE_INTEGER, () => Infinity)) {}

  get dirtyCount(): number {
    return this.#dirty.length - this.#dirtyHead;
  }

  get dirtyBytes(): number {
    return this.#dirtyBytes;
  }

  /** An object as the journal holds it. One that is known already stays as it is. */
  adopt(oid: Oid, value: Uint8Array | undefined): KObject {
    const known = this.objects.get(oid);
    if (known) return known;
    const object = newObject(oid, value !== undefined);
    if (value !== undefined) {
      const [, shape, parents, rows] = decodeRecord<ObjectRecord>(value, `object ${oid}`);
      object.shape = shape;
      object.parents = parents;
      for (let i = 0; i < rows.length; i += 4) {
        object.bytes += slotBytes(rows[i] as string, rows[i + 3] as Content);
        object.slots.set(rows[i] as string, {
          attempt: rows[i + 1] as Attempt,
          version: rows[i + 2] as number,
          content: keep(rows[i + 3] as Content),
          seq: 0,
        });
      }
    }
    this.objects.set(oid, object);
    return object;
  }

  adoptName(name: string, value: Uint8Array | undefined): KName {
    return this.names.adopt(name, value === undefined ? null : decodeRecord<NameRecord>(value, `name ${name}`));
  }

  /** The attempt that a read of this slot must name, and the turn that made it. */
  static slotAttempt(object: KObject, slot: string): Attempt {
    if (slot === SHAPE) return object.shape;
    if (slot === PARENTS) return object.parents;
    return object.slots.get(slot)?.attempt ?? ABSENT;
  }

  static slotSeq(object: KObject, slot: string): number {
    if (slot === PARENTS) return object.parentsSeq;
    if (slot === SHAPE) return object.shapeSeq;
    return object.slots.get(slot)?.seq ?? object.shapeSeq;
  }

  /** A turn has written it. */
  touch(object: KObject, seq: number): void {
    this.#dirtyBytes += object.bytes - object.dirtyBytes;
    object.dirtyBytes = object.bytes;
    if (object.dirtySince === 0) {
      object.dirtySince = seq;
      this.#dirty.push(object);
    }
    if (object.touched[object.touched.length - 1] !== seq) object.touched.push(seq);
  }

  /** The seq from which replay has to begin when everything up to `endSeq` is in the journal. */
  replayMark(endSeq: number): number {
    return this.#dirty[this.#dirtyHead]?.dirtySince ?? endSeq + 1;
  }

  /**
   * Takes objects off the queue that became dirty at or before `before`, up to `limit` and, but for the first, `bytes`; their snapshots must be
   * written by the caller.
   */
  takeDirty(limit: number, bytes: number, before: number): KObject[] {
    const taken: KObject[] = [];
    let left = bytes;
    while (taken.length < limit && left > 0) {
      const object = this.#dirty[this.#dirtyHead];
      if (object === undefined || object.dirtySince > before) break;
      this.#dirtyHead++;
      left -= object.bytes;
      this.#dirtyBytes -= object.dirtyBytes;
      object.dirtySince = 0;
      object.dirtyBytes = 0;
      object.saving++;
      taken.push(object);
    }
    if (this.#dirtyHead > 4096 && this.#dirtyHead * 2 > this.#dirty.length) {
      this.#dirty = this.#dirty.slice(this.#dirtyHead);
      this.#dirtyHead = 0;
    }
    return taken;
  }

  /** A snapshot that `takeDirty` asked for is durable, with a list of the first `listed` turns that are noted here. */
  saved(object: KObject, listed: number): void {
    object.saving--;
    object.touched.splice(0, listed);
    this.release(object);
  }

  /**
   * Forgets the object if nobody needs it in memory. One whose snapshot is still on its way is needed: the journal has an older one; one
   * that somebody is reading is too, for what they read may be older than what is forgotten here.
   */
  release(object: KObject): void {
    const idle = object.holders === 0 && object.dirtySince === 0 && object.saving === 0;
    if (idle && object.oid !== LOBBY && !this.#pins.has(object.oid)) this.objects.delete(object.oid);
  }

  releaseIdle(oids: Iterable<Oid>): void {
    for (const oid of oids) {
      const object = this.objects.get(oid);
      if (object) this.release(object);
    }
  }

  /** Until `unpin` none of these is forgotten, once it is here. */
  pin(oids: readonly Oid[], names: readonly string[] = []): void {
    this.names.pin(names);
    for (const oid of oids) this.#pins.set(oid, (this.#pins.get(oid) ?? 0) + 1);
  }

  unpin(oids: readonly Oid[], names: readonly string[] = []): void {
    this.names.unpin(names);
    for (const oid of oids) {
      const left = (this.#pins.get(oid) ?? 1) - 1;
      if (left > 0) this.#pins.set(oid, left);
      else this.#pins.delete(oid);
    }
    this.releaseIdle(oids);
  }

  releaseHost(bit: number): void {
    for (const object of this.objects.values()) {
      if ((object.holders & bit) === 0) continue;
      object.holders &= ~bit;
      this.release(object);
    }
  }

  snapshot(object: KObject, seq: number): ObjectRecord {
    return [seq as ObjectRecord[0], object.shape, object.parents, rowsOf(object)];
  }

  stateOf(oid: Oid): ObjectState {
    const object = this.objects.get(oid);
    if (!object?.exists) return [oid, object?.shape ?? ABSENT, object?.parents ?? ABSENT, null];
    return [oid, object.shape, object.parents, rowsOf(object)];
  }

  nameState(name: string): NameState {
    const entry = this.names.get(name);
    return [name, entry?.oid ?? null, entry?.attempt ?? ABSENT];
  }
}

function rowsOf(object: KObject): SlotRow[] {
  const rows: SlotRow[] = [];
  for (const [slot, { attempt, version, content }] of object.slots) rows.push(slot, attempt, version, content);
  return rows;
}
