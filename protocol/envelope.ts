/**
 * The envelopes: what one process asks of or tells another. Each is a positional msgpack array whose first element is its type.
 * A WORK frame carries a frame number and any number of envelopes (see frames.ts).
 *
 * `bytes` below are opaque to whoever routes them: msgpack of a value (values.ts), or of a list of values for arguments.
 * Layouts are drawn in README.md; a position is never reused for another meaning within one protocol version.
 */
import type { WireError } from './errors.js';

declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** `#` and then letters, digits and dots. Never reused. */
export type Oid = Brand<string, 'Oid'>;
/** (kernel incarnation × 2^32 + counter); 0 is the kernel's own session, of outbox messages, timers and undo. */
export type SessionId = Brand<number, 'SessionId'>;
/** (host incarnation × 2^32 + counter): names one attempt at one message. 0 stands for "absent". */
export type Attempt = Brand<number, 'Attempt'>;
/** Place of a turn in the journal, from 1. */
export type Seq = Brand<number, 'Seq'>;

export type Bytes = Uint8Array;

/** A slot's content: a primitive value as itself, everything else as msgpack bytes of its wire form (see values.ts). */
export type Content = null | boolean | number | bigint | string | Bytes;

/** What kind of sender an ask comes from. */
export const ORIGIN = { PROGRAM: 0, REPL: 1, CANVAS: 2, OUTBOX: 3, TIMER: 4 } as const;
export type Origin = (typeof ORIGIN)[keyof typeof ORIGIN];

export const T = {
  // client to kernel
  ASK: 1,
  CANCEL: 2,
  SUBSCRIBE: 3,
  CREDIT: 4,
  UNSUBSCRIBE: 5,
  QUERY: 6,
  RELEASE: 7,
  // kernel to client
  ANSWER: 16,
  ERROR: 17,
  PARTIAL: 18,
  NOTICE: 19,
  UNSUBSCRIBED: 20,
  // kernel to host
  RUN: 32,
  LOADED: 33,
  VERDICT: 34,
  CHANGED: 35,
  NAMED: 36,
  GRANT: 37,
  RETRY: 38,
  STOP_RUN: 39,
  SERVICE_ANSWER: 40,
  SHUTDOWN: 41,
  // host to kernel
  LOAD: 48,
  COMMIT: 49,
  DROPPED: 50,
  GRANT_REQUEST: 51,
  SERVICE: 52,
  HOST_PARTIAL: 54,
  DECLINED: 55,
  HOST_STATS: 56,
  // kernel to service worker, and back
  SERVE: 64,
  SERVED: 65,
} as const;

// ---- client to kernel ----------------------------------------------------------------------------------------------------

/**
 * A message to an object. `target` is a name, an oid, or `''` for a free-standing turn (selector `turn`, first argument its
 * source). `lowest`: the lowest number that the sender still waits for. `deadline`: milliseconds left. `args`: msgpack list.
 */
export type Ask = [
  type: typeof T.ASK,
  no: number,
  lowest: number,
  deadline: number,
  trace: string,
  target: string,
  selector: string,
  args: Bytes,
  origin: Origin,
];
export type Cancel = [type: typeof T.CANCEL, no: number];
/** `pattern`: a name, an oid, or `*`. At most `credit` notices are sent until more credit comes. */
export type Subscribe = [type: typeof T.SUBSCRIBE, sub: number, pattern: string, credit: number];
export type Credit = [type: typeof T.CREDIT, sub: number, credit: number];
export type Unsubscribe = [type: typeof T.UNSUBSCRIBE, sub: number];
/** A question to the kernel itself: `op` is one of QUERY_OPS, `args` a msgpack list. Shares the number space of asks. */
export type Query = [type: typeof T.QUERY, no: number, lowest: number, deadline: number, op: string, args: Bytes];

/**
 * All numbers above `lowest` whose answers have come, [first, last, first, last, …] in ascending order: the kernel need not keep those answers,
 * though an older request is open still.
 */
export type Release = [type: typeof T.RELEASE, ranges: number[]];

// ---- kernel to client ----------------------------------------------------------------------------------------------------

/** `seq`: the turn that wrote, or 0. */
export type Answer = [type: typeof T.ANSWER, no: number, body: Content, seq: number];
export type ErrorAnswer = [type: typeof T.ERROR, no: number, error: WireError];
/** One part of a streamed answer, numbered from 1; provisional until the ANSWER of the same `no`. */
export type Partial_ = [type: typeof T.PARTIAL, no: number, part: number, body: Content];
/** A durable turn changed what `sub` watches. `changes`: [oid, [slot, …], …]. `part` counts from 1; a gap means lost credit. */
export type Notice = [
  type: typeof T.NOTICE,
  sub: number,
  part: number,
  seq: number,
  time: number,
  changes: (string | string[])[],
];

