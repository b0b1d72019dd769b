/** A message under way: an ask of a client, an outbox message, or a timer. Lives from its arrival until its answer is accepted. */
import type { Attempt, Bytes, Oid, Origin, Recorded, SessionId } from '../../protocol/index.js';
import type { Key } from '../journal/index.js';
import type { HostState } from './router.js';
import type { Session } from './sessions.js';

export type MessageState = 'waiting' | 'running' | 'done';

export interface Message {
  readonly session: SessionId;
  readonly no: number;
  readonly origin: Origin;
  /** Who sent it, for people: program and key of a client, or the turn that sent an outbox message. */
  readonly sender: string;
  /** Null for the kernel's own session. */
  readonly owner: Session | null;
  readonly target: string;
  oid: Oid | null;
  nameAttempt: Attempt;
  selector: string;
  /** Empty once it has ended: lists in which it still stands may be long. */
  args: Bytes;
  /** Arrival, by the wall clock, ms since the epoch. */
  readonly time: number;
  /** On the kernel's own clock, which only goes forward; Infinity for none. */
  deadline: number;
  /** What the sender allowed, ms: each partial answer renews it. */
  readonly patience: number;
  readonly trace: string;
  /** Key of the outbox message or timer that goes with the commit. */
  readonly consumed: Key | null;
  /** Answers of services that earlier attempts got. */
  recorded: Recorded[];
  state: MessageState;
  host: HostState | null;
  /** It was on a host that died: runs in quarantine only. */
  suspect: boolean;
  /** In quarantine: it has asked a service, and no answer was sent to it since. */
  waitsForService: boolean;
  /** Its host died while it was not the only one there: from now on it is alone in quarantine, also while it waits. */
  alone: boolean;
  strikes: number;
  history: [time: number, event: string][];
  /** Do not dispatch again before this time (outbox messages and timers that were declined). */
  notBefore: number;
  declined: number;
}

/** The state of a message that no host has seen. */
export const notBegun = (): Pick<
  Message,
  'state' | 'host' | 'suspect' | 'waitsForService' | 'alone' | 'strikes' | 'history' | 'notBefore' | 'declined'
> => ({
  state: 'waiting',
  host: null,
  suspect: false,
  waitsForService: false,
  alone: false,
  strikes: 0,
  history: [],
  notBefore: 0,
  declined: 0,
});

/** For hashing an oid to a shard: FNV-1a over its UTF-16 units. */
export function shardOf(text: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}
