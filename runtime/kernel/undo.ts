/**
 * Undo of a turn: a new turn that restores what stood in every slot and name before it.
 *
 * Refused, with the turns named, when a later turn wrote or read a slot version that it made, or when a message that it sent was already
 * handled. The scan runs page by page; its last step, over the turns not yet durable, and the commit happen in one step of the
 * kernel, so nothing slips in between.
 */
import {
  ABSENT,
  pack,
  TelosError,
  unpack,
  WRITE,
  type CommitBody,
  type NameWrite,
  type Oid,
  type Seq,
  type SlotWrite,
} from '../../protocol/index.js';
import { keys, type TurnRecord } from '../journal/index.js';
import type { KernelCore } from './core.js';
import type { Message } from './message.js';
import type { Queries } from './queries.js';

const MOST_NAMED = 20;

export class Undo {
  constructor(
    private readonly core: KernelCore,
    private readonly queries: Queries,
  ) {}

  undo(message: Message, seq: unknown): void {
    const { core } = this;
    if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1 || seq > core.groups.acceptedSeq) {
      core.fail(
        message,
        new TelosError('UNKNOWN_TURN', `there is no turn ${String(seq)}; the last is ${core.groups.acceptedSeq}`),
        core.now,
      );
      return;
    }
    this.queries.turn(seq, (turn, now) => {
      if (turn === null)
        core.fail(message, new TelosError('UNKNOWN_TURN', `turn ${seq} has been folded into snapshots`), now);
      else this.#loadAll(turn, (oids) => this.#scan(message, seq as Seq, turn, oids));
    });
  }

  /** The objects concerned must be in memory when the undo is applied: they are pinned until `#scan` has decided. */
  #loadAll(turn: TurnRecord, done: (oids: Oid[]) => void): void {
    const oids = [...new Set(turn[10].map(([oid]) => oid))];
    this.core.state.pin(oids);
    const names = turn[11].map(([name]) => name);
    this.core.reader.get(
      [...oids.map((oid) => keys.object(oid)), ...names.map((name) => keys.name(name))],
      (values) => {
        oids.forEach((oid, i) => this.core.state.adopt(oid, values[i]));
        names.forEach((name, i) => this.core.state.adoptName(name, values[oids.length + i]));
        done(oids);
      },
    );
  }

  #scan(message: Message, seq: Seq, turn: TurnRecord, oids: Oid[]): void {
    const dependents = new Dependents(turn);
    const step = (later: number, other: TurnRecord): boolean => {
      dependents.visit(later, other);
      return true;
    };
    this.queries.turnsFrom(seq + 1, step, (now) => {
      if (message.state !== 'done') this.#decide(message, seq, turn, dependents, now);
      this.core.state.unpin(oids);
    });
  }

  #decide(message: Message, seq: Seq, turn: TurnRecord, dependents: Dependents, now: number): void {
    const named = dependents.list();
    if (named.length > 0) {
      const shown = named.slice(-MOST_NAMED).map(([later, why]) => `${later} (${why})`);
      const error = new TelosError(
        'UNDO_REFUSED',
        `turn ${seq} can't be undone; ${named.length} later ${named.length > 1 ? 'turns depend' : 'turn depends'} on it: ${shown.join(', ')}`,
        {
          details: named.map(([later]) => later).slice(-MOST_NAMED),
        },
      );
      this.core.fail(message, error, now);
      return;
    }
    this.#finish(message, seq, turn, now);
  }

  #finish(message: Message, seq: Seq, turn: TurnRecord, now: number): void {
    const sent = unpack(turn[9]) as CommitBody;
    const count = sent[5].length + sent[6].length;
    const outgoing = Array.from({ length: count }, (_, i) => turn[12] + i);
    const handled = outgoing.filter((no) => !this.core.delivery.withdrawable(no));
    if (handled.length > 0) {
      this.core.fail(
        message,
        new TelosError(
          'UNDO_REFUSED',
          `turn ${seq} can't be undone; its outbox ${handled.length > 1 ? 'messages' : 'message'} ${handled.join(', ')} ${handled.length > 1 ? 'are' : 'is'} handled or under way already`,
          { details: handled },
        ),
        now,
      );
      return;
    }
    for (const no of outgoing) this.core.delivery.withdraw(no);
    const body: CommitBody = [
      [],
      [],
      [],
      restore(turn),
      turn[11].map(([name, oid]): NameWrite => [name, oid]),
      [],
      [],
      [true, pack({ undone: seq, seq: this.core.groups.nextSeq() }), null],
    ];
    this.core.accept(message, this.core.nextAttempt(), pack(body), body, null, now);
  }
}

