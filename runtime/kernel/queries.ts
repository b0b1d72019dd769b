/**
 * Questions to the kernel itself: what an object is and was, what the journal holds, what is dead. They read the journal in pages and add what is
 * accepted and not yet there. Answers are values (msgpack), described in protocol/README.md.
 */
import { TelosError, type Oid } from '../../protocol/index.js';
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
import { describeTurn, errorForm, readable } from './answer-forms.js';
import { AnswerPage, roomFor } from './answer-page.js';
import type { KernelCore } from './core.js';

import type { KObject } from './objects.js';

export type Done = (error: TelosError | null, value: unknown, now: number) => void;

const PAGE = 512;
/** Entries of an object's history that are read at a time: each may name thousands of turns. */
const HISTORY_PAGE = 16;
/** What a name takes in an answer beside itself and its oid. */
const NAME_BYTES = 12;
const MAX_LIMIT = 10_000;

const bounded = (value: unknown, fallback: number): number =>
  typeof value === 'number' && value > 0 ? Math.min(MAX_LIMIT, Math.floor(value)) : fallback;

interface SlotForm {
  readonly slot: string;
  readonly version: number;
  readonly attempt: number;
  readonly content: unknown;
}

/** As the journal has them: by their bytes. */
const inOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

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

  /** The same from the end of the range back to its beginning. */
  #scanBack(
    range: { gte: Buffer; lt: Buffer },
    limit: number,
    step: (value: Uint8Array) => boolean,
    done: (now: number) => void,
  ): void {
    this.core.reader.page({ ...range, reverse: true }, limit, (rows, now) => {
      for (const [, value] of rows) {
        if (!step(value)) {
          done(now);
          return;
        }
      }
      const last = rows[rows.length - 1];
      if (last === undefined || rows.length < limit) done(now);
      else this.#scanBack({ gte: range.gte, lt: last[0] }, limit, step, done);
    });
  }

  // ---- names and objects --------------------------------------------------------------------------------------------------------

  /** The names after this one, in the order of their bytes; as many as fit. None: there are no more. */
  names(after: unknown, room: number, done: Done): void {
    if (after !== undefined && after !== null && typeof after !== 'string') {
      done(new TelosError('BAD_ARGUMENT', `${typeof after} is no name to go on after`), null, this.core.now);
      return;
    }
    this.#namesAfter(after ?? '', room, done);
  }

  #namesAfter(after: string, room: number, done: Done): void {
    const found = new Map<string, Oid>();
    /** The last name that was read, when there may be more. */
    let end: string | null = null;
    let left = room;
    const take = (key: Buffer, value: Uint8Array): boolean => {
      const name = textOf(key);
      const [oid] = decodeRecord<NameRecord>(value, `name ${name}`);
      found.set(name, oid);
      left -= key.length + oid.length + NAME_BYTES;
      if (left > 0) return true;
      end = name;
      return false;
    };
    const release = this.core.state.names.hold();
    this.scan({ gt: keys.name(after), lt: rangeOf('n').lt }, take, (now) => {
      release();
      for (const [name, entry] of this.core.state.names) {
        if (inOrder(name, after) <= 0 || (end !== null && inOrder(name, end) > 0)) continue;
        if (entry.oid === null) found.delete(name);
        else found.set(name, entry.oid);
      }
      if (found.size === 0 && end !== null) this.#namesAfter(end, room, done);
      else
        done(
          null,
          [...found].sort(([a], [b]) => inOrder(a, b)),
          now,
        );
    });
  }

  /** The slots after this one; as many as fit. */
  inspect(target: unknown, after: unknown, done: Done): void {
    this.find(target, (error, object) => {
      if (error || !object) {
        done(error, null, this.core.now);
        return;
      }
      const from = typeof after === 'string' ? after : '';
      const sorted = [...object.slots].filter(([slot]) => slot > from).sort(([a], [b]) => (a < b ? -1 : 1));
      const page = new AnswerPage<SlotForm>(sorted.length, roomFor(this.core.config));
      for (const [slot, { version, content, attempt }] of sorted)
        if (!page.add({ slot, version, attempt, content: readable(content) })) break;
      const { oid, shape } = object;
      const { entries: slots } = page;
      this.names(null, Infinity, (_error, names, now) => {
        const own = (names as [string, string][]).filter(([, named]) => named === oid).map(([name]) => name);
        const parents = slots.filter(({ slot }) => slot.endsWith('*'));
        done(null, { oid, names: own, shape, slots, parents, more: slots.length < sorted.length }, now);
      });
    });
  }

  // ---- history ------------------------------------------------------------------------------------------------------------------

  /** Turns that wrote the object, latest first, from before the turn `before` on; as many as fit into `room` bytes. */
  history(target: unknown, limit: unknown, before: unknown, room: number, done: Done): void {
    this.find(target, (error, object) => {
      if (error || !object) {
        done(error, null, this.core.now);
        return;
      }
      const below = typeof before === 'number' && before > 0 ? before : Number.MAX_SAFE_INTEGER;
      const page = new AnswerPage<object>(bounded(limit, 100), room);
      this.#seqsBefore(object, below, bounded(limit, 100), (seqs) => this.#describeAll(seqs, object.oid, page, done));
    });
  }

  /** The latest turns before `below` that wrote the object, in falling order. */
  #seqsBefore({ oid, touched }: KObject, below: number, most: number, done: (seqs: number[]) => void): void {
    const seqs = new Set(touched.filter((seq) => seq < below));
    const take = (value: Uint8Array): boolean => {
      for (const seq of decodeRecord<number[]>(value, `history of ${oid}`)) if (seq < below) seqs.add(seq);
      return seqs.size < most;
    };
    const finish = (): void => done([...seqs].sort((a, b) => b - a).slice(0, most));
    const all = { gte: keys.history(oid, 0), lt: prefixRange(keys.history(oid, 0).subarray(0, -8)).lt };
    const back = (): void =>
      this.#scanBack({ gte: all.gte, lt: keys.history(oid, below) }, HISTORY_PAGE, take, () => finish());
    // An entry stands under its last turn: the first one from `below` on may hold turns before it.
    this.core.reader.page({ gte: keys.history(oid, below), lt: all.lt }, 1, ([row]) => {
      if (row && historyOf(row[0])[0] === oid) take(row[1]);
      if (seqs.size < most) back();
      else finish();
    });
  }

  /** A loop and no recursion: what is not durable yet is answered at once, thousands of turns in a row. */
  #describeAll(seqs: readonly number[], oid: Oid, page: AnswerPage<object>, done: Done): void {
    let group: GroupRecord | null = null;
    let at = 0;
    const next = (): void => {
      for (let again = true; again;) {
        const seq = seqs[at];
        if (seq === undefined || page.full) {
          done(null, page.entries, this.core.now);
          return;
        }
        again = false;
        let inThisStep = true;
        this.#turnNear(group, seq, (turn, from) => {
          group = from;
          at++;
          const fitted = page.add(turn === null ? { seq, folded: true } : describeTurn(seq, turn, oid));
          if (!fitted) at = seqs.length;
          if (inThisStep) again = true;
          else next();
        });
        inThisStep = false;
      }
    };
    next();
  }

  // ---- the journal ----------------------------------------------------------------------------------------------------------------

  /** The turn with this seq, in the journal or not yet in it. */
  turn(seq: number, done: (turn: TurnRecord | null, now: number) => void): void {
    this.#turnNear(null, seq, (turn) => done(turn, this.core.now));
  }

  /** The same for one turn after another: `group` is the record of the one before, which may hold this one too. */
  #turnNear(
    group: GroupRecord | null,
    seq: number,
    done: (turn: TurnRecord | null, group: GroupRecord | null) => void,
  ): void {
    for (const [first, turns] of this.core.groups.undurable()) {
      const turn = turns[seq - first];
      if (turn && seq >= first) {
        done(turn, group);
        return;
      }
    }
    const inGroup = group?.[3][seq - group[1]];
    if (inGroup) {
      done(inGroup, group);
      return;
    }
    this.core.reader.page({ gte: rangeOf('j').gte, lte: keys.record(seq), reverse: true }, 1, ([row]) => {
      const record = row ? decodeRecord<GroupRecord>(row[1], `journal record of turn ${seq}`) : null;
      done(record?.[3][seq - record[1]] ?? null, record);
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
    const page = new AnswerPage<object>(most, roomFor(this.core.config));
    const step = (seq: number, turn: TurnRecord): boolean =>
      seq <= end && !page.full && page.add(describeTurn(seq, turn));
    if (start > end) done(null, page.entries, this.core.now);
    else this.turnsFrom(start, step, (now) => done(null, page.entries, now));
  }

  // ---- dead letters -----------------------------------------------------------------------------------------------------------------

  /** Those after this one; as many as fit. */
  deadLetters(after: unknown, done: Done): void {
    const page = new AnswerPage<object>(MAX_LIMIT, roomFor(this.core.config));
    const take = (key: Buffer, value: Uint8Array): boolean => {
      const [message, error, history] = decodeRecord<DeadLetterRecord>(value, 'a dead letter');
      const [target, selector, , cause, sender, , time] = message;
      return page.add({
        id: fieldsOf(key)[0] ?? 0,
        target,
        selector,
        cause,
        sender,
        time,
        error: errorForm(error),
        history,
      });
    };
    const from = typeof after === 'number' && Number.isSafeInteger(after) && after >= 0 ? after : -1;
    const range = from < 0 ? rangeOf('l') : { gt: keys.deadLetter(from), lt: rangeOf('l').lt };
    this.scan(range, take, (now) => done(null, page.entries, now));
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
