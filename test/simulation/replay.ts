/**
 * The journal's turns applied one after another to an empty world, by the checker's own few lines and not by the kernel's. Keeps
 * for every slot and name what stood there after which turn.
 */
import { WRITE, type CommitBody, type Content } from '../../protocol/envelope.js';
import { applyPatch } from '../../protocol/patch.js';
import type { NameSeen, SlotSeen, TurnFact, Violation } from './history.js';

export interface Stand {
  /** From this turn on. */
  readonly seq: number;
  readonly attempt: number;
  /** Of a slot: its content; of a name: the oid. */
  readonly content: Content;
}

const NOTHING: Stand = { seq: 0, attempt: 0, content: null };
export const LOBBY = '#lobby';
export const slotKey = (oid: string, slot: string): string => `${oid} ${slot}`;
export const nameKey = (name: string): string => `=${name}`;

export const sameContent = (a: Content | undefined, b: Content | undefined): boolean =>
  a instanceof Uint8Array ? b instanceof Uint8Array && Buffer.compare(a, b) === 0 : a === b;

export class Replay {
  readonly violations: Violation[] = [];
  /** Which turn an attempt became. */
  readonly turnOf = new Map<number, TurnFact>();
  readonly #stands = new Map<string, Stand[]>();
  readonly #exists = new Set<string>();
  end = 0;

  constructor(turns: readonly TurnFact[]) {
    for (const turn of turns) this.#apply(turn);
  }

