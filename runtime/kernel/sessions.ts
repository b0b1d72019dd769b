/**
 * Owns: the sessions, and what of each is under way. Doesn't own: the answers saved for them (replies.ts).
 *
 *   S1  A number has at most one message under way and at most one saved answer; a repeat joins the one or gets the other.
 *   S2  An answer that a turn wrote, and every error, is in the journal before it leaves; it is kept until the sender's lowest
 *       number passes it or the session ends.
 *   S3  Numbers below `lowest`, and released ones, are refused `EXPIRED`, never run; nothing is kept for them.
 *   S4  What is under way for one session, and for all, is bounded in number and in bytes of arguments, and so are the answers of which it has
 *       not said that it got them: past that `BUSY`.
 */
import { TelosError, type Recorded, type SessionId } from '../../protocol/index.js';
import type { Message } from './message.js';
import type { PeerId } from './ports.js';
import type { Replies, SavedReply } from './replies.js';

export interface Session {
  readonly id: SessionId;
  key: string;
  agent: string;
  rights: readonly string[];
  /** 0: not connected. */
  peer: PeerId;
  lowest: number;
  /** Numbers above it that the sender waits for no more: [first, last, first, last, …], ascending. */
  released: readonly number[];
  /** Wall time, ms since the epoch: it outlives the kernel. */
  lastHeard: number;
  readonly replies: Map<number, SavedReply>;
  /** Set and taken away by `begin` and `finish` only, but for the kernel's own. */
  readonly inFlight: Map<number, Message>;
  /** Of their arguments. */
  inFlightBytes: number;
  /** Of answers that are whole in memory: also of those that wait for their turn to be durable, or for their own key. */
  answerBytes: number;
  /** What the journal holds of it has been read (a session of this life has nothing there to read). */
  loaded: boolean;
  /** Recorded answers of services of requests that an earlier life did not finish. */
  readonly recorded: Map<number, Recorded[]>;
}

export function newSession(id: SessionId, key: string, agent: string, lastHeard: number): Session {
  return {
    id,
    key,
    agent,
    rights: [],
    peer: 0,
    lowest: 1,
    released: [],
    lastHeard,
    replies: new Map(),
    inFlight: new Map(),
    inFlightBytes: 0,
    answerBytes: 0,
    loaded: true,
    recorded: new Map(),
  };
}

export type Admission =
  { kind: 'new' } | { kind: 'joined' } | { kind: 'saved'; reply: SavedReply } | { kind: 'refused'; error: TelosError };

export interface SessionLimits {
  readonly window: number;
  readonly windowBytes: number;
  readonly maxInFlightBytes: number;
}

export class Sessions {
  readonly byId = new Map<SessionId, Session>();
  /** Their time is over, and the journal has them still. */
  readonly ending = new Set<SessionId>();
  readonly #byPeer = new Map<PeerId, Session>();
  #inFlightBytes = 0;

  constructor(
    private readonly limits: SessionLimits,
    private readonly replies: Replies,
  ) {}

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  ofPeer(peer: PeerId): Session | undefined {
    return this.#byPeer.get(peer);
  }

  attach(session: Session, peer: PeerId): void {
    if (session.peer !== 0) this.#byPeer.delete(session.peer);
    session.peer = peer;
    this.#byPeer.set(peer, session);
  }

  detach(peer: PeerId): Session | undefined {
    const session = this.#byPeer.get(peer);
    if (session === undefined) return undefined;
    this.#byPeer.delete(peer);
    session.peer = 0;
    return session;
  }

  connected(): number {
    return this.#byPeer.size;
  }

  /** @returns the numbers whose answers have keys, for deletion */
  end(session: Session): number[] {
    const persisted = [...session.replies.values()].filter((reply) => reply.persisted).map(({ no }) => no);
    if (session.peer !== 0) this.#byPeer.delete(session.peer);
    session.peer = 0;
    this.byId.delete(session.id);
    for (const reply of session.replies.values()) this.replies.drop(reply);
    return persisted;
  }

  /** A message of a client is under way, from now until `finish`. */
  begin(session: Session, message: Message): void {
    session.inFlight.set(message.no, message);
    session.inFlightBytes += message.args.length;
    this.#inFlightBytes += message.args.length;
  }

