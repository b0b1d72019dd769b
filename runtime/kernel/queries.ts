/**
 * Questions to the kernel itself: what an object is and was, what the journal holds, what is dead. They read the journal in pages and add what is
 * accepted and not yet there. Answers are values (msgpack), described in protocol/README.md.
 */
import { TelosError, unpack, type CommitBody, type Content, type Oid, type WireError } from '../../protocol/index.js';
import {
  decodeRecord,
  fieldsOf,
  historyOf,
  keys,
  prefixRange,
  rangeOf,
  textOf,
  type DeadLetterRecord,
  type GroupRecord,
  type NameRecord,
  type TurnRecord,
} from '../journal/index.js';
import type { KernelCore } from './core.js';
import { LOBBY, type KObject } from './objects.js';

export type Done = (error: TelosError | null, value: unknown, now: number) => void;

const PAGE = 512;
const MAX_LIMIT = 10_000;

const bounded = (value: unknown, fallback: number): number =>
  typeof value === 'number' && value > 0 ? Math.min(MAX_LIMIT, Math.floor(value)) : fallback;

export class Queries {
  constructor(private readonly core: KernelCore) {}

  // ---- finding ---------------------------------------------------------------------------------------------------------------

  /** The object that a name or oid stands for, loaded. */
  find(target: unknown, done: (error: TelosError | null, object: KObject | null, now: number) => void): void {
    const { core } = this;
    if (typeof target !== 'string' || target === '') {
      done(new TelosError('BAD_ARGUMENT', `${String(target)} is neither a name nor an oid`), null, core.now);
      return;
    }
    const { maxTargetLength } = core.config.message;
    if (target.length > maxTargetLength) {
      const shown = `${JSON.stringify(target.slice(0, 40))}… has ${target.length} characters`;
      done(new TelosError('TOO_LARGE', `${shown}; message.max_target_length is ${maxTargetLength}`), null, core.now);
      return;
    }
    if (target.startsWith('#')) {
      this.load(target as Oid, done);
      return;
    }
    this.resolve(target, (oid, now) => {
      if (oid === null) done(new TelosError('UNKNOWN_NAME', `no object is named ${JSON.stringify(target)}`), null, now);
      else this.load(oid, done);
    });
  }

  resolve(name: string, done: (oid: Oid | null, now: number) => void): void {
    const known = this.core.state.names.get(name);
    if (known) {
      done(known.oid, this.core.now);
      return;
    }
    this.core.reader.get([keys.name(name)], ([value], now) => done(this.core.state.adoptName(name, value).oid, now));
  }

  load(oid: Oid, done: (error: TelosError | null, object: KObject | null, now: number) => void): void {
    const finish = (object: KObject, now: number): void => {
      if (object.exists) done(null, object, now);
      else done(new TelosError('UNKNOWN_OBJECT', `there is no object ${oid}`), null, now);
      this.core.state.unpin([oid]);
    };
    const known = this.core.state.objects.get(oid);
    this.core.state.pin([oid]);
    if (known) finish(known, this.core.now);
    else this.core.reader.get([keys.object(oid)], ([value], now) => finish(this.core.state.adopt(oid, value), now));
  }

  /** All rows of a range, page by page, `step` false to stop. */
  scan(
    range: { gte?: Buffer; gt?: Buffer; lt: Buffer },
    step: (key: Buffer, value: Uint8Array) => boolean,
    done: (now: number) => void,
  ): void {
    this.core.reader.page(range, PAGE, (rows, now) => {
      for (const [key, value] of rows) {
        if (!step(key, value)) {
          done(now);
          return;
        }
      }
      const last = rows[rows.length - 1];
      if (last === undefined || rows.length < PAGE) done(now);
      else this.scan({ gt: last[0], lt: range.lt }, step, done);
    });
  }

  // ---- names and objects --------------------------------------------------------------------------------------------------------

