/** A message on this host, from its RUN to its verdict. */
import type { Attempt, Bytes, CommitBody, Oid, Origin, Run, SessionId } from '../../protocol/index.js';
import type { RecordedAnswer, Turn, TurnMessage } from '../turn/index.js';

/** Times that one try may find something unloaded in synchronous code and begin again. */
export const MAX_RESTARTS = 1000;

/**
 * queued: in a mailbox, or about to be run again. running: a turn of it is under way. committed: a commit waits for its verdict.
 * blocked: another turn's grant has to end. asking: it has asked for a grant. done: nobody wants it any more.
 */
export type JobState = 'queued' | 'running' | 'committed' | 'blocked' | 'asking' | 'done';

export class Job implements TurnMessage {
  state: JobState = 'queued';
  turn: Turn | null = null;
  /** Conflicts so far. */
  conflicts = 0;
  /** Grants asked for. */
  grants = 0;
  /** It runs under a grant: on accepted state only. */
  granted = false;
  /** Tries that found something unloaded in synchronous code. */
  restarts = 0;
  /** Lets the object go on with its next message; set while the turn holds it. */
  release: (() => void) | null = null;
  /** What waits for its verdict. */
  committed: CommitBody | null = null;
  /** What its methods said with image.log. */
  logged: readonly string[] = NOTHING;
  recorded: Map<string, RecordedAnswer> | null = null;
  #keys: Set<string> | null = null;

  constructor(
    readonly id: string,
    readonly session: SessionId,
    readonly no: number,
    readonly target: string,
    /** The object whose actor handles it; null for free-standing turns. */
    readonly oid: Oid | null,
    readonly nameAttempt: Attempt,
    readonly selector: string,
    readonly args: Bytes,
    readonly time: number,
    readonly origin: Origin,
  ) {}

  /** Everything that its attempts have read and written: oids, and names as `=name`. */
  get keys(): Set<string> {
    return (this.#keys ??= new Set());
  }

  record(key: string, answer: RecordedAnswer): void {
    (this.recorded ??= new Map()).set(key, answer);
  }

  toString(): string {
    return `${this.target || 'the function'}.${this.selector}`;
  }
}

const NOTHING: readonly string[] = [];

export const jobId = (session: number, no: number): string => `${session}.${no}`;

export function jobOf([, session, no, target, oid, nameAttempt, selector, args, time, , origin, , recorded]: Run): Job {
  const receiver = target === '' ? null : oid;
  const job = new Job(jobId(session, no), session, no, target, receiver, nameAttempt, selector, args, time, origin);
  for (const [key, ok, body] of recorded ?? []) job.record(key, { ok, body });
  return job;
}

/** Keys of all that a commit reads and writes. */
export function keysIn([reads, nameReads, , writes, nameWrites]: CommitBody): string[] {
  const keys: string[] = [...reads.map(([oid]) => oid), ...writes.map(([oid]) => oid)];
  for (const [name] of nameReads) keys.push(`=${name}`);
  for (const [name] of nameWrites) keys.push(`=${name}`);
  return keys;
}
