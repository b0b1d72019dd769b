/**
 * Owns: what is known of messages that were on a host when it died and are not answered yet: that they are suspects, their strikes, whether
 * they run alone.
 *
 *   X1  It is kept, strikes in the journal too, until the message is answered, its sender waits for it no more, or its session ends: who is
 *       declined and sent again is a suspect still.
 */
import type { SessionId } from '../../protocol/index.js';
import { keys, type StrikesRecord } from '../journal/index.js';
import type { Groups } from './groups.js';
import type { Message } from './message.js';

interface Known {
  readonly strikes: number;
  readonly history: StrikesRecord[1];
  readonly alone: boolean;
}

export class Suspicion {
  readonly #known = new Map<SessionId, Map<number, Known>>();

  constructor(private readonly groups: Groups) {}

  /** What the journal holds, at the start. */
  adopt(session: SessionId, no: number, [strikes, history]: StrikesRecord): void {
    this.#of(session).set(no, { strikes, history, alone: false });
  }

  /** A message that begins: has it a past? */
  restore(message: Message): void {
    const known = this.#known.get(message.session)?.get(message.no);
    if (known === undefined) return;
    message.strikes = known.strikes;
    message.history = known.history;
    message.alone = known.alone;
    message.suspect = true;
  }

  /** The message was on a host that died. */
  note({ session, no, strikes, history, alone }: Message): void {
    const before = this.#known.get(session)?.get(no)?.strikes ?? 0;
    this.#of(session).set(no, { strikes, history, alone });
    if (strikes > before) this.groups.put(keys.strikes(session, no), [strikes, history] satisfies StrikesRecord);
  }

  /** The message is answered, or nobody waits for it. */
  forget(session: SessionId, no: number): void {
    const known = this.#known.get(session);
    const one = known?.get(no);
    if (known === undefined || one === undefined) return;
    known.delete(no);
    if (known.size === 0) this.#known.delete(session);
    if (one.strikes > 0) this.groups.delete(keys.strikes(session, no));
  }

  /** The numbers of a session that are known here. */
  numbers(session: SessionId): number[] {
    return [...(this.#known.get(session)?.keys() ?? [])];
  }

  #of(session: SessionId): Map<number, Known> {
    const known = this.#known.get(session) ?? new Map<number, Known>();
    this.#known.set(session, known);
    return known;
  }
}
