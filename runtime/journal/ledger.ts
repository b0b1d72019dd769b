/**
 * The part of an audit that one reading in key order can do: the chain and its end, and what stands beside the objects: names, outbox,
 * timers, dead letters, saved replies. Rows come as `d j k l m n o q s t x`, so the records are known when most derived keys come.
 */
import {
  TelosError,
  type Attempt,
  type CommitBody,
  type Oid,
  type Reply,
  type SessionId,
} from '../../protocol/index.js';
import type { JournalMeta } from './end.js';
import type { HeadState } from './head.js';
import { fieldsOf, keys, textOf } from './keys.js';
import type { Key } from './port.js';
import {
  decodeRecord,
  encodeRecord,
  type DeadLetterRecord,
  type GroupRecord,
  type NameRecord,
  type OutboxRecord,
  type ReplyRecord,
  type TurnRecord,
} from './records.js';
import { bodyOf } from './replay.js';
import { describeKey, EMPTY_CHAIN, nextChain, openRecord, openValue } from './seal.js';
import type { Report } from './verify.js';

/** Receiver and selector of the turns that are questions to the kernel. */
const KERNEL = 'kernel';
const UNDO = /^undo\((\d+)\)$/;

interface Outgoing {
  readonly seq: number;
  readonly target: string;
  readonly selector: string;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const replyId = (session: number, no: number): string => `${session}/${no}`;

export class Ledger {
  turns = 0;
  objects = 0;
  rows = 0;
  /** Seq from which the snapshots may lack turns. */
  mark = 1;
  #chain: Buffer = EMPTY_CHAIN;
  #broken = false;
  #meta: JournalMeta | undefined;
  #head: HeadState | undefined;
  #firstSeq = 0;
  readonly #sessions = new Set<number>();
  /** Strikes and recorded answers of messages from outbox and timers, and the numbers of those that wait there. */
  readonly #keptForOwn: [place: string, no: number][] = [];
  readonly #waiting = new Set<number>();
  /** Saved replies by turn, until the turn comes by. */
  readonly #replies = new Map<number, { id: string; record: ReplyRecord }>();
  readonly #names = new Map<string, [Oid, Attempt]>();
  /** Outbox messages and timers that were sent and not handled, by the hex of their key. */
  readonly #pending = new Map<string, Outgoing>();
  /** Turns that ended in an error, and those of them that must have left a dead letter. */
  readonly #failed = new Set<string>();
  readonly #buried = new Set<string>();
  #lettersSettled = 0;
  #nextOutgoing = 0;
  #counter = 0;

  constructor(private readonly report: Report) {}

  expectEnd(meta: JournalMeta | undefined, head: HeadState | undefined): void {
    this.#meta = meta;
    this.#head = head;
  }

  row(key: Key, stored: Buffer): void {
    this.rows++;
    try {
      this.#row(String.fromCharCode(key[0] as number), key, stored);
    } catch (error) {
      if (!(error instanceof TelosError) || !['DAMAGED', 'MALFORMED'].includes(error.code)) throw error;
      this.report(describeKey(key), error.message);
    }
  }

  #row(letter: string, key: Key, stored: Buffer): void {
    switch (letter) {
      case 'j':
        return this.#record(key, stored);
      case 'd':
        return this.#reply(key, openValue(key, stored));
      case 'n':
        return this.#name(key, openValue(key, stored));
      case 'q':
      case 't':
        return this.#outgoing(key, openValue(key, stored));
      case 'l':
        return this.#letter(key, openValue(key, stored));
      case 'm':
        return this.#metaField(textOf(key), openValue(key, stored));
      case 'o':
        this.objects++;
        return;
      case 's': {
        decodeRecord(openValue(key, stored), describeKey(key));
        const [session = 0, no = 0] = fieldsOf(key);
        return this.#kept(key, session, no);
      }
      case 'k':
        decodeRecord(openValue(key, stored), describeKey(key));
        return;
      case 'x':
        return;
      default:
        this.report(describeKey(key), 'no key of a journal begins like this');
    }
  }

  // ---- records -------------------------------------------------------------------------------------------------------------------

