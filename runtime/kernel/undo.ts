/**
 * Undo of a turn: a new turn that restores what stood in every slot and name before it.
 *
 *   N1  It is refused, with the turns named, when a later turn wrote or read what the turn made, or keeps a reference to an object that
 *       it made; and when a message that it sent was already handled.
 *   N2  It writes under a grant, as a turn does that was refused too often: it waits for those that hold one on what it writes.
 *   N3  The last step of the scan, over the turns not yet durable, and the commit happen in one step of the kernel, under the
 *       grant, so nothing slips in between.
 *   N4  One scan at a time, of bounded memory; it ends when its message does.
 */
import {
  ABSENT,
  applyPatch,
  pack,
  PARENTS,
  refIn,
  SHAPE,
  TelosError,
  unpack,
  WRITE,
  type Attempt,
  type CommitBody,
  type Content,
  type NameWrite,
  type Oid,
  type Seq,
  type SlotWrite,
} from '../../protocol/index.js';
import { keys, type TurnRecord } from '../journal/index.js';
import { readable } from './answer-forms.js';
import { NO_PATCHES, oversized, writtenKeys } from './commit.js';
import type { KernelCore } from './core.js';
import type { Message } from './message.js';
import { LOBBY } from './objects.js';
import type { Queries } from './queries.js';

const MOST_NAMED = 20;
/** The scan stops when it has found so many: nobody undoes them one by one. */
export const MOST_DEPENDENTS = 10_000;
/** Characters of what a client gave that an error quotes. */
const SHOWN_LENGTH = 40;
/** Characters of the reason that is kept for each. */
const WHY_LENGTH = 200;

/** An undo under way. */
interface Job {
  readonly message: Message;
  readonly seq: Seq;
  readonly turn: TurnRecord;
  readonly oids: readonly Oid[];
  readonly dependents: Dependents;
  /** The first turn that the scan has not seen. */
  next: number;
}

export class Undo {
  /** Those that wait until the one before has ended. */
  readonly #line: { message: Message; seq: Seq }[] = [];
  #busy = false;
  #pumping = false;

  constructor(
    private readonly core: KernelCore,
    private readonly queries: Queries,
  ) {}

