/** What the two ends of a link take and call. */
import type { Envelope } from '../envelope.js';
import type { Hello, Welcome } from '../frames.js';
import type { LinkKind, ReconnectTimes } from '../link.js';
import type { TelosError, WireError } from '../errors.js';

/** Fresh for each greeting of a peer. */
export type PeerId = number;
export type LogLevel = 'info' | 'warn' | 'error';
export type LinkLog = (level: LogLevel, event: string, data: object) => void;

export interface LinkServerHandlers {
  /** A peer greets; `remoteKey` is the CURVE key that it names and that a connection proved to have ('' without CURVE). Answer with welcome or refuse. */
  hello(peer: PeerId, hello: Hello, remoteKey: string): void;
  /** Undecoded by type: check each with validate.ts. Byte strings are views on the frame. */
  work(peer: PeerId, envelopes: unknown[]): void;
  /** The peer fell silent, broke the protocol, or greeted anew under a new PeerId. */
  lost(peer: PeerId, why: string): void;
  goodbye(peer: PeerId): void;
  /** An envelope to this peer fits no frame and was not sent: whoever waits for it has to be told. */
  unsent(peer: PeerId, envelope: Envelope, error: TelosError): void;
  log: LinkLog;
}

export interface LinkServerOptions {
  /** `tcp://127.0.0.1:PORT`, or `:*` for any free port. */
  readonly endpoint: string;
  readonly curve: { readonly publicKey: string; readonly secretKey: string } | null;
  /** Whether a CURVE key (Z85) is let in at all. Called for every connection. */
  admit(key: string): boolean;
  readonly heartbeatIntervalMs: number;
  readonly liveness: number;
  readonly maxFrameBytes: number;
  /** Envelopes queued for one peer. */
  readonly laneLimit: number;
}

export interface LinkClientHandlers {
  /** Also after every reconnect: send again what is unanswered. */
  welcomed(welcome: Welcome): void;
  work(envelopes: unknown[]): void;
  lost(why: string): void;
  /** The kernel refuses this peer. It is tried again, at the longest back-off. */
  refused(error: WireError): void;
  /** An envelope fits no frame and was not sent: whoever waits for it has to be told. */
  unsent(envelope: Envelope, error: TelosError): void;
  log: LinkLog;
}

export interface LinkClientOptions {
  /** A function is asked anew at each attempt: a restarted kernel may listen elsewhere. */
  readonly endpoint: string | (() => Promise<string>);
  readonly curve: { readonly serverKey: string; readonly publicKey: string; readonly secretKey: string } | null;
  /** Called at each greeting. */
  hello(): Hello;
  readonly kind: LinkKind;
  /** Pauses between attempts; those of the kind when absent. */
  readonly reconnect?: ReconnectTimes;
  /** This and the next two hold until the welcome, which brings the kernel's own. */
  readonly heartbeatIntervalMs: number;
  readonly liveness: number;
  readonly maxFrameBytes: number;
  readonly laneLimit: number;
}