  finish(session: Session, message: Message): void {
    if (session.inFlight.get(message.no) !== message) return;
    session.inFlight.delete(message.no);
    if (message.owner === null) return;
    session.inFlightBytes -= message.args.length;
    this.#inFlightBytes -= message.args.length;
  }

  /**
   * What is to be done with a request under this number, with so many bytes of arguments. Moves `lowest` and drops the replies below it.
   * @returns the persisted replies that were dropped, for deletion, through `dropped`
   */
  admit(session: Session, no: number, lowest: number, bytes: number, dropped: (no: number) => void): Admission {
    if (lowest > session.lowest) this.#raiseLowest(session, Math.min(lowest, no), dropped);
    if (no < session.lowest) {
      return {
        kind: 'refused',
        error: new TelosError(
          'EXPIRED',
          `request ${no} of session ${session.id} is below ${session.lowest}, the lowest that its sender waits for`,
        ),
      };
    }
    const reply = session.replies.get(no);
    if (reply !== undefined) return { kind: 'saved', reply };
    if (session.inFlight.has(no)) return { kind: 'joined' };
    if (isReleased(session, no))
      return {
        kind: 'refused',
        error: new TelosError('EXPIRED', `request ${no} of session ${session.id} was released by its sender`),
      };
    const why = this.#full(session, bytes);
    return why === null ? { kind: 'new' } : { kind: 'refused', error: new TelosError('BUSY', why) };
  }

  /** The sender names all the numbers whose answers it has: they need not be kept, whatever older request is open still. */
  release(session: Session, ranges: readonly number[], dropped: (no: number) => void): void {
    session.released = ranges.slice(0, 2 * (this.limits.window + 1));
    for (const reply of session.replies.values()) {
      if (!isReleased(session, reply.no)) continue;
      this.replies.drop(reply);
      if (reply.persisted) dropped(reply.no);
    }
  }

  /** Why no more of it may be under way now, with the limit; null when it may. */
  #full(session: Session, bytes: number): string | null {
    const { inFlight, replies, inFlightBytes, answerBytes, id } = session;
    const { window, windowBytes, maxInFlightBytes } = this.limits;
    if (inFlight.size + replies.size >= window * 2 || inFlight.size >= window)
      return `session ${id} has ${inFlight.size} requests under way and ${replies.size} answers kept; message.window is ${window}`;
    if (inFlightBytes + bytes > windowBytes)
      return `session ${id} has ${inFlightBytes} bytes of arguments under way and sends ${bytes} more; message.window_bytes is ${windowBytes}`;
    if (answerBytes > windowBytes)
      return `session ${id} has not said that it got ${answerBytes} bytes of answers; message.window_bytes is ${windowBytes}`;
    if (this.#inFlightBytes + bytes > maxInFlightBytes)
      return `${this.#inFlightBytes} bytes of arguments are under way and ${bytes} more come; kernel.max_in_flight_bytes is ${maxInFlightBytes}`;
    return null;
  }

  #raiseLowest(session: Session, lowest: number, dropped: (no: number) => void): void {
    const { replies } = session;
    const drop = (reply: SavedReply): void => {
      this.replies.drop(reply);
      if (reply.persisted) dropped(reply.no);
    };
    // Whichever is shorter: the numbers that were passed, or the answers that are kept.
    if (lowest - session.lowest <= replies.size) {
      for (let no = session.lowest; no < lowest; no++) {
        const reply = replies.get(no);
        if (reply) drop(reply);
      }
    } else for (const reply of replies.values()) if (reply.no < lowest) drop(reply);
    session.lowest = lowest;
  }
}

/** Does its sender wait for this number no more? */
export const isPassed = (session: Session, no: number): boolean => no < session.lowest || isReleased(session, no);

function isReleased({ released }: Session, no: number): boolean {
  let low = 0;
  let high = released.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((released[2 * middle + 1] as number) < no) low = middle + 1;
    else high = middle;
  }
  return 2 * low < released.length && (released[2 * low] as number) <= no;
}