/** The subscription was refused: there will be no notices of it. */
export type Unsubscribed = [type: typeof T.UNSUBSCRIBED, sub: number, error: WireError];

// ---- kernel to host ------------------------------------------------------------------------------------------------------

/**
 * Run this message. `oid` is the receiver (resolved from `target` by the kernel if it could; else null, and the host answers
 * UNKNOWN_NAME as a turn). `nameAttempt`: the attempt that made the name, to be reported as a read. `time`: arrival, ms since the epoch. `deadline`: ms left, 0 for
 * none. `recorded`: answers of services that earlier attempts got, [key, ok, body] each.
 */
export type Run = [
  type: typeof T.RUN,
  session: SessionId,
  no: number,
  target: string,
  oid: Oid | null,
  nameAttempt: Attempt,
  selector: string,
  args: Bytes,
  time: number,
  deadline: number,
  origin: Origin,
  trace: string,
  recorded: Recorded[] | null,
];
export type Recorded = [key: string, ok: boolean, body: Content];
/** Slots of one object, flattened: [slot, attempt, version, content, slot, …]. */
export type SlotRow = string | Attempt | number | Content;
/** `shape` and `parents`: attempts that last changed which slots there are, and any parent slot. `slots` null: no such object. */
export type ObjectState = [oid: Oid, shape: Attempt, parents: Attempt, slots: SlotRow[] | null];
export type NameState = [name: string, oid: Oid | null, attempt: Attempt];
/**
 * What a LOAD asked for, in one or several of these, each key once. `refused`: objects that fit no frame, which can be only when the limits were
 * lowered after they were stored.
 */
export type Loaded = [
  type: typeof T.LOADED,
  request: number,
  objects: ObjectState[],
  names: NameState[],
  refused: [oid: Oid, error: WireError][],
];
export const VERDICT = { ACCEPTED: 0, CONFLICT: 1, GRANTED: 2, VOID: 3 } as const;
export type Verdict_ = (typeof VERDICT)[keyof typeof VERDICT];
/**
 * ACCEPTED: in the journal's order (perhaps not yet durable). CONFLICT: `stale` names the oids and names (as `=name`) whose cached
 * state to drop. GRANTED: another turn holds a grant there; run again when RETRY comes. VOID: the message is answered already.
 */
export type Verdict = [type: typeof T.VERDICT, attempt: Attempt, verdict: Verdict_, stale: string[]];
/**
 * Another host's accepted turn changed an object that this host holds. What fits no frame comes in several, all but the last with shape and
 * parents 0.
 */
export type Changed = [type: typeof T.CHANGED, oid: Oid, shape: Attempt, parents: Attempt, changes: SlotChange[]];
export type SlotChange = [slot: string, attempt: Attempt, version: number, removed: boolean, content: Content];
export type Named = [type: typeof T.NAMED, name: string, oid: Oid | null, attempt: Attempt];
/** The grant that this message asked for is held now. */
export type Grant = [type: typeof T.GRANT, session: SessionId, no: number];
/** What blocked this attempt (verdict GRANTED) has ended: run the message again. */
export type Retry = [type: typeof T.RETRY, session: SessionId, no: number];
/** Abandon the message: cancelled, or past its deadline; no commit of it will be accepted. */
export type StopRun = [type: typeof T.STOP_RUN, session: SessionId, no: number];
export type ServiceAnswer = [type: typeof T.SERVICE_ANSWER, request: number, ok: boolean, body: Content];
/** End in order within `deadline` ms: finish running turns, say GOODBYE, exit. */
export type Shutdown = [type: typeof T.SHUTDOWN, deadline: number];

// ---- host to kernel ------------------------------------------------------------------------------------------------------

export type Load = [type: typeof T.LOAD, request: number, oids: Oid[], names: string[]];
/** `body`: msgpack of a CommitBody. */
export type Commit = [type: typeof T.COMMIT, attempt: Attempt, session: SessionId, no: number, body: Bytes];
/** The host no longer holds these. */
export type Dropped = [type: typeof T.DROPPED, oids: Oid[]];
/** Asks for a grant on all that the attempts of this message read and wrote: oids, and names as `=name`. */
export type GrantRequest = [type: typeof T.GRANT_REQUEST, session: SessionId, no: number, keys: string[]];
/**
 * `key`: path of the send, position and digest of the request, joined; the idempotency key together with (session, no). From then on, until
 * an answer is sent to it, the message counts as one that waits.
 */