  names(done: Done): void {
    const found = new Map<string, Oid>();
    const take = (key: Buffer, value: Uint8Array): boolean => {
      const name = textOf(key);
      found.set(name, decodeRecord<NameRecord>(value, `name ${name}`)[0]);
      return true;
    };
    const release = this.core.state.names.hold();
    this.scan(rangeOf('n'), take, (now) => {
      release();
      for (const [name, entry] of this.core.state.names) {
        if (entry.oid === null) found.delete(name);
        else found.set(name, entry.oid);
      }
      done(
        null,
        [...found].sort(([a], [b]) => (a < b ? -1 : 1)),
        now,
      );
    });
  }

  inspect(target: unknown, done: Done): void {
    this.find(target, (error, object) => {
      if (error || !object) {
        done(error, null, this.core.now);
        return;
      }
      const sorted = [...object.slots].sort(([a], [b]) => (a < b ? -1 : 1));
      const slots = sorted.map(([slot, { version, content, attempt }]) => ({
        slot,
        version,
        attempt,
        content: readable(content),
      }));
      const { oid, shape } = object;
      this.names((_error, names, now) => {
        const own = (names as [string, string][]).filter(([, named]) => named === oid).map(([name]) => name);
        done(null, { oid, names: own, shape, slots, parents: slots.filter(({ slot }) => slot.endsWith('*')) }, now);
      });
    });
  }

  /** Turns that wrote the object, latest first. */
  history(target: unknown, limit: unknown, done: Done): void {
    this.find(target, (error, object) => {
      if (error || !object) {
        done(error, null, this.core.now);
        return;
      }
      const { oid } = object;
      const seqs = new Set<number>(object.touched);
      const take = (key: Buffer, value: Uint8Array): boolean => {
        if (historyOf(key)[0] === oid)
          for (const seq of decodeRecord<number[]>(value, `history of ${oid}`)) seqs.add(seq);
        return true;
      };
      this.scan(prefixRange(keys.history(oid, 0).subarray(0, -8)), take, () => {
        const wanted = [...seqs].sort((a, b) => b - a).slice(0, bounded(limit, 100));
        this.#describeAll(wanted, oid, [], done);
      });
    });
  }

