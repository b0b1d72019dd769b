/**
 * Undo of a turn: a new turn that restores what stood in every slot and name before it.
 *
 * Refused, with the turns named, when a later turn wrote or read a slot version that it made, or when a message that it sent was already
 * handled. The scan runs page by page; its last step, over the turns not yet durable, and the commit happen in one step of the
 * kernel, so nothing slips in between.
 */
import { ABSENT, pack, TelosError, unpack, WRITE, type CommitBody, type NameWrite, type Oid, type Seq, type SlotWrite } from '../../protocol/index.js';
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
      core.fail(message, new TelosError('UNKNOWN_TURN', `there is no turn ${String(seq)}; the last is ${core.groups.acceptedSeq}`), core.now);
      return;
    }
    this.queries.turn(seq, (turn, now) => {
      if (turn === null) core.fail(message, new TelosError('UNKNOWN_TURN', `turn ${seq} has been folded into snapshots`), now);
      else this.#loadAll(turn, () => this.#scan(message, seq as Seq, turn));
    });
  }

  /** The objects concerned must be in memory when the undo is applied. */
  #loadAll(turn: TurnRecord, done: () => void): void {
    const oids = [...new Set(turn[10].map(([oid]) => oid))];
    const names = turn[11].map(([name]) => name);
    this.core.reader.get([...oids.map((oid) => keys.object(oid)), ...names.map((name) => keys.name(name))], (values) => {
      oids.forEach((oid, i) => this.core.state.adopt(oid, values[i]));
      names.forEach((name, i) => this.core.state.adoptName(name, values[oids.length + i]));
      done();
    });
  }

  #scan(message: Message, seq: Seq, turn: TurnRecord): void {
    const dependent = new Map<number, string>();
    const made = madeBy(turn);
    const step = (later: number, other: TurnRecord): boolean => {
      const why = dependence(made, turn[0], other);
      if (why !== null) dependent.set(later, `${later} (${other[6]} ${why})`);
      return dependent.size < MOST_NAMED;
    };
    this.queries.turnsFrom(seq + 1, step, (now) => {
      if (message.state === 'done') return;
      if (dependent.size > 0) {
        this.#release(turn);
        const error = new TelosError('UNDO_REFUSED', `turn ${seq} can't be undone; later turns depend on it: ${[...dependent.values()].join(', ')}`, {
          details: [...dependent.keys()],
        });
        this.core.fail(message, error, now);
        return;
      }
      this.#finish(message, seq, turn, now);
    });
  }

  #release(turn: TurnRecord): void {
    for (const [oid] of turn[10]) {
      const object = this.core.state.objects.get(oid);
      if (object) this.core.state.release(object);
    }
  }

  #finish(message: Message, seq: Seq, turn: TurnRecord, now: number): void {
    const sent = unpack(turn[9]) as CommitBody;
    const count = sent[5].length + sent[6].length;
    const outgoing = Array.from({ length: count }, (_, i) => turn[12] + i);
    const handled = outgoing.filter((no) => !this.core.delivery.withdrawable(no));
    if (handled.length > 0) {
      this.core.fail(
        message,
        new TelosError('UNDO_REFUSED', `turn ${seq} can't be undone; its outbox ${handled.length > 1 ? 'messages' : 'message'} ${handled.join(', ')} ${handled.length > 1 ? 'are' : 'is'} handled or under way already`, { details: handled }),
        now,
      );
      return;
    }
    for (const no of outgoing) this.core.delivery.withdraw(no);
    const body: CommitBody = [[], [], [], restore(turn), turn[11].map(([name, oid]): NameWrite => [name, oid]), [], [], [true, seq, null]];
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

/** Why `other` depends on what the turn made, or null. Attempt ids name the maker, so a read of one is a dependence. */
function dependence(made: Set<string>, attempt: number, other: TurnRecord): string | null {
  const body = unpack(other[9]) as CommitBody;
  for (const [oid, reads] of body[0]) {
    for (let i = 0; i < reads.length; i += 2) {
      const sawRemoval = reads[i + 1] === ABSENT && made.has(`${oid}\0${String(reads[i])}`);
      if (reads[i + 1] === attempt || sawRemoval) return `read ${oid}.${String(reads[i])}`;
    }
  }
  for (const [name, read] of body[1]) if (read === attempt) return `read the name ${name}`;
  for (const [oid, slot] of other[10]) if (made.has(`${oid}\0${slot}`)) return `wrote ${oid}.${slot}`;
  for (const [name] of other[11]) if (made.has(`=${name}`)) return `wrote the name ${name}`;
  return null;
}
