/**
 * What the values of the journal hold. All are msgpack of positional arrays; the adapter adds a CRC to each, and the running
 * hash of the chain to commit records.
 */
import {
  pack,
  unpack,
  TelosError,
  type Attempt,
  type Bytes,
  type Content,
  type Oid,
  type Origin,
  type Seq,
  type SessionId,
  type SlotRow,
  type WireError,
} from '../../protocol/index.js';

export const GENERATION = 1;

/** What stood in a slot before a turn wrote it; version 0: there was no such slot. */
export type SlotBefore = [oid: Oid, slot: string, attempt: Attempt, version: number, content: Content];
export type NameBefore = [name: string, oid: Oid | null, attempt: Attempt];

/**
 * One turn. `body`: the CommitBody as the host sent it. `before`: the inverse. `firstOutgoing`: number of the first outbox message
 * that the turn sent (its timers follow); they count up from it. `sender`: who asked. `consumed`: key of the outbox
 * message or timer that this turn handled, which goes with it; null otherwise.
 */
export type TurnRecord = [
  attempt: Attempt,
  session: SessionId,
  no: number,
  origin: Origin,
  sender: string,
  target: string,
  selector: string,
  time: number,
  trace: string,
  body: Bytes,
  before: SlotBefore[],
  namesBefore: NameBefore[],
  firstOutgoing: number,
  consumed: Bytes | null,
];

/** All turns of one group; the turn at index i has the seq firstSeq + i. */
export type GroupRecord = [format: number, firstSeq: Seq, time: number, turns: TurnRecord[]];

/** `o`: all that turns up to `seq` wrote. Slots flattened as on the wire: [slot, attempt, version, content, …]. */
export type ObjectRecord = [seq: Seq, shape: Attempt, parents: Attempt, slots: SlotRow[]];
/** `x`: the turns since the entry before, up to the seq of the key, that wrote the object or its shape. */
export type HistoryRecord = Seq[];
/** `n` */
export type NameRecord = [oid: Oid, attempt: Attempt];
/** `q`: `cause` is the turn that sent it. */
export type OutboxRecord = [
  target: Oid,
  selector: string,
  args: Bytes,
  cause: Seq,
  sender: string,
  trace: string,
  time: number,
];
/** `t` */
export type TimerRecord = OutboxRecord;
/** `d` with no > 0. */
export type ReplyRecord = [seq: Seq, ok: boolean, body: Content, error: WireError | null];
/** `d` with no = 0. `lowest` ENDED_LOWEST: the session has ended, and only that is kept of it. */
export type SessionRecord = [lastHeard: number, lowest: number, key: string, agent: string];
/** No number is left that its sender could wait for. */
export const ENDED_LOWEST = Number.MAX_SAFE_INTEGER;
/** `l`: the message, why it was given up, and its history: [time, what happened] each. */
export type DeadLetterRecord = [
  message: OutboxRecord,
  error: WireError,
  history: [time: number, event: string][],
  session: SessionId,
  no: number,
  origin: Origin,
];
/** `s` */
export type StrikesRecord = [count: number, history: [time: number, event: string][]];
/** `m life`: the last life of the kernel that could write, and the stretches of those before it that could not: [first, last, …]. */
export type LifeRecord = [incarnation: number, unwritten: number[]];
/** `k`: `token`: SHA-256 of the token, hex. */
export type ClientRecord = [name: string, rights: string[], token: string, admitted: number];

export const encodeRecord = (record: unknown): Buffer => pack(record);

/** @throws TelosError DAMAGED when the bytes are no record */
export function decodeRecord<T extends unknown[]>(bytes: Uint8Array, what: string): T {
  const value = unpack(bytes);
  if (!Array.isArray(value))
    throw new TelosError('DAMAGED', `${what} holds ${typeof value} where a record is expected`);
  return value as T;
}