  undo(message: Message, seq: unknown): void {
    const { core } = this;
    if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1 || seq > core.groups.acceptedSeq) {
      core.fail(
        message,
        new TelosError('UNKNOWN_TURN', `there is no turn ${shown(seq)}; the last is ${core.groups.acceptedSeq}`),
        core.now,
      );
      return;
    }
    this.#line.push({ message, seq: seq as Seq });
    this.#pump();
  }

  /** One that ends in the step in which it began does not call itself for the next. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (!this.#busy) {
      const next = this.#line.shift();
      if (next === undefined) break;
      if (next.message.state !== 'done') this.#begin(next.message, next.seq);
    }
    this.#pumping = false;
  }

  #begin(message: Message, seq: Seq): void {
    this.#busy = true;
    this.queries.turn(seq, (turn, now) => {
      if (message.state === 'done') this.#ended();
      else if (turn === null) {
        this.core.fail(message, new TelosError('UNKNOWN_TURN', `turn ${seq} has been folded into snapshots`), now);
        this.#ended();
      } else this.#loadAll(message, seq, turn);
    });
  }

  #ended(job?: Job): void {
    if (job) this.core.state.unpin(job.oids, namesOf(job.turn));
    this.#busy = false;
    this.#pump();
  }

  /** The objects and names concerned must be in memory when the undo is applied: they are pinned until it has ended. */
  #loadAll(message: Message, seq: Seq, turn: TurnRecord): void {
    const { state } = this.core;
    const oids = [...new Set(turn[10].map(([oid]) => oid))];
    const names = namesOf(turn);
    state.pin(oids, names);
    this.core.reader.get(
      [...oids.map((oid) => keys.object(oid)), ...names.map((name) => keys.name(name))],
      (values) => {
        oids.forEach((oid, i) => state.adopt(oid, values[i]));
        names.forEach((name, i) => state.adoptName(name, values[oids.length + i]));
        this.#scan({ message, seq, turn, oids, dependents: new Dependents(turn, seq), next: seq + 1 });
      },
    );
  }

  /** From the first turn that it has not seen to the last that there is. */
  #scan(job: Job): void {
    const step = (later: number, other: TurnRecord): boolean => {
      if (job.message.state === 'done') return false;
      job.next = later + 1;
      return job.dependents.visit(later, other);
    };
    this.queries.turnsFrom(job.next, step, (now) => this.#decide(job, now));
  }

  #decide(job: Job, now: number): void {
    const { core } = this;
    const { message } = job;
    if (message.state === 'done') {
      this.#ended(job);
      return;
    }
    const refusal = this.#refusal(job);
    if (refusal) {
      core.fail(message, refusal, now);
      this.#ended(job);
      return;
    }
    const { body, outgoing } = this.#bodyOf(job);
    if (!core.grants.holds(message)) {
      core.grants.ask(message, writtenKeys(core.state, body), now, (given) =>
        given ? this.#scan(job) : this.#ended(job),
      );
      return;
    }
    const tooLarge = oversized(core.state, body, NO_PATCHES, core.config.message.maxObjectBytes);
    if (tooLarge) {
      core.fail(message, tooLarge, now);
      this.#ended(job);
      return;
    }
    for (const no of outgoing) core.delivery.withdraw(no);
    core.accept(message, core.nextAttempt(), pack(body), body, null, now);
    this.#ended(job);
  }

  /** N1 */
  #refusal(job: Job): TelosError | null {
    const { seq, dependents } = job;
    const named = dependents.list();
    if (named.length > 0) {
      const shown = named.slice(-MOST_NAMED).map(([later, why]) => `${later} (${why})`);
      const count = `${dependents.complete ? '' : 'at least '}${named.length}`;
      return new TelosError(
        'UNDO_REFUSED',
        `turn ${seq} can't be undone; ${count} later ${named.length > 1 ? 'turns depend' : 'turn depends'} on it: ${shown.join(', ')}`,
        { details: named.map(([later]) => later).slice(-MOST_NAMED) },
      );
    }
    const handled = this.#outgoingOf(job).filter((no) => !this.core.delivery.withdrawable(no));
    if (handled.length === 0) return null;
    return new TelosError(
      'UNDO_REFUSED',
      `turn ${seq} can't be undone; its outbox ${handled.length > 1 ? 'messages' : 'message'} ${handled.join(', ')} ${handled.length > 1 ? 'are' : 'is'} handled or under way already`,
      { details: handled },
    );
  }

  /** Numbers of the messages and timers that the turn sent. */
  #outgoingOf({ turn }: Job): number[] {
    const sent = unpack(turn[9]) as CommitBody;
    return Array.from({ length: sent[5].length + sent[6].length }, (_, i) => turn[12] + i);
  }

  #bodyOf(job: Job): { body: CommitBody; outgoing: number[] } {
    const { turn, seq } = job;
    const names = turn[11].map(([name, oid]): NameWrite => [name, oid]);
    const reply: CommitBody[7] = [true, pack({ undone: seq, seq: this.core.groups.nextSeq() }), null];
    return { body: [[], [], [], restore(turn), names, [], [], reply], outgoing: this.#outgoingOf(job) };
  }
}

const namesOf = (turn: TurnRecord): string[] => turn[11].map(([name]) => name);

function restore(turn: TurnRecord): [Oid, SlotWrite[]][] {
  const byObject = new Map<Oid, SlotWrite[]>();
  for (const [oid, slot, , version, content] of turn[10]) {
    const writes = byObject.get(oid) ?? [];
    writes.push(version === 0 ? [slot, WRITE.REMOVE, null] : [slot, WRITE.SET, content]);
    byObject.set(oid, writes);
  }
  return [...byObject];
}

