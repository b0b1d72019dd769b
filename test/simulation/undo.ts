/**
 * Undo: a turn that takes another one back leaves in each of its slots and names what stood there before, changes nothing else, and nothing
 * that stands depends on what it took away. A refusal names turns that do have to do with it.
 */
import { WRITE } from '../../protocol/envelope.js';
import type { History, ToldFact, TurnFact } from './history.js';
import { LOBBY, nameKey, sameContent, slotKey, type Replay } from './replay.js';

type Fail = (rule: string, message: string) => void;

export const idOf = (fact: { session: number; no: number }): string => `${fact.session}:${fact.no}`;

/** The turn that this one took back; 0: it is no undo, or one that was refused. */
export const undoneBy = (turn: TurnFact): number =>
  turn.body[7][0] ? Number(/^undo\((\d+)\)$/.exec(turn.own)?.[1] ?? 0) : 0;

/** Slots and names that the turn wrote. */
const writtenBy = ({ body }: TurnFact): string[] => [
  ...body[3].flatMap(([oid, writes]) => writes.map(([slot]) => slotKey(oid, slot))),
  ...body[4].map(([name]) => nameKey(name)),
];

export class Undos {
  /** By turn: the undos of it, in order. */
  readonly #undos = new Map<number, TurnFact[]>();

  constructor(
    private readonly history: History,
    private readonly replay: Replay,
    private readonly fail: Fail,
  ) {
    for (const turn of history.turns) {
      const target = undoneBy(turn);
      if (target > 0) this.#undos.set(target, [...(this.#undos.get(target) ?? []), turn]);
    }
  }

  check(): void {
    for (const [target, undos] of this.#undos) {
      const turn = this.history.turns[target - 1];
      if (turn === undefined) this.fail('undo', `turn ${target} was undone and never was`);
      else for (const undo of undos) this.#checkUndo(undo, turn);
    }
    for (const told of this.history.told) if (told.error?.[0] === 'UNDO_REFUSED') this.#checkRefusal(told);
  }

  #checkUndo(undo: TurnFact, turn: TurnFact): void {
    const what = `turn ${undo.seq} took turn ${turn.seq} back`;
    const keys = new Set(writtenBy(turn));
    for (const key of keys) {
      const before = this.replay.at(key, turn.seq - 1);
      const after = this.replay.at(key, undo.seq);
      if ((before.attempt === 0) !== (after.attempt === 0) || !sameContent(before.content, after.content))
        this.fail('undo', `${what}, and ${key} is not what it was before`);
      if (!sameContent(this.replay.at(key, turn.seq).content, this.replay.at(key, undo.seq - 1).content))
        this.fail('undo', `${what} and with it a later change of ${key}`);
    }
    for (const key of writtenBy(undo)) if (!keys.has(key)) this.fail('undo', `${what} and changed ${key} besides`);
    for (const later of this.history.turns.slice(turn.seq, undo.seq - 1)) {
      const read = this.#standsAt(later, undo.seq) ? this.#readOf(turn, later) : '';
      if (read !== '') this.fail('undo', `${what}, though turn ${later.seq} had read its ${read}`);
    }
  }

  /** Was it not taken back itself before turn `seq`? */
  #standsAt(turn: TurnFact, seq: number): boolean {
    return !(this.#undos.get(turn.seq) ?? []).some((undo) => undo.seq < seq && this.#standsAt(undo, seq));
  }

  /** What `later` read of what `turn` made or removed; '' for nothing. */
  #readOf(turn: TurnFact, later: TurnFact): string {
    for (const [oid, list] of later.body[0]) {
      for (let i = 0; i < list.length; i += 2) {
        const key = slotKey(oid, list[i] as string);
        if (list[i + 1] === turn.attempt) return key;
        if (list[i + 1] === 0 && this.#removed(turn, later, key)) return key;
      }
    }
    for (const [name, attempt] of later.body[1]) {
      const key = nameKey(name);
      if ((attempt as number) === turn.attempt || ((attempt as number) === 0 && this.#removed(turn, later, key)))
        return key;
    }
    return '';
  }

  /** What `later` found absent was removed by `turn`. */
  #removed(turn: TurnFact, later: TurnFact, key: string): boolean {
    const stand = this.replay.at(key, later.seq - 1);
    return stand.seq === turn.seq && stand.attempt === 0;
  }

  #checkRefusal(told: ToldFact): void {
    const [, , message, , details] = told.error as NonNullable<ToldFact['error']>;
    const target = Number(this.history.questions.get(idOf(told))?.args[0]);
    const turn = this.history.turns[target - 1];
    if (turn === undefined || !Array.isArray(details) || details.length === 0)
      return this.fail('undo', `the refusal to undo turn ${target} names nothing: ${message}`);
    if (message.includes('outbox')) return this.#checkNamedMessages(turn, details as number[]);
    const touched = this.#touchedBy(turn);
    for (const seq of details as number[]) {
      const later = this.history.turns[seq - 1];
      if (later === undefined || seq <= target || !this.#touches(later, touched, turn))
        this.fail('undo', `the refusal to undo turn ${target} names turn ${seq}, which has nothing to do with it`);
    }
  }

  #checkNamedMessages({ seq, body, firstOutgoing }: TurnFact, named: readonly number[]): void {
    const end = firstOutgoing + body[5].length + body[6].length;
    for (const no of named)
      if (no < firstOutgoing || no >= end)
        this.fail('undo', `the refusal to undo turn ${seq} names message ${no}, which it did not send`);
  }

  /** All that the turn changed, with the listings that show it. */
  #touchedBy(turn: TurnFact): Set<string> {
    const keys = new Set(writtenBy(turn));
    for (const [oid, writes] of turn.body[3]) {
      if (
        writes.some(
          ([slot, op]) => op === WRITE.REMOVE || this.replay.at(slotKey(oid, slot), turn.seq - 1).attempt === 0,
        )
      )
        keys.add(slotKey(oid, ''));
      if (writes.some(([slot]) => slot.endsWith('*'))) keys.add(slotKey(oid, '*'));
    }
    if (turn.body[4].length > 0) keys.add(slotKey(LOBBY, ''));
    return keys;
  }

  #touches(later: TurnFact, keys: ReadonlySet<string>, turn: TurnFact): boolean {
    const [reads, names, , , gives, sends] = later.body;
    const made = new Set<string>(turn.body[2]);
    if (writtenBy(later).some((key) => keys.has(key))) return true;
    if (names.some(([name]) => keys.has(nameKey(name)))) return true;
    if (reads.some(([oid]) => made.has(oid)) || gives.some(([, oid]) => oid !== null && made.has(oid))) return true;
    if (sends.some(([target]) => made.has(target)) || later.body[3].some(([oid]) => made.has(oid))) return true;
    return reads.some(([oid, list]) => list.some((slot, i) => i % 2 === 0 && keys.has(slotKey(oid, slot as string))));
  }
}