function restore(turn: TurnRecord): [Oid, SlotWrite[]][] {
  const byObject = new Map<Oid, SlotWrite[]>();
  for (const [oid, slot, , version, content] of turn[10]) {
    const writes = byObject.get(oid) ?? [];
    writes.push(version === 0 ? [slot, WRITE.REMOVE, null] : [slot, WRITE.SET, content]);
    byObject.set(oid, writes);
  }
  return [...byObject];
}

const madeBy = (turn: TurnRecord): Set<string> =>
  new Set([...turn[10].map(([oid, slot]) => `${oid}\0${slot}`), ...turn[11].map(([name]) => `=${name}`)]);

/** `undo(17)`: how an undo is named in the journal; the number is the turn that it took back. */
export const undoSelector = (seq: unknown): string => `undo(${String(seq)})`;
const undoneBy = (turn: TurnRecord): number =>
  turn[5] === 'kernel' ? Number(/^undo\((\d+)\)$/.exec(turn[6])?.[1] ?? 0) : 0;

/**
 * Finds the turns that depend on one turn. A dependent that was itself undone counts no more, nor does its undo; what reads the value
 * that this undo brought back reads what the turn had made.
 */
class Dependents {
  readonly #made: Set<string>;
  /** Attempts under which slots made by the turn stand. */
  readonly #attempts: Set<number>;
  readonly #found = new Map<number, string>();
  /** By the seq of an undo: the dependent that it took back. */
  readonly #cancelled = new Map<number, [seq: number, why: string]>();

  constructor(turn: TurnRecord) {
    this.#made = madeBy(turn);
    this.#attempts = new Set([turn[0]]);
  }

  visit(seq: number, other: TurnRecord): void {
    const undone = undoneBy(other);
    const dependent = this.#found.get(undone);
    if (dependent !== undefined && !isFailed(other)) {
      this.#found.delete(undone);
      this.#cancelled.set(seq, [undone, dependent]);
      this.#attempts.add(other[0]);
      return;
    }
    const revived = this.#cancelled.get(undone);
    if (revived !== undefined && !isFailed(other)) {
      this.#cancelled.delete(undone);
      this.#found.set(...revived);
      return;
    }
    const why = this.#why(other);
    if (why !== null) this.#found.set(seq, `${other[6]} ${why}`);
  }

  list(): [seq: number, why: string][] {
    return [...this.#found].sort(([a], [b]) => a - b);
  }

  #why(other: TurnRecord): string | null {
    const body = unpack(other[9]) as CommitBody;
    for (const [oid, reads] of body[0]) {
      for (let i = 0; i < reads.length; i += 2) {
        const attempt = reads[i + 1] as number;
        const sawRemoval = attempt === ABSENT && this.#made.has(`${oid}\0${String(reads[i])}`);
        if (sawRemoval || this.#attempts.has(attempt)) return `read ${oid}.${String(reads[i])}`;
      }
    }
    for (const [name, attempt] of body[1]) if (this.#attempts.has(attempt)) return `read the name ${name}`;
    for (const [oid, slot] of other[10]) if (this.#made.has(`${oid}\0${slot}`)) return `wrote ${oid}.${slot}`;
    for (const [name] of other[11]) if (this.#made.has(`=${name}`)) return `wrote the name ${name}`;
    return null;
  }
}

const isFailed = (turn: TurnRecord): boolean => !(unpack(turn[9]) as CommitBody)[7][0];