/** What a client gave for a turn: a text is cut, anything else but a number only named. */
function shown(seq: unknown): string {
  if (typeof seq === 'number') return String(seq);
  if (typeof seq !== 'string') return `(${seq === null ? 'null' : typeof seq})`;
  return JSON.stringify(seq.length > SHOWN_LENGTH ? `${seq.slice(0, SHOWN_LENGTH)}…` : seq);
}

const slotKey = (oid: Oid, slot: string): string => `${oid}\0${slot}`;

/** Slots and names that the turn changed, as keys, and the listings (pseudo slots) that show it. */
function madeBy(turn: TurnRecord, body: CommitBody): Set<string> {
  const made = new Set<string>();
  const removed = new Set<string>();
  for (const [oid, writes] of body[3])
    for (const [slot, op] of writes) if (op === WRITE.REMOVE) removed.add(slotKey(oid, slot));
  for (const [oid, slot, , version] of turn[10]) {
    const key = slotKey(oid, slot);
    made.add(key);
    if (version === 0 || removed.has(key)) made.add(slotKey(oid, SHAPE));
    if (slot.endsWith('*')) made.add(slotKey(oid, PARENTS));
  }
  const given = new Map(body[4]);
  for (const [name, before] of turn[11]) {
    made.add(`=${name}`);
    if ((before === null) !== ((given.get(name) ?? null) === null)) made.add(slotKey(LOBBY, SHAPE));
  }
  return made;
}

/** `undo(17)`: how an undo is named in the journal; the number is the turn that it took back. */
export const undoSelector = (seq: number): string => `undo(${String(seq)})`;
const undoneBy = (turn: TurnRecord): number =>
  turn[5] === 'kernel' ? Number(/^undo\((\d+)\)$/.exec(turn[6])?.[1] ?? 0) : 0;

interface Found {
  readonly seq: number;
  readonly why: string;
  /** The turn that it took back; 0: it is no undo. */
  readonly undid: number;
}

/**
 * Finds the turns that depend on one turn. A dependent that was itself undone counts no more, nor does its undo; what reads the value
 * that this undo brought back reads what the turn had made.
 */
export class Dependents {
  readonly #made: Set<string>;
  readonly #created: Set<Oid>;
  /** Attempts under which slots made by the turn stand. */
  readonly #attempts: Set<number>;
  readonly #found = new Map<number, Found>();
  /** By the seq of an undo: the dependent that it took back. */
  readonly #cancelled = new Map<number, Found>();
  /** Whether what the turn did stands at this point of the journal: not between its undo and the undo of that. */
  #stands = true;
  complete = true;

  constructor(
    turn: TurnRecord,
    private readonly target: number,
  ) {
    const body = unpack(turn[9]) as CommitBody;
    this.#made = madeBy(turn, body);
    this.#created = new Set(body[2]);
    this.#attempts = new Set([turn[0]]);
  }

  /** The next turn in order. False: so many depend that the rest need not be seen. */
  visit(seq: number, other: TurnRecord): boolean {
    const body = unpack(other[9]) as CommitBody;
    const undid = body[7][0] ? undoneBy(other) : 0;
    if (undid === 0 || !this.#settle(seq, undid, other[0])) {
      const why = this.#why(other, body);
      if (why !== null) {
        this.#found.set(seq, { seq, undid, why: `${other[6]} ${why}`.slice(0, WHY_LENGTH) });
        if (undid === this.target) this.#stands = false;
      }
    }
    this.complete = this.#found.size + this.#cancelled.size < MOST_DEPENDENTS;
    return this.complete;
  }

