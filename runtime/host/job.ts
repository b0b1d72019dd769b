/** A message on this host, from its RUN to its verdict. */
import { ABSENT, type Attempt, type Oid, type Run } from '../../protocol/index.js';
import type { RecordedAnswer, Turn, TurnMessage } from '../turn/index.js';

/**
 * queued: in a mailbox, or about to be run again. running: a turn of it is under way. committed: a commit waits for its verdict.
 * blocked: another turn's grant has to end. asking: it has asked for a grant. done: nobody wants it any more.
 */
export type JobState = 'queued' | 'running' | 'committed' | 'blocked' | 'asking' | 'done';

export class Job {
  state: JobState = 'queued';
  turn: Turn | null = null;
  /** Conflicts so far. */
  conflicts = 0;
  /** Grants asked for. */
  grants = 0;
  /** It runs under a grant: on accepted state only. */
  granted = false;
  /** Everything that its attempts have read and written: oids, and names as `=name`. */
  readonly keys = new Set<string>();
  /** Lets the object go on with its next message; set while the turn holds it. */
  release: (() => void) | null = null;
  /** Requests to services under way. */
  serviceWaits = 0;
  /** The turn whose commit waits for its verdict. */
  committed: Turn | null = null;

  constructor(readonly message: TurnMessage) {}

  get id(): string {
    return jobId(this.message.session, this.message.no);
  }

  /** The object whose actor handles it; null for free-standing turns. */
  get oid(): Oid | null {
    return this.message.oid;
  }
}

export const jobId = (session: number, no: number): string => `${session}.${no}`;

export function jobOf([, session, no, target, oid, nameAttempt, selector, args, time, , origin, , recorded]: Run): Job {
  const answers = new Map<string, RecordedAnswer>();
  for (const [key, ok, body] of recorded ?? []) answers.set(key, { ok, body });
  const free = target === '';
  return new Job({
    session,
    no,
    target,
    oid: free ? null : oid,
    nameAttempt: oid === null ? ABSENT : (nameAttempt as Attempt),
    selector,
    args,
    time,
    origin,
    recorded: answers,
  });
}
