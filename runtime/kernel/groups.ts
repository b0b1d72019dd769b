/**
 * Owns: the gathering group, the one being written, and the output gate.
 *
 *   G1  Effects of a turn leave (answers, outbox, notices) only after the group that holds it, or the latest that it read, is durable.
 *   G2  Groups are appended one at a time, in order; a turn's seq is its place in that order.
 *   G3  A group's snapshots show the state after its last turn, and the replay mark written with it is right for that state.
 *   G4  After a failed append nothing leaves any more.
 *   G5  The replay mark lags by so many turns and, but for what the snapshots of one group can't take, so many bytes: what a start has to replay,
 *       and what of answers is in memory until it has a key, is bounded.
 */
import { type Seq, type TelosError } from '../../protocol/index.js';
import {
  encodeRecord,
  keys,
  type GroupWrite,
  type Key,
  type NameRecord,
  type Put,
  type TurnRecord,
} from '../journal/index.js';
import type { AcceptedState } from './objects.js';
import type { Replies } from './replies.js';

const RECORD_FORMAT = 1;

/** What leaves when a group is durable. */
type Release = () => void;

interface Group {
  turns: TurnRecord[];
  /** A name that is given and taken away within one group ends as it was last. */
  names: Map<string, NameRecord | null>;
  puts: Put[];
  deletes: Key[];
  releases: Release[];
  bytes: number;
  lastSeq: number;
}

const emptyGroup = (lastSeq: number): Group => ({
  turns: [],
  names: new Map(),
  puts: [],
  deletes: [],
  releases: [],
  bytes: 0,
  lastSeq,
});

export interface GroupLimits {
  readonly maxGroupTurns: number;
  readonly maxGroupBytes: number;
  readonly snapshotsPerGroup: number;
  readonly maxDirtyObjects: number;
  readonly maxDirtyBytes: number;
  readonly snapshotLagTurns: number;
  readonly maxReplayBytes: number;
}

/** So many times the usual number of snapshots go into a group when there are too many dirty objects, or they lag too far. */
const CROWDED_FACTOR = 16;
/** No new messages are let in when dirty objects take so many times their limit. */
const FULL_FACTOR = 2;

export class Groups {
  #gathering: Group;
  #writing: Group | null = null;
  #failed: TelosError | null = null;
  /** Sizes of the groups after the replay mark, in order, and their sum. */
  #lag: { readonly lastSeq: number; readonly bytes: number }[] = [];
  #lagBytes = 0;
  #mark: number;
  acceptedSeq: number;
  durableSeq: number;

  constructor(
    private readonly state: AcceptedState,
    private readonly replies: Replies,
    private readonly limits: GroupLimits,
    private readonly append: (group: GroupWrite) => void,
    private readonly noGate: boolean,
    private readonly readOnly: boolean,
    endSeq: number,
    mark: number,
  ) {
    this.acceptedSeq = endSeq;
    this.durableSeq = endSeq;
    this.#mark = mark;
    this.#gathering = emptyGroup(endSeq);
  }

  get failed(): TelosError | null {
    return this.#failed;
  }

  get writing(): boolean {
    return this.#writing !== null;
  }

  /** Is there no room for one more turn in the group that gathers, or do snapshots not keep up with the turns? */
  get full(): boolean {
    const { maxGroupTurns, maxGroupBytes, maxDirtyBytes } = this.limits;
    const { turns, bytes } = this.#gathering;
    return (
      turns.length >= maxGroupTurns || bytes >= maxGroupBytes || this.state.dirtyBytes > maxDirtyBytes * FULL_FACTOR
    );
  }

  nextSeq(): Seq {
    return (this.acceptedSeq + 1) as Seq;
  }

  /** Adds an accepted turn. Its seq is the one that `nextSeq` gave. */
  add(turn: TurnRecord, bytes: number): void {
    this.acceptedSeq++;
    this.#gathering.turns.push(turn);
    this.#gathering.bytes += bytes;
    this.#gathering.lastSeq = this.acceptedSeq;
  }

  put(key: Key, value: unknown): void {
    if (this.readOnly) return;
    this.#gathering.puts.push([key, encodeRecord(value)]);
  }

  delete(key: Key): void {
    if (this.readOnly) return;
    this.#gathering.deletes.push(key);
  }

  /** What the name stands for from now on; null: nothing. Only together with a turn. */
  name(name: string, record: NameRecord | null): void {
    this.#gathering.names.set(name, record);
  }