  /** Is this the undo of a dependent, or the undo of that? Then it counts for or against that one and not for itself. */
  #settle(seq: number, undid: number, attempt: Attempt): boolean {
    const dependent = this.#found.get(undid);
    if (dependent !== undefined) {
      this.#found.delete(undid);
      this.#cancelled.set(seq, dependent);
      this.#attempts.add(attempt);
      if (dependent.undid === this.target) this.#stands = true;
      return true;
    }
    const revived = this.#cancelled.get(undid);
    if (revived === undefined) return false;
    this.#cancelled.delete(undid);
    this.#found.set(revived.seq, revived);
    if (revived.undid === this.target) this.#stands = false;
    return true;
  }

  list(): [seq: number, why: string][] {
    return [...this.#found.values()].sort((a, b) => a.seq - b.seq).map(({ seq, why }) => [seq, why]);
  }

  #why(other: TurnRecord, body: CommitBody): string | null {
    return this.#readOf(body) ?? this.#writeOf(other) ?? this.#referenceIn(other, body);
  }

  #readOf(body: CommitBody): string | null {
    for (const [oid, reads] of body[0]) {
      for (let i = 0; i < reads.length; i += 2) {
        const slot = reads[i] as string;
        if (this.#saw(slotKey(oid, slot), reads[i + 1] as Attempt, slot === SHAPE || slot === PARENTS))
          return slot === SHAPE ? `listed the slots of ${oid}` : `read ${oid}.${slot}`;
        if (this.#created.has(oid)) return `read ${oid}.${slot}`;
      }
    }
    for (const [name, attempt] of body[1]) if (this.#saw(`=${name}`, attempt, false)) return `read the name ${name}`;
    return null;
  }

  /**
   * What was read as absent has no attempt, and a listing has that of the last change: both show what the turn did as long as it stands.
   * The undo of a dependent brings back more than the turn had made; only that counts.
   */
  #saw(key: string, attempt: Attempt, listing: boolean): boolean {
    if (!this.#made.has(key)) return false;
    if (attempt !== ABSENT && this.#attempts.has(attempt)) return true;
    return (attempt === ABSENT || listing) && this.#stands;
  }

  #writeOf(other: TurnRecord): string | null {
    for (const [oid, slot] of other[10])
      if (this.#created.has(oid) || this.#made.has(slotKey(oid, slot))) return `wrote ${oid}.${slot}`;
    for (const [name] of other[11]) if (this.#made.has(`=${name}`)) return `wrote the name ${name}`;
    return null;
  }

  /** A reference to an object that the turn made: it would lead to nothing. A client may have carried it, so no read need show it. */
  #referenceIn(other: TurnRecord, body: CommitBody): string | null {
    if (this.#created.size === 0) return null;
    const after = contentsAfter(other);
    for (const [oid, writes] of body[3]) {
      for (const write of writes) {
        const made = this.#madeIn(after(oid, write));
        if (made !== null) return `stored a reference to ${made} in ${oid}.${write[0]}`;
      }
    }
    for (const [name, oid] of body[4])
      if (oid !== null && this.#created.has(oid)) return `gave the name ${name} to ${oid}`;
    const sent = [...body[5], ...body[6].map(([, ...message]) => message)];
    for (const [target, selector, args] of sent) {
      const made = this.#created.has(target) ? target : this.#madeIn(args);
      if (made !== null) return `sent ${selector} with a reference to ${made}`;
    }
    return null;
  }

  #madeIn(content: Content): Oid | null {
    if (!(content instanceof Uint8Array)) return null;
    if (!Buffer.from(content.buffer, content.byteOffset, content.byteLength).includes('$ref')) return null;
    const rest: unknown[] = [readable(content)];
    while (rest.length > 0) {
      const value = rest.pop();
      const oid = refIn(value) as Oid | undefined;
      if (oid !== undefined && this.#created.has(oid)) return oid;
      if (Array.isArray(value)) for (const item of value) rest.push(item);
      else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array))
        for (const item of Object.values(value)) rest.push(item);
    }
    return null;
  }
}

/** What stood in a slot after a write of this turn; a patch shows only what it changes. What stood before is gone through once, for the first patch. */
function contentsAfter(turn: TurnRecord): (oid: Oid, write: SlotWrite) => Content {
  let before: Map<string, Content> | undefined;
  return (oid, [slot, op, payload]) => {
    if (op !== WRITE.PATCH) return payload;
    before ??= new Map(turn[10].map(([written, name, , , content]) => [slotKey(written, name), content]));
    return applyPatch(before.get(slotKey(oid, slot)) ?? null, payload as Uint8Array);
  };
}
