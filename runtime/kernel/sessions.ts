/**
 * Owns: the sessions, the answers saved for them, and what of each is under way.
 *
 *   S1  A number has at most one message under way and at most one saved answer; a repeat joins the one or gets the other.
 *   S2  An answer that a turn wrote, and every error, is in the journal before it leaves; it is kept until the sender's lowest
 *       number passes it or the session ends.
 *   S3  Numbers below `lowest` are refused `EXPIRED`, never run.
 */
import { TelosError, type Content, type Recorded, type SessionId, type WireError } from '../../protocol/index.js';
import type { Message } from './message.js';
import type { PeerId } from './ports.js';

export interface SavedReply {
  /** The turn that holds it, 0 for one that wrote nothing and is kept in memory only. */
  readonly seq: number;
  readonly body: Content;
  readonly error: WireError | null;
  /** The gate is open: it may leave. */
  open: boolean;
  /** It stands under a key of its own, and no replay is needed to find it. */
  persisted: boolean;
}

export interface Session {
  readonly id: SessionId;
  key: string;
  agent: string;
  rights: readonly string[];
  /** 0: not connected. */
  peer: PeerId;
  lowest: number;
  lastHeard: number;
  readonly replies: Map<number, SavedReply>;
  readonly inFlight: Map<number, Message>;
  /** What the journal holds of it has been read (a session of this life has nothing there to read). */
  loaded: boolean;
  /** Recorded answers of services of requests that an earlier life did not finish. */
  readonly recorded: Map<number, Recorded[]>;
}

export function newSession(id: SessionId, key: string, agent: string, now: number): Session {
  return {
    id,
    key,
    agent,
    rights: [],
    peer: 0,
    lowest: 1,
    lastHeard: now,
    replies: new Map(),
    inFlight: new Map(),
    loaded: true,
    recorded: new Map(),
  };
}

export type Admission =
  { kind: 'new' } | { kind: 'joined' } | { kind: 'saved'; reply: SavedReply } | { kind: 'refused'; error: TelosError };

export class Sessions {
  readonly byId = new Map<SessionId, Session>();
  readonly #byPeer = new Map<PeerId, Session>();

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

  end(session: Session): void {
    if (session.peer !== 0) this.#byPeer.delete(session.peer);
    session.peer = 0;
    this.byId.delete(session.id);
  }

  /**
   * What is to be done with a request under this number. Moves `lowest` and drops the replies below it.
   * @returns the persisted replies that were dropped, for deletion, through `dropped`
   */
  admit(session: Session, no: number, lowest: number, window: number, dropped: (no: number) => void): Admission {
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
    if (session.inFlight.size + session.replies.size >= window * 2 || session.inFlight.size >= window) {
      return {
        kind: 'refused',
        error: new TelosError(
          'BUSY',
          `session ${session.id} has ${session.inFlight.size} requests under way and ${session.replies.size} answers kept; its window is ${window}`,
        ),
      };
    }
    return { kind: 'new' };
  }

  #raiseLowest(session: Session, lowest: number, dropped: (no: number) => void): void {
    session.lowest = lowest;
    for (const [no, reply] of session.replies) {
      if (no >= lowest) continue;
      session.replies.delete(no);
      if (reply.persisted) dropped(no);
    }
  }
}
