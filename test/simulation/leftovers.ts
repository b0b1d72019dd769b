/** Nothing is kept in the journal for what has ended: sessions, and messages that were answered or given up. */
import type { History } from './history.js';
import { idOf } from './undo.js';

/** Keys of sessions and messages that the journal holds at the end. */
export interface Kept {
  /** Sessions that have a header. */
  readonly sessions: Set<number>;
  /** `session:no` of each saved reply. */
  readonly replies: Set<string>;
  /** Of each recorded answer of a service. */
  readonly recorded: Set<string>;
  readonly strikes: Set<string>;
  /** Two days after the end, these are the sessions of clients that still live; null: nobody waited so long. */
  open: ReadonlySet<number> | null;
}

export const nothingKept = (): Kept => ({
  sessions: new Set(),
  replies: new Set(),
  recorded: new Set(),
  strikes: new Set(),
  open: null,
});

export function checkLeftovers(history: History, fail: (rule: string, message: string) => void): void {
  const { kept, turns, pending } = history;
  const done = new Set(turns.map(idOf));
  for (const answer of history.answers)
    if (answer.life === history.lastLife && !answer.retryable) done.add(idOf(answer));
  const check = (ids: ReadonlySet<string>, what: string, mustBeOpen: boolean): void => {
    for (const id of ids) {
      const [session = 0, no = 0] = id.split(':').map(Number);
      if (session === 0 ? !pending.has(no) : !kept.sessions.has(session))
        fail(
          'leftover',
          `${what} of message ${id} is kept, and its ${session === 0 ? 'message' : 'session'} has ended`,
        );
      else if (mustBeOpen && done.has(id))
        fail('leftover', `${what} of message ${id} is kept, which has been answered`);
    }
  };
  check(kept.replies, 'the reply', false);
  check(kept.recorded, 'an answer of a service', true);
  check(kept.strikes, 'a strike', true);
  if (kept.open === null) return;
  for (const session of kept.sessions)
    if (!kept.open.has(session)) fail('leftover', `session ${session} is kept two days after its client went`);
}