  #describeAll(seqs: number[], oid: Oid, found: unknown[], done: Done): void {
    const seq = seqs[found.length];
    if (seq === undefined) {
      done(null, found, this.core.now);
      return;
    }
    this.turn(seq, (turn) => {
      found.push(turn === null ? { seq, folded: true } : describeTurn(seq, turn, oid));
      this.#describeAll(seqs, oid, found, done);
    });
  }

  // ---- the journal ----------------------------------------------------------------------------------------------------------------

  /** The turn with this seq, in the journal or not yet in it. */
  turn(seq: number, done: (turn: TurnRecord | null, now: number) => void): void {
    for (const [first, turns] of this.core.groups.undurable()) {
      const turn = turns[seq - first];
      if (turn && seq >= first) {
        done(turn, this.core.now);
        return;
      }
    }
    this.core.reader.page({ gte: rangeOf('j').gte, lte: keys.record(seq), reverse: true }, 1, ([row], now) => {
      const record = row ? decodeRecord<GroupRecord>(row[1], `journal record of turn ${seq}`) : null;
      done(record?.[3][seq - record[1]] ?? null, now);
    });
  }

  /** Visits all turns from `seq` on, those not yet durable included; `step` false stops. `done` runs in the same step as the last visit. */
  turnsFrom(seq: number, step: (seq: number, turn: TurnRecord) => boolean, done: (now: number) => void): void {
    if (seq > this.core.groups.durableSeq) {
      this.#undurableFrom(seq, step);
      done(this.core.now);
      return;
    }
    this.core.reader.page({ gte: rangeOf('j').gte, lte: keys.record(seq), reverse: true }, 1, ([row]) =>
      this.#recordsFrom(row?.[0] ?? keys.record(seq), seq, step, done),
    );
  }

  #recordsFrom(
    from: Buffer,
    seq: number,
    step: (seq: number, turn: TurnRecord) => boolean,
    done: (now: number) => void,
  ): void {
    this.core.reader.page({ gte: from, lt: rangeOf('j').lt }, 16, (rows, now) => {
      let next = seq;
      for (const [key, value] of rows) {
        const [, first, , turns] = decodeRecord<GroupRecord>(value, `journal record ${fieldsOf(key)[0] ?? 0}`);
        for (let i = Math.max(0, next - first); i < turns.length; i++) {
          if (!step(first + i, turns[i] as TurnRecord)) {
            done(now);
            return;
          }
        }
        next = Math.max(next, first + turns.length);
      }
      if (rows.length === 0 || next > this.core.groups.durableSeq) {
        this.#undurableFrom(next, step);
        done(now);
      } else this.#recordsFrom(keys.record(next), next, step, done);
    });
  }

  #undurableFrom(seq: number, step: (seq: number, turn: TurnRecord) => boolean): void {
    for (const [first, turns] of this.core.groups.undurable()) {
      for (let i = Math.max(0, seq - first); i < turns.length; i++)
        if (!step(first + i, turns[i] as TurnRecord)) return;
    }
  }

  journal(from: unknown, limit: unknown, done: Done): void {
    const most = bounded(limit, 100);
    const end = this.core.groups.durableSeq;
    const start = typeof from === 'number' && from > 0 ? from : Math.max(1, end - most + 1);
    const found: unknown[] = [];
    const step = (seq: number, turn: TurnRecord): boolean => {
      if (seq > end || found.length >= most) return false;
      found.push(describeTurn(seq, turn));
      return true;
    };
    if (start > end) done(null, found, this.core.now);
    else this.turnsFrom(start, step, (now) => done(null, found, now));
  }

  // ---- dead letters -----------------------------------------------------------------------------------------------------------------

  deadLetters(done: Done): void {
    const found: unknown[] = [];
    const take = (key: Buffer, value: Uint8Array): boolean => {
      const [message, error, history] = decodeRecord<DeadLetterRecord>(value, 'a dead letter');
      const [target, selector, , cause, sender, , time] = message;
      found.push({
        id: fieldsOf(key)[0] ?? 0,
        target,
        selector,
        cause,
        sender,
        time,
        error: errorForm(error),
        history,
      });
      return found.length < MAX_LIMIT;
    };
    this.scan(rangeOf('l'), take, (now) => done(null, found, now));
  }

  deadLetter(
    id: unknown,
    done: (error: TelosError | null, letter: DeadLetterRecord | null, now: number) => void,
  ): void {
    const missing = (): TelosError => new TelosError('UNKNOWN_DEAD_LETTER', `there is no dead letter ${String(id)}`);
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) {
      done(missing(), null, this.core.now);
      return;
    }
    this.core.reader.get([keys.deadLetter(id)], ([value], now) => {
      if (value === undefined) done(missing(), null, now);
      else done(null, decodeRecord<DeadLetterRecord>(value, `dead letter ${id}`), now);
    });
  }
}

/** Contents travel inside answers as their wire form. */
const readable = (content: Content): unknown => (content instanceof Uint8Array ? unpack(content) : content);

const errorForm = ([code, name, message, remedy]: WireError): object => ({ code, name, message, remedy });

function describeTurn(seq: number, turn: TurnRecord, only?: Oid): object {
  const [, session, no, origin, sender, target, selector, time, trace, bytes, , namesBefore] = turn;
  const body = unpack(bytes) as CommitBody;
  const writes = body[3]
    .filter(([oid]) => only === undefined || oid === only || only === LOBBY)
    .map(([oid, slots]) => ({ oid, slots: slots.map(([slot]) => slot) }));
  const error = body[7][0] ? null : errorForm(body[7][2]);
  return {
    seq,
    time,
    session,
    no,
    origin,
    sender,
    target,
    selector,
    trace,
    writes,
    creates: body[2],
    names: namesBefore.map(([name]) => name),
    outbox: body[5].length,
    timers: body[6].length,
    error,
  };
}
