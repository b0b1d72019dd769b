/** Objects and turns as the journal holds them, now and before. What is accepted and not yet in the journal is the kernel's to add. */
import type { Oid, Seq } from '../../protocol/index.js';
import { keys, prefixRange, rangeOf } from './keys.js';
import type { JournalPort, Key } from './port.js';
import { decodeRecord, type GroupRecord, type HistoryRecord, type ObjectRecord, type TurnRecord } from './records.js';
import {
  applyTurnTo,
  blankObject,
  bodyOf,
  objectFrom,
  takeBackFrom,
  touchedBy,
  type ReplayedObject,
} from './replay.js';
import { describeKey } from './seal.js';

const PAGE_ROWS = 64;

export type NumberedTurn = readonly [seq: Seq, turn: TurnRecord];

export async function readObjectRecord(port: JournalPort, oid: Oid): Promise<ObjectRecord | undefined> {
  const [value] = await port.getMany([keys.object(oid)]);
  return value === undefined ? undefined : decodeRecord<ObjectRecord>(value, `object ${oid}`);
}

const turnsOf = (key: Key, value: Uint8Array): NumberedTurn[] => {
  const [, firstSeq, , turns] = decodeRecord<GroupRecord>(value, describeKey(key));
  return turns.map((turn, i) => [(firstSeq + i) as Seq, turn] as const);
};

/** The turn with this seq, undefined when there is none. */
export async function turnAt(port: JournalPort, seq: number): Promise<TurnRecord | undefined> {
  const [row] = await port.page({ gte: rangeOf('j').gte, lte: keys.record(seq), reverse: true }, 1);
  return row && turnsOf(...row).find(([found]) => found === seq)?.[1];
}

/** At most `limit` turns from `seq` on. */
export async function turnsFrom(port: JournalPort, seq: number, limit: number): Promise<NumberedTurn[]> {
  const found: NumberedTurn[] = [];
  const [holder] = await port.page({ gte: rangeOf('j').gte, lte: keys.record(seq), reverse: true }, 1);
  let rows = holder === undefined ? [] : [holder];
  let last = keys.record(seq);
  for (;;) {
    for (const row of rows)
      for (const turn of turnsOf(...row)) if (turn[0] >= seq && found.length < limit) found.push(turn);
    if (found.length >= limit) return found;
    rows = await port.page({ gt: last, lt: rangeOf('j').lt }, PAGE_ROWS);
    const next = rows[rows.length - 1];
    if (next === undefined) return found;
    last = next[0];
  }
}

/** Turns that wrote the object, in order, up to its snapshot; from `fromSeq` on. */
export async function turnsOfObject(port: JournalPort, oid: Oid, fromSeq = 1): Promise<Seq[]> {
  const { lt } = prefixRange(keys.history(oid, 0).subarray(0, -8));
  const turns: Seq[] = [];
  let range: { gte?: Key; gt?: Key; lt: Key } = { gte: keys.history(oid, fromSeq), lt };
  for (;;) {
    const rows = await port.page(range, PAGE_ROWS);
    for (const [key, value] of rows)
      turns.push(...decodeRecord<HistoryRecord>(value, describeKey(key)).filter((seq) => seq >= fromSeq));
    const last = rows[rows.length - 1];
    if (last === undefined || rows.length < PAGE_ROWS) return turns;
    range = { gt: last[0], lt };
  }
}

/** Turns that the snapshots don't have yet begin here. */
async function replayMark(port: JournalPort): Promise<number> {
  const [value] = await port.getMany([keys.meta('replay')]);
  return value === undefined ? 1 : decodeRecord<[number]>(value, 'm replay')[0];
}

/** The object as it was after turn `seq`; undefined when it did not exist then. Shape and parents versions are those of its snapshot. */
export async function objectAt(port: JournalPort, oid: Oid, seq: number): Promise<ReplayedObject | undefined> {
  const record = await readObjectRecord(port, oid);
  const object = record === undefined ? blankObject() : objectFrom(record);
  const at = record?.[0] ?? 0;
  if (seq < at) await goBack(port, object, oid, seq);
  else await goOn(port, object, oid, Math.max(at + 1, await replayMark(port)), seq);
  return object.exists ? object : undefined;
}

async function goBack(port: JournalPort, object: ReplayedObject, oid: Oid, seq: number): Promise<void> {
  for (const later of (await turnsOfObject(port, oid, seq + 1)).reverse()) {
    const turn = await turnAt(port, later);
    if (turn !== undefined) takeBackFrom(object, oid, turn, bodyOf(turn));
  }
}

async function goOn(port: JournalPort, object: ReplayedObject, oid: Oid, from: number, to: number): Promise<void> {
  let next = from;
  while (next <= to) {
    const turns = await turnsFrom(port, next, Math.min(PAGE_ROWS * PAGE_ROWS, to - next + 1));
    if (turns.length === 0) return;
    for (const [, turn] of turns) {
      const body = bodyOf(turn);
      if (touchedBy(turn, body).has(oid)) applyTurnTo(object, oid, turn, body);
    }
    next += turns.length;
  }
}