export type Service = [
  type: typeof T.SERVICE,
  request: number,
  session: SessionId,
  no: number,
  key: string,
  service: string,
  op: string,
  args: Bytes,
];
export type HostPartial = [type: typeof T.HOST_PARTIAL, session: SessionId, no: number, part: number, body: Content];
/** The host did not run the message: a retryable error (BUSY, CONFLICT). Not saved. */
export type Declined = [type: typeof T.DECLINED, session: SessionId, no: number, error: WireError];
export type HostStats = [type: typeof T.HOST_STATS, stats: Record<string, number>];

// ---- kernel to service worker ---------------------------------------------------------------------------------------------

export type Serve = [type: typeof T.SERVE, request: number, key: string, op: string, args: Bytes];
/** `part` 0 ends it; parts above 0 are partial answers. */
export type Served = [type: typeof T.SERVED, request: number, part: number, ok: boolean, body: Content];

export type FromClient = Ask | Cancel | Subscribe | Credit | Unsubscribe | Query | Release;
export type ToClient = Answer | ErrorAnswer | Partial_ | Notice | Unsubscribed;
export type ToHost = Run | Loaded | Verdict | Changed | Named | Grant | Retry | StopRun | ServiceAnswer | Shutdown;
export type FromHost = Load | Commit | Dropped | GrantRequest | Service | HostPartial | Declined | HostStats;
export type ToService = Serve | Shutdown;
export type FromService = Served;
export type Envelope = FromClient | ToClient | ToHost | FromHost | ToService | FromService;

// ---- the commit body -------------------------------------------------------------------------------------------------------

/** Slots that the turn read, by object: [slot, attempt, slot, attempt, …]; attempt 0: looked up and found absent. */
export type ReadSet = [oid: Oid, reads: (string | Attempt)[]];
/** Pseudo slots of a read set: a listing reads the shape, a look-up that goes on in the parents reads the parents' version. */
export const SHAPE = '';
export const PARENTS = '*';

export const WRITE = { SET: 0, REMOVE: 1, PATCH: 2 } as const;
/** SET: payload is the content. REMOVE: payload null. PATCH: payload is a patch (patch.ts) against the content that was read. */
export type SlotWrite = [slot: string, op: (typeof WRITE)[keyof typeof WRITE], payload: Content];
export type WriteSet = [oid: Oid, writes: SlotWrite[]];
export type NameRead = [name: string, attempt: Attempt];
/** oid null removes the name. */
export type NameWrite = [name: string, oid: Oid | null];
/** A message that leaves with the commit. `target` is an oid. */
export type Outgoing = [target: Oid, selector: string, args: Bytes];
/** `delay`: ms after the time of the commit. */
export type NewTimer = [delay: number, target: Oid, selector: string, args: Bytes];
/** ok: body is the answer; not ok: body is null and error is set. */
export type Reply = [ok: true, body: Content, error: null] | [ok: false, body: null, error: WireError];

export type CommitBody = [
  reads: ReadSet[],
  nameReads: NameRead[],
  creates: Oid[],
  writes: WriteSet[],
  nameWrites: NameWrite[],
  outbox: Outgoing[],
  timers: NewTimer[],
  reply: Reply,
];

// ---- questions to the kernel ------------------------------------------------------------------------------------------------

/** `[argument, …] -> answer`; each is described in README.md. */
export const QUERY_OPS = [
  'status',
  'inspect',
  'history',
  'names',
  'journal',
  'undo',
  'verify',
  'deadLetters',
  'deadLetterRetry',
  'deadLetterDrop',
  'shutdown',
] as const;
export type QueryOp = (typeof QUERY_OPS)[number];

const TWO_32 = 2 ** 32;
export const makeAttempt = (incarnation: number, counter: number): Attempt =>
  (incarnation * TWO_32 + counter) as Attempt;
export const makeSession = (incarnation: number, counter: number): SessionId =>
  (incarnation * TWO_32 + counter) as SessionId;
export const incarnationOf = (id: Attempt | SessionId): number => Math.floor(id / TWO_32);
export const ABSENT = 0 as Attempt;
export const KERNEL_SESSION = 0 as SessionId;