  #record(key: Key, stored: Buffer): void {
    const [record, chain] = openRecord(key, stored);
    const [first = 0] = fieldsOf(key);
    if (this.#firstSeq === 0) this.#firstSeq = first;
    if (first !== this.turns + 1) {
      this.report(`turn ${this.turns + 1}`, `the turns ${this.turns + 1} to ${first - 1} are missing`);
      this.#broken = true;
    }
    const expected = nextChain(this.#chain, record);
    if (!this.#broken && !expected.equals(chain))
      this.report(describeKey(key), 'its chain hash does not follow from the records before it');
    this.#broken = false;
    this.#chain = chain;
    const [, firstSeq, , turns] = decodeRecord<GroupRecord>(record, describeKey(key));
    if (firstSeq !== first) this.report(describeKey(key), `it says that it begins with turn ${firstSeq}`);
    turns.forEach((turn, i) => this.#turn(first + i, turn));
    this.turns = first + turns.length - 1;
    if (this.turns === this.#head?.seq && !chain.equals(this.#head.chain))
      this.report(`turn ${this.turns}`, 'its chain hash is not the one in head');
  }

  #turn(seq: number, turn: TurnRecord): void {
    const body = bodyOf(turn);
    const [attempt, session, no] = turn;
    this.#checkReply(seq, session, no, body[7]);
    for (const [name, oid] of body[4]) {
      if (oid === null) this.#names.delete(name);
      else this.#names.set(name, [oid, attempt]);
    }
    this.#effects(seq, turn, body);
  }

  #checkReply(seq: number, session: SessionId, no: number, [ok, content, error]: Reply): void {
    const saved = this.#replies.get(seq);
    this.#replies.delete(seq);
    if (saved === undefined) return;
    const [, savedOk, savedBody, savedError] = saved.record;
    const same = encodeRecord([savedOk, savedBody, savedError]).equals(encodeRecord([ok, content, error]));
    if (saved.id !== replyId(session, no))
      this.report(`reply ${saved.id}`, `turn ${seq} answers ${replyId(session, no)}`);
    else if (!same) this.report(`reply ${saved.id}`, `it is not what turn ${seq} answered`);
  }

  #effects(seq: number, turn: TurnRecord, body: CommitBody): void {
    const [, session, no, , , target, selector, time] = turn;
    const [firstOutgoing, consumed] = [turn[12], turn[13]];
    body[5].forEach(([to, what], i) => this.#sent(keys.outbox(firstOutgoing + i), { seq, target: to, selector: what }));
    body[6].forEach(([delay, to, what], i) => {
      const key = keys.timer(Math.ceil(time + Math.max(0, delay)), firstOutgoing + body[5].length + i);
      this.#sent(key, { seq, target: to, selector: what });
    });
    const count = body[5].length + body[6].length;
    if (count > 0) this.#nextOutgoing = Math.max(this.#nextOutgoing, firstOutgoing + count);
    if (consumed !== null && !this.#pending.delete(hex(consumed)))
      this.report(`turn ${seq}`, `it handled ${describeKey(consumed)}, which was not pending`);
    if (!body[7][0]) {
      this.#failed.add(replyId(session, no));
      if (consumed !== null) this.#buried.add(replyId(session, no));
    }
    if (target === KERNEL && body[7][0]) this.#kernelTurn(selector);
  }

  /** What the kernel itself was asked for: an undo takes back what the turn had sent, a dead letter is settled. */
  #kernelTurn(selector: string): void {
    const undone = Number(UNDO.exec(selector)?.[1] ?? 0);
    if (undone > 0) for (const [key, { seq }] of this.#pending) if (seq === undone) this.#pending.delete(key);
    if (selector === 'deadLetterDrop' || selector === 'deadLetterRetry') this.#lettersSettled++;
  }

  #sent(key: Key, outgoing: Outgoing): void {
    this.#pending.set(hex(key), outgoing);
  }

  // ---- derived keys ----------------------------------------------------------------------------------------------------------------

  /** The header of a session comes before all that is kept for it. */
  #reply(key: Key, value: Buffer): void {
    const [session = 0, no = 0] = fieldsOf(key);
    const record = decodeRecord<ReplyRecord>(value, describeKey(key));
    if (no === 0 && key.length === 17) {
      this.#sessions.add(session);
      return;
    }
    this.#kept(key, session, no);
    if (key.length > 17) return;
    if (record[0] > 0) this.#replies.set(record[0], { id: replyId(session, no), record });
  }

  /** What is kept for a message is nobody's once its session has ended, or, of a message from the outbox or a timer, once that is handled. */
  #kept(key: Key, session: number, no: number): void {
    if (session === 0) this.#keptForOwn.push([describeKey(key), no]);
    else if (!this.#sessions.has(session))
      this.report(describeKey(key), `it is kept for session ${session}, which has ended or never was`);
  }

  #name(key: Key, value: Buffer): void {
    const name = textOf(key);
    const [oid, attempt] = decodeRecord<NameRecord>(value, describeKey(key));
    const expected = this.#names.get(name);
    this.#names.delete(name);
    if (expected === undefined) this.report(`name ${name}`, 'no turn gave this name, or a later one took it away');
    else if (expected[0] !== oid || expected[1] !== attempt)
      this.report(`name ${name}`, `it stands for ${oid}, the turns say ${expected[0]}`);
  }

