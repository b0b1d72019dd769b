/** What a turn is given, what it needs from its host, and what it ends in. */
import type {
  Attempt,
  Bytes,
  CommitBody,
  Content,
  NameState,
  Oid,
  Origin,
  SessionId,
  TelosError,
} from '../../protocol/index.js';
import type { CompiledMethod } from '../compartment/index.js';
import type { CachedObject } from './object.js';

/** The message that a turn handles. Each try of it is another turn. */
export interface TurnMessage {
  readonly session: SessionId;
  readonly no: number;
  /** As the sender wrote it; `''` for a free-standing turn. */
  readonly target: string;
  /** Null: free-standing, or the name is unknown. */
  readonly oid: Oid | null;
  readonly nameAttempt: Attempt;
  readonly selector: string;
  readonly args: Bytes;
  /** Arrival, ms since the epoch. */
  readonly time: number;
  readonly origin: Origin;
  /** Answers of services that earlier tries got, by key; null for none. */
  readonly recorded: ReadonlyMap<string, RecordedAnswer> | null;
}

export interface RecordedAnswer {
  readonly ok: boolean;
  readonly body: Content;
}

export interface TurnLimits {
  readonly runTimeMs: number;
  readonly fuel: number;
  readonly maxGrowBytes: number;
  readonly maxSends: number;
  readonly maxDepth: number;
  readonly maxWrites: number;
  /** Of the objects that it looks at, by estimate (CachedObject.memory). */
  readonly maxLoadedBytes: number;
  readonly maxBodyBytes: number;
  readonly maxValueDepth: number;
}

/** `resume` functions are called later, each in an event-loop turn of its own, so that no two turns interleave without need. */
export interface TurnPorts {
  /** The object, or undefined when it has to be loaded. */
  object(oid: Oid): CachedObject | undefined;
  name(name: string): NameState | undefined;
  /** `refused`: why one of them can't be loaded. */
  load(oids: readonly Oid[], names: readonly string[], resume: (refused?: TelosError) => void): void;
  service(request: ServiceRequest, resume: (answer: RecordedAnswer) => void): void;
  /** The turn waits for a service: its object may handle other messages meanwhile. */
  waiting(message: TurnMessage): void;
  /** @throws TelosError BAD_SOURCE */
  compile(source: string): CompiledMethod;
  /** Runs `task` in a later turn of the event loop. */
  defer(task: () => void): void;
  /** Runs `task` when all microtasks have run, before anything else does. */
  afterMicrotasks(task: () => void): void;
}

export interface ServiceRequest {
  readonly message: TurnMessage;
  /** Path of the send, position and digest. */
  readonly key: string;
  readonly service: string;
  readonly op: string;
  readonly args: Bytes;
}

/**
 * reply: to be committed. conflict: it read two states of `key`, so no commit of it could be accepted. missing: it read
 * synchronously what was not loaded (`oids`, `names`): load, and run it again. abandoned: nobody wants it any more.
 */
export type Outcome =
  | { readonly kind: 'reply'; readonly body: CommitBody; readonly ok: boolean }
  | { readonly kind: 'conflict'; readonly key: string }
  | { readonly kind: 'missing'; readonly oids: readonly Oid[]; readonly names: readonly string[] }
  | { readonly kind: 'abandoned' };
