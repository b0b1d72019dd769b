/**
 * The one writer of a server's socket.
 *
 *   N1  one send at a time, in order per peer; what is queued within one tick of the event loop leaves in few frames.
 *   N2  a send that fails concerns its peer only: unknown to ZeroMQ → gone; its buffers full → the frame waits, goes first when
 *       the peer is tried again, and the lane of that peer alone fills up.
 */
import type { Router } from 'zeromq';
import type { Parts } from './frame.js';
import type { Peer } from './peer.js';
import type { LinkLog } from './types.js';

/** Pause before a peer whose buffers were full is tried again. */
const RETRY_MS = 2;

type Outcome = 'sent' | 'full' | 'gone';

export class Sender {
  private readonly dirty = new Set<Peer>();
  private readonly retries = new Set<NodeJS.Timeout>();
  private flushing = false;
  private scheduled = false;
  private closed = false;

  constructor(
    private readonly socket: Router,
    private readonly gone: (peer: Peer) => void,
    private readonly log: LinkLog,
  ) {}

  /** Something waits for this peer. */
  mark(peer: Peer): void {
    if (peer.blocked) return;
    const first = !this.dirty.has(peer);
    this.dirty.add(peer);
    this.schedule();
    if (!this.flushing && !this.closed && peer.lane.urgent(first)) void this.sendNow(peer);
  }

  forget(peer: Peer): void {
    this.dirty.delete(peer);
  }

  close(): void {
    this.closed = true;
    for (const timer of this.retries) clearTimeout(timer);
  }

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      void this.flush();
    });
  }

  /** One frame, before the end of the tick. */
  private async sendNow(peer: Peer): Promise<void> {
    this.flushing = true;
    try {
      if (!(await this.drain(peer, 1))) this.retryLater(peer);
    } finally {
      this.flushing = false;
    }
  }

  private async flush(): Promise<void> {
    if (this.flushing) return this.schedule();
    this.flushing = true;
    try {
      for (const peer of this.dirty) {
        this.dirty.delete(peer);
        if (!(await this.drain(peer))) this.retryLater(peer);
      }
    } finally {
      this.flushing = false;
    }
    if (this.dirty.size > 0) this.schedule();
  }

  /** False: the peer's buffers are full. */
  private async drain(peer: Peer, frames = Number.POSITIVE_INFINITY): Promise<boolean> {
    for (let sent = 0; sent < frames && !this.closed; sent++) {
      const parts = peer.next();
      if (parts === undefined) return true;
      const outcome = await this.attempt(peer, parts);
      if (outcome === 'full') {
        peer.unsent = parts;
        return false;
      }
      if (outcome === 'gone') {
        if (!this.closed) this.gone(peer);
        return true;
      }
    }
    return true;
  }

  private async attempt(peer: Peer, parts: Parts): Promise<Outcome> {
    try {
      await this.socket.send([peer.routing, parts[0], parts[1]]);
      return 'sent';
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') return 'full';
      if (code !== 'EHOSTUNREACH' && !this.closed) {
        this.log('error', 'link.send-failed', { peer: peer.id, error: String(error) });
      }
      return 'gone';
    }
  }

  private retryLater(peer: Peer): void {
    peer.blocked = true;
    const timer = setTimeout(() => {
      this.retries.delete(timer);
      peer.blocked = false;
      this.mark(peer);
    }, RETRY_MS);
    this.retries.add(timer);
  }
}