  #outgoing(key: Key, value: Buffer): void {
    const [target, selector, , cause] = decodeRecord<OutboxRecord>(value, describeKey(key));
    const expected = this.#pending.get(hex(key));
    this.#pending.delete(hex(key));
    this.#waiting.add(fieldsOf(key).at(-1) ?? 0);
    if (expected === undefined) this.report(describeKey(key), 'no turn sent it, or it was handled already');
    else if (expected.target !== target || expected.selector !== selector || expected.seq !== cause) {
      this.report(
        describeKey(key),
        `it is ${selector} to ${target}, turn ${expected.seq} sent ${expected.selector} to ${expected.target}`,
      );
    }
  }

  #letter(key: Key, value: Buffer): void {
    const [, , , session, no] = decodeRecord<DeadLetterRecord>(value, describeKey(key));
    const [id = 0] = fieldsOf(key);
    this.#nextOutgoing = Math.max(this.#nextOutgoing, id + 1);
    if (!this.#failed.has(replyId(session, no)))
      this.report(describeKey(key), `message ${replyId(session, no)} did not end in an error`);
    this.#buried.delete(replyId(session, no));
  }

  #metaField(field: string, value: Buffer): void {
    const record = decodeRecord<unknown[]>(value, `meta field ${field}`);
    if (field === 'replay') this.mark = Number(record[0]);
    if (field === 'counters') this.#counter = Number(record[0]);
  }

  // ---- the end -----------------------------------------------------------------------------------------------------------------------

  finish(): void {
    this.#checkEnd();
    for (const [place, no] of this.#keptForOwn)
      if (!this.#waiting.has(no)) this.report(place, `it is kept for message ${no}, which waits no more`);
    for (const [seq, { id }] of this.#replies)
      this.report(`reply ${id}`, `it is of turn ${seq}, which is not in the journal`);
    for (const [name, [oid]] of this.#names) this.report(`name ${name}`, `it is missing; the turns gave it to ${oid}`);
    for (const [key, { seq }] of this.#pending)
      this.report(describeKey(Buffer.from(key, 'hex')), `it is missing; turn ${seq} sent it and nothing handled it`);
    if (this.#buried.size > this.#lettersSettled) {
      for (const id of this.#buried)
        this.report(`dead letter of message ${id}`, 'it is missing; the message was handled and ended in an error');
    }
    if (this.#counter < this.#nextOutgoing)
      this.report(
        'meta field counters',
        `it is ${this.#counter}, but numbers up to ${this.#nextOutgoing - 1} were used`,
      );
    if (this.mark > this.turns + 1)
      this.report('meta field replay', `it is ${this.mark}, but the last turn is ${this.turns}`);
  }

  #checkEnd(): void {
    const end = this.#meta?.end;
    if (end !== undefined && end.seq !== this.turns)
      this.report(
        `turn ${Math.min(end.seq, this.turns) + 1}`,
        `the journal says that it ends at turn ${end.seq}, its records end at ${this.turns}`,
      );
    else if (end !== undefined && !end.chain.equals(this.#chain))
      this.report(`turn ${end.seq}`, 'its chain hash is not the one at the end of the journal');
    const head = this.#head;
    if (head === undefined || end === undefined) return;
    if (end.seq < head.seq || end.groups < head.groups) {
      this.report(
        `turn ${end.seq + 1}`,
        `the journal ends at turn ${end.seq}, but turns up to ${head.seq} were written: its log is damaged after turn ${end.seq}`,
      );
    }
  }
}
