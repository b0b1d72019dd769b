/** A request of a client session: what it asks, who hears of it, and where it stands. Only session.ts changes it. */
import { TelosError, type Bytes, type Content, type FromClient, type Origin } from '../../protocol/index.js';

export interface SessionLimits {
  /** Requests that may be outstanding; the kernel's welcome may lower it. */
  readonly window: number;
  /** Requests that may wait behind the window; more are refused BUSY. */
  readonly backlog: number;
  readonly defaultDeadlineMs: number;
  readonly maxDeadlineMs: number;
  /** Without the kernel for so long, the session is given up. */
  readonly giveUpMs: number;
  /** How long past a deadline a connected kernel is given to say so itself. */
  readonly graceMs: number;
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
}

export interface SessionPort {
  /** Hands an envelope to the link. False: the lane is full and it was not taken; it is offered again at the next tick. */
  send(envelope: FromClient): boolean;
  /** The session is dead: greet the kernel again, with `session.id`, which is 0 now. */
  greetAnew(): void;
}

/** Who hears of one request. `done` or `failed` is called exactly once. */
export interface Sink {
  done(body: Content, seq: number): void;
  failed(error: TelosError): void;
  /** A provisional part, counted from 1. Part 1 again: the message is run anew, what came before is void. */
  partial?(part: number, body: Content): void;
}

export interface AskSpec {
  readonly target: string;
  readonly selector: string;
  readonly args: Bytes;
  readonly origin: Origin;
  readonly deadlineMs?: number | undefined;
  readonly trace?: string | undefined;
}

export interface QuerySpec {
  readonly op: string;
  readonly args: Bytes;
  readonly deadlineMs?: number | undefined;
}

export const STATE = {
  NEW: 0,
  /** In the backlog, without a number. */
  WAITS: 1,
  /** Numbered, with the link. */
  SENT: 2,
  /** Numbered, to be sent again once `retryAt` has come. */
  RESEND: 3,
  SETTLED: 4,
} as const;
export type RequestState = (typeof STATE)[keyof typeof STATE];

/** One request. Opaque to the outside but for `no`. */
export class Request {
  /** Message number; 0 before the first sending. */
  no = 0;
  state: RequestState = STATE.NEW;
  retryAt = 0;
  tries = 0;
  cancelled = false;
  lastPart = 0;
  lastError: TelosError | null = null;

  constructor(
    readonly sink: Sink,
    /** Selector, or null for a query. */
    readonly selector: string | null,
    readonly target: string,
    readonly args: Bytes,
    readonly origin: Origin,
    public trace: string,
    readonly deadlineMs: number,
    public deadline: number,
  ) {}

  get settled(): boolean {
    return this.state === STATE.SETTLED;
  }

  describe(): string {
    if (this.selector === null) return `query ${this.target}`;
    return this.target === '' ? 'a turn' : `${this.target}.${this.selector}`;
  }
}

/** The numbers from `lowest` on below `next` that are not open, as pairs of first and last. `open` in order. */
export function settledRanges(lowest: number, next: number, open: Iterable<number>): number[] {
  const ranges: number[] = [];
  let from = lowest;
  for (const no of open) {
    if (no > from) ranges.push(from, no - 1);
    from = no + 1;
  }
  if (from < next) ranges.push(from, next - 1);
  return ranges;
}

/** The errors with which a request ends here and not at the kernel. */
export const endings = {
  cancelled: (r: Request): TelosError => new TelosError('CANCELLED', `${r.describe()} was cancelled by its sender`),

  forgotten: (r: Request): TelosError =>
    new TelosError('EXPIRED', `the kernel no longer knows the session in which ${r.describe()} was sent`),

  givenUp: (r: Request, awayMs: number): TelosError =>
    new TelosError(
      'OUTCOME_UNKNOWN',
      `the kernel was not reached for ${Math.round(awayMs / 360_000) / 10} h; ${r.describe()} is given up`,
    ),

  closed: (r: Request): TelosError =>
    new TelosError(
      'CLOSED',
      `the connection was closed before ${r.describe()} was answered`,
      r.no === 0 ? { remedy: 'it was never sent' } : {},
    ),

  noRoom: (r: Request, backlog: number): TelosError =>
    new TelosError('BUSY', `${backlog} requests wait already; ${r.describe()} found no room`, {
      remedy: 'await some of the answers before asking more',
    }),

  atDeadline(r: Request, connected: boolean): TelosError {
    const what = `${r.describe()} had ${r.deadlineMs} ms`;
    if (r.no !== 0) {
      return new TelosError('OUTCOME_UNKNOWN', `${what}, and the kernel could not be reached by then`, {
        details: { sent: true },
      });
    }
    if (!connected) {
      const remedy = 'it was never sent; see `telos status`, then send again';
      return new TelosError('OUTCOME_UNKNOWN', `${what}, and the kernel was not reached`, {
        remedy,
        details: { sent: false },
      });
    }
    const remedy = 'await some of the answers before asking more, or set a longer deadline';
    return new TelosError('DEADLINE', `${what}, and waited all of it for room in the window`, { remedy });
  },
};