  #fail(rule: string, turn: TurnFact, message: string): void {
    this.violations.push({
      rule,
      message: `turn ${turn.seq} (message ${turn.session}:${turn.no}, attempt ${turn.attempt}): ${message}`,
    });
  }

  latest(key: string): Stand {
    return this.#stands.get(key)?.at(-1) ?? NOTHING;
  }

  /** What stood there after turn `seq`. */
  at(key: string, seq: number): Stand {
    const stands = this.#stands.get(key) ?? [];
    let found = NOTHING;
    for (const stand of stands) {
      if (stand.seq > seq) break;
      found = stand;
    }
    return found;
  }

  /** The first turn from `from` on after which `attempt` stands there; Infinity when none does. */
  firstAt(key: string, attempt: number, from: number): number {
    if (this.at(key, from).attempt === attempt) return from;
    const later = this.#stands.get(key)?.find((stand) => stand.seq > from && stand.attempt === attempt);
    return later?.seq ?? Infinity;
  }

  /** The first turn from `from` on after which all of this could be read; Infinity when never. */
  firstPoint(reads: readonly SlotSeen[], names: readonly NameSeen[], from: number): number {
    const wanted: [string, number][] = reads.map(([oid, slot, attempt]) => [slotKey(oid, slot), attempt]);
    for (const [name, attempt] of names) wanted.push([nameKey(name), attempt]);
    let point = from;
    for (let moved = true; moved && point !== Infinity;) {
      moved = false;
      for (const [key, attempt] of wanted) {
        const next = this.firstAt(key, attempt, point);
        if (next > point) moved = true;
        point = next;
        if (point === Infinity) break;
      }
    }
    return point;
  }

  /** Names and what they stood for after turn `seq`. */
  namesAt(seq: number): Map<string, string> {
    const names = new Map<string, string>();
    for (const key of this.#stands.keys()) {
      if (!key.startsWith('=')) continue;
      const { content } = this.at(key, seq);
      if (content !== null) names.set(key.slice(1), String(content));
    }
    return names;
  }

  /** Seqs after which other names stood than before. */
  nameChanges(): number[] {
    const seqs = new Set<number>();
    for (const [key, stands] of this.#stands) if (key.startsWith('=')) for (const { seq } of stands) seqs.add(seq);
    return [...seqs].sort((a, b) => a - b);
  }

  /** The own slots of an object after turn `seq`; `prefix`: `slotKey(oid, '')`. */
  slotsAt(prefix: string, seq: number): string[] {
    const slots: string[] = [];
    for (const key of this.#stands.keys()) {
      const slot = key.startsWith(prefix) ? key.slice(prefix.length) : '';
      if (slot !== '' && slot !== '*' && this.at(key, seq).attempt !== 0) slots.push(slot);
    }
    return slots;
  }

  keys(): IterableIterator<string> {
    return this.#stands.keys();
  }

  #set(key: string, stand: Stand): void {
    const stands = this.#stands.get(key);
    if (stands === undefined) this.#stands.set(key, [stand]);
    else if (stands.at(-1)?.seq === stand.seq) stands[stands.length - 1] = stand;
    else stands.push(stand);
  }

  #apply(turn: TurnFact): void {
    if (turn.seq !== this.end + 1) this.#fail('order', turn, `follows turn ${this.end}`);
    this.end = turn.seq;
    const twin = this.turnOf.get(turn.attempt);
    if (twin !== undefined) this.#fail('once', turn, `its attempt is turn ${twin.seq} already`);
    this.turnOf.set(turn.attempt, turn);
    this.#checkReads(turn, turn.body);
    this.#checkBefore(turn);
    for (const oid of turn.body[2]) {
      if (this.#exists.has(oid)) this.#fail('serializability', turn, `creates ${oid}, which exists`);
      this.#exists.add(oid);
      this.#set(slotKey(oid, ''), { seq: turn.seq, attempt: turn.attempt, content: null });
    }
    for (const [oid, writes] of turn.body[3]) {
      if (!this.#exists.has(oid)) this.#fail('serializability', turn, `writes ${oid}, which does not exist`);
      for (const [slot, op, payload] of writes) this.#write(turn, oid, slot, op, payload);
    }
    for (const [name, oid] of turn.body[4]) this.#name(turn, name, oid);
  }

  #checkReads(turn: TurnFact, [reads, nameReads]: CommitBody): void {
    for (const [oid, list] of reads) {
      for (let i = 0; i < list.length; i += 2) {
        const slot = list[i] as string;
        const { seq, attempt } = this.latest(slotKey(oid, slot));
        if (attempt !== list[i + 1])
          this.#fail(
            'serializability',
            turn,
            `read ${oid}.${slot} of attempt ${String(list[i + 1])}, but turn ${seq} had left attempt ${attempt} there`,
          );
      }
    }
    for (const [name, read] of nameReads) {
      const { seq, attempt } = this.latest(nameKey(name));
      if (attempt !== read)
        this.#fail(
          'serializability',
          turn,
          `read the name ${name} of attempt ${read}, but turn ${seq} had left attempt ${attempt}`,
        );
    }
  }

  /** The recorded inverse is what undo and history stand on. */
  #checkBefore(turn: TurnFact): void {
    for (const [oid, slot, attempt, , content] of turn.before) {
      const stand = this.latest(slotKey(oid, slot));
      if (stand.attempt !== attempt || !sameContent(stand.content, content))
        this.#fail(
          'inverse',
          turn,
          `says attempt ${attempt} stood in ${oid}.${slot} before it; it was ${stand.attempt}`,
        );
    }
    for (const [name, oid, attempt] of turn.namesBefore) {
      const stand = this.latest(nameKey(name));
      if (stand.attempt !== attempt || stand.content !== oid)
        this.#fail(
          'inverse',
          turn,
          `says ${String(oid)} had the name ${name} before it; it was ${String(stand.content)}`,
        );
    }
  }

  #write(turn: TurnFact, oid: string, slot: string, op: number, payload: Content): void {
    const old = this.latest(slotKey(oid, slot));
    const removed = op === WRITE.REMOVE;
    const content = op === WRITE.PATCH ? applyPatch(old.content, payload as Uint8Array) : payload;
    this.#set(slotKey(oid, slot), {
      seq: turn.seq,
      attempt: removed ? 0 : turn.attempt,
      content: removed ? null : content,
    });
    const mark: Stand = { seq: turn.seq, attempt: turn.attempt, content: null };
    if (removed || old.attempt === 0) this.#set(slotKey(oid, ''), mark);
    if (slot.endsWith('*')) this.#set(slotKey(oid, '*'), mark);
  }

  #name(turn: TurnFact, name: string, oid: string | null): void {
    const old = this.latest(nameKey(name));
    this.#set(nameKey(name), { seq: turn.seq, attempt: oid === null ? 0 : turn.attempt, content: oid });
    const cameOrWent = (old.content === null) !== (oid === null);
    if (cameOrWent && this.#exists.has(LOBBY))
      this.#set(slotKey(LOBBY, ''), { seq: turn.seq, attempt: turn.attempt, content: null });
  }
}