  /** Runs when everything up to `seq` is durable: now if it is. */
  whenDurable(seq: number, release: Release): void {
    if (this.noGate || seq <= this.durableSeq) release();
    else if (this.#writing !== null && seq <= this.#writing.lastSeq) this.#writing.releases.push(release);
    else this.#gathering.releases.push(release);
  }

  /** Runs when what was `put` just now is durable, whether or not there is a turn in the group. */
  whenWritten(release: Release): void {
    if (this.noGate) release();
    else this.#gathering.releases.push(release);
  }

  /** A turn of an earlier life that was applied again. */
  replayed(seq: number, bytes: number): void {
    this.#lag.push({ lastSeq: seq, bytes });
    this.#lagBytes += bytes;
  }

  /** Pending turns, for readers that must see what is accepted and not yet in the journal: [first seq, turns]. */
  undurable(): [number, TurnRecord[]][] {
    const parts: [number, TurnRecord[]][] = [];
    for (const group of [this.#writing, this.#gathering]) {
      if (group && group.turns.length > 0) parts.push([group.lastSeq - group.turns.length + 1, group.turns]);
    }
    return parts;
  }

  /** Begins to write what has gathered, if anything has and nothing is being written. `idle`: also write all that is dirty. */
  pump(now: number, idle: boolean): void {
    if (this.readOnly || this.#writing !== null || this.#failed !== null) return;
    const group = this.#gathering;
    const hasContent = group.turns.length > 0 || group.puts.length > 0 || group.deletes.length > 0;
    if (!hasContent && !((idle || this.#pressing) && this.state.dirtyCount > 0)) {
      if (group.releases.length > 0) this.#release(group.releases.splice(0));
      return;
    }
    for (const [name, record] of group.names) {
      if (record) group.puts.push([keys.name(name), encodeRecord(record)]);
      else group.deletes.push(keys.name(name));
    }
    if (group.turns.length > 0) this.replayed(group.lastSeq, group.bytes);
    this.#addSnapshots(group, idle);
    this.#writing = group;
    this.#gathering = emptyGroup(this.acceptedSeq);
    const firstSeq = (group.lastSeq - group.turns.length + 1) as Seq;
    this.append({
      record: group.turns.length > 0 ? encodeRecord([RECORD_FORMAT, firstSeq, now, group.turns]) : null,
      firstSeq,
      lastSeq: group.lastSeq as Seq,
      puts: group.puts,
      deletes: group.deletes,
    });
  }

  get #crowded(): boolean {
    const { maxDirtyObjects, maxDirtyBytes } = this.limits;
    return this.state.dirtyCount > maxDirtyObjects || this.state.dirtyBytes > maxDirtyBytes;
  }

  /** G5 */
  get #heavy(): boolean {
    return this.#lagBytes > this.limits.maxReplayBytes;
  }

  /** Snapshots have to be written, also when there is nothing else to write. */
  get #pressing(): boolean {
    return this.#crowded || this.#heavy;
  }

  #addSnapshots(group: Group, idle: boolean): void {
    const { maxGroupBytes, maxReplayBytes, snapshotsPerGroup, snapshotLagTurns } = this.limits;
    const late = Math.max(group.lastSeq - snapshotLagTurns, this.#heavy ? this.#seqWithin(maxReplayBytes / 2) : 0);
    const limit = snapshotsPerGroup * (idle || this.#pressing ? CROWDED_FACTOR : 1);
    for (const object of this.state.takeDirty(limit, maxGroupBytes, idle || this.#crowded ? Infinity : late)) {
      group.puts.push([keys.object(object.oid), encodeRecord(this.state.snapshot(object, group.lastSeq))]);
      group.puts.push([keys.history(object.oid, group.lastSeq), encodeRecord(object.touched)]);
      const listed = object.touched.length;
      group.releases.push(() => this.state.saved(object, listed));
    }
    const mark = this.state.replayMark(group.lastSeq);
    if (mark === this.#mark) return;
    this.#mark = mark;
    group.puts.push([keys.meta('replay'), encodeRecord([mark])]);
    this.#forgetLag(mark);
    const persisted = this.replies.persistBefore(mark, group.puts);
    if (persisted.length > 0) group.releases.push(() => this.replies.unload(persisted));
  }

  /** The turn up to which snapshots must be written so that at most `bytes` of turns come after it. */
  #seqWithin(bytes: number): number {
    let left = this.#lagBytes;
    for (const part of this.#lag) {
      left -= part.bytes;
      if (left <= bytes) return part.lastSeq;
    }
    return 0;
  }

  #forgetLag(mark: number): void {
    let done = 0;
    for (const { lastSeq, bytes } of this.#lag) {
      if (lastSeq >= mark) break;
      this.#lagBytes -= bytes;
      done++;
    }
    if (done > 0) this.#lag = this.#lag.slice(done);
  }

  appended(): void {
    const group = this.#writing;
    if (group === null) return;
    this.#writing = null;
    this.durableSeq = group.lastSeq;
    this.#release(group.releases);
  }

  appendFailed(error: TelosError): void {
    this.#failed = error;
    this.#writing = null;
  }

  #release(releases: Release[]): void {
    for (const release of releases) release();
  }
}
