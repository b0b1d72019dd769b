/**
 * Owns: the gathering group, the one being written, and the output gate.
 *
 *   G1  Effects of a turn leave (answers, outbox, notices) only after the group that holds it, or the latest that it read, is durable.
 *   G2  Groups are appended one at a time, in order; a turn's seq is its place in that order.
 *   G3  A group's snapshots show the state after its last turn, and the replay mark written with it is right for that state.
 *   G4  After a failed append nothing leaves any more.
 */
import { type Seq, type SessionId, type TelosError } from '../../protocol/index.js';
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
import type { SavedReply } from './sessions.js';

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
  readonly snapshotLagTurns: number;
}

interface ReplyToSave {
  readonly seq: number;
  readonly session: SessionId;
  readonly no: number;
  readonly reply: SavedReply;
  /** Is it still kept? */
  readonly wanted: () => boolean;
}

export class Groups {
  #gathering: Group;
  #writing: Group | null = null;
  #failed: TelosError | null = null;
  #replies: ReplyToSave[] = [];
  #repliesHead = 0;
  #mark: number;
  acceptedSeq: number;
  durableSeq: number;

  constructor(
    private readonly state: AcceptedState,
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

  /** Is there room for one more turn in the group that gathers? */
  get full(): boolean {
    return (
      this.#gathering.turns.length >= this.limits.maxGroupTurns || this.#gathering.bytes >= this.limits.maxGroupBytes
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

  /** Remembers a saved reply: it needs a key of its own before the replay mark passes its turn. */
  saveLater(entry: ReplyToSave): void {
    this.#replies.push(entry);
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
    if (!hasContent && !(idle && this.state.dirtyCount > 0)) {
      if (group.releases.length > 0) this.#release(group.releases.splice(0));
      return;
    }
    for (const [name, record] of group.names) {
      if (record) group.puts.push([keys.name(name), encodeRecord(record)]);
      else group.deletes.push(keys.name(name));
    }
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

  #addSnapshots(group: Group, idle: boolean): void {
    const crowded = this.state.dirtyCount > this.limits.maxDirtyObjects;
    const before = idle || crowded ? Infinity : group.lastSeq - this.limits.snapshotLagTurns;
    const limit = crowded || idle ? this.limits.snapshotsPerGroup * 16 : this.limits.snapshotsPerGroup;
    for (const object of this.state.takeDirty(limit, before)) {
      group.puts.push([keys.object(object.oid), encodeRecord(this.state.snapshot(object, group.lastSeq))]);
      group.puts.push([keys.history(object.oid, group.lastSeq), encodeRecord(object.touched)]);
      const listed = object.touched.length;
      group.releases.push(() => this.state.saved(object, listed));
    }
    const mark = this.state.replayMark(group.lastSeq);
    if (mark === this.#mark) return;
    this.#mark = mark;
    group.puts.push([keys.meta('replay'), encodeRecord([mark])]);
    this.#persistReplies(group, mark);
  }

  #persistReplies(group: Group, mark: number): void {
    for (;;) {
      const entry = this.#replies[this.#repliesHead];
      if (entry === undefined || entry.seq >= mark) break;
      this.#repliesHead++;
      if (!entry.wanted()) continue;
      entry.reply.persisted = true;
      const { seq, error, body } = entry.reply;
      group.puts.push([keys.reply(entry.session, entry.no), encodeRecord([seq, error === null, body, error])]);
    }
    if (this.#repliesHead > 4096 && this.#repliesHead * 2 > this.#replies.length) {
      this.#replies = this.#replies.slice(this.#repliesHead);
      this.#repliesHead = 0;
    }
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
