/** What a script answers when it is carried out alone on the state after some turn: another few lines that know nothing of hosts. */
import type { Content } from '../../protocol/envelope.js';
import { LOBBY, nameKey, slotKey, type Replay } from './replay.js';
import type { Op } from './script.js';

/** Nothing is claimed about this one (an inherited or large value). */
export const UNKNOWN = Symbol('unknown');
type Single = Content | typeof UNKNOWN;
/** A listing is in the order of its words. */
export type Expected = Single | readonly string[];

class Serial {
  readonly results: Expected[] = [];
  readonly #written = new Map<string, Single>();

  constructor(
    private readonly replay: Replay,
    private readonly point: number,
  ) {}

  #key(who: string, slot: string): string {
    const oid = who.startsWith('#') ? who : String(this.replay.at(nameKey(who), this.point).content);
    return slotKey(oid, slot);
  }

  get(who: string, slot: string): Single {
    const key = this.#key(who, slot);
    const written = this.#written.get(key);
    if (written !== undefined) return written;
    const { attempt, content } = this.replay.at(key, this.point);
    return attempt === 0 || content instanceof Uint8Array ? UNKNOWN : content;
  }

  set(who: string, slot: string, value: Single): void {
    this.#written.set(this.#key(who, slot), value);
  }

  add(who: string, slot: string, amount: number): Single {
    const old = this.get(who, slot);
    const sum = old === UNKNOWN ? UNKNOWN : Number(old) + amount;
    this.set(who, slot, sum);
    return sum;
  }

  /** What a turn wrote itself is not added: no script lists after it has written. */
  #list(who: string): Expected {
    if (who === LOBBY) return [...this.replay.namesAt(this.point).keys()].sort();
    const prefix = this.#key(who, '');
    return this.#written.size > 0 ? UNKNOWN : this.replay.slotsAt(prefix, this.point).sort();
  }

  /** False: from here on nothing is claimed. */
  perform(op: Op): boolean {
    switch (op[0]) {
      case 'get':
        this.results.push(this.get(op[1], op[2]));
        return true;
      case 'add':
        this.results.push(this.add(op[1], op[2], op[3]));
        return true;
      case 'move':
        this.add(op[1], 'balance', -op[3]);
        this.add(op[2], 'balance', op[3]);
        return true;
      case 'pay':
        this.add(op[1], 'balance', -op[3]);
        return true;
      case 'set':
        this.set(op[1], op[2], op[3]);
        return true;
      case 'remove':
        this.set(op[1], op[2], UNKNOWN);
        return true;
      case 'edit':
      case 'tell':
      case 'after':
        return true;
      case 'list':
        this.results.push(this.#list(op[1]));
        return true;
      case 'look':
        this.results.push(UNKNOWN);
        return true;
      default:
        return false;
    }
  }
}

/** Listings are compared as sets. */
export const sameResult = (expected: Exclude<Expected, typeof UNKNOWN>, result: unknown): boolean =>
  Array.isArray(expected)
    ? Array.isArray(result) && [...(result as string[])].sort().join(' ') === expected.join(' ')
    : expected === result;

export function expectedResults(replay: Replay, ops: readonly Op[], point: number): Expected[] {
  const serial = new Serial(replay, point);
  for (const op of ops) if (!serial.perform(op)) break;
  return serial.results;
}
