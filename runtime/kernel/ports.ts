/**
 * What the kernel needs from outside. The kernel itself is a state machine without clock, sockets, files or randomness of its own: every entry
 * takes `now` (ms on a clock that only goes forward; durations are measured on it), every effect leaves through these ports, synchronously and without waiting.
 */
import type { Bytes, SessionId, TelosError, ToClient, ToHost, ToService, WireError } from '../../protocol/index.js';
import type { GroupWrite, Key, KeyRange } from '../journal/index.js';

/** One life of a worker process, given by the wiring; fresh each time. */
export type HostId = number;
/** One greeting of a peer, given by the link server; fresh each time. */
export type PeerId = number;

export interface ProcessStatus {
  readonly name: string;
  readonly role: string;
  readonly pid: number;
  readonly incarnation: number;
  readonly state: string;
  readonly restarts: number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface KernelPorts {
  toClient(peer: PeerId, envelope: ToClient): void;
  /** The session is durable: let the peer in. */
  welcome(peer: PeerId, session: SessionId): void;
  refuse(peer: PeerId, error: WireError): void;
  toHost(host: HostId, envelope: ToHost): void;
  toService(worker: HostId, envelope: ToService): void;
  /** Answered by `appended` or `appendFailed`; never two at once. */
  append(group: GroupWrite): void;
  /** Answered by `readDone` with the same ticket. */
  read(ticket: number, keys: readonly Key[]): void;
  /** Answered by `pageDone` with the same ticket. */
  page(ticket: number, range: KeyRange, limit: number): void;
  /** Questions that only the wiring can answer (`status`, `verify`, `shutdown`); answered by `externalDone`. */
  external(ticket: number, op: string, args: readonly unknown[]): void;
  /** Messages wait for a quarantine host; also called again while they do. */
  needQuarantine(): void;
  /** The storage can not be trusted any more: nobody is answered, this life of the kernel ends. */
  fatal(error: TelosError): void;
  log(level: LogLevel, event: string, data: Record<string, unknown>): void;
  /** What the wall clock shows at `now`, ms since the epoch. Absent: `now` itself. */
  wallNow?(now: number): number;
}

/** Safety switched off, one piece at a time: only tests use this, to show that the simulation notices. */
export interface KernelFaults {
  readonly noValidation?: boolean;
  readonly noGate?: boolean;
  readonly noFencing?: boolean;
  readonly noSavedReplies?: boolean;
}

export interface ClientIdentity {
  /** Session to go on with, 0 for a new one. */
  readonly session: number;
  readonly key: string;
  readonly rights: readonly string[];
  readonly agent: string;
}

/** msgpack of the empty list, for messages without arguments. */
export const NO_ARGS: Bytes = Uint8Array.of(0x90);
