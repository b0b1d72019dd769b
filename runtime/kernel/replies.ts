/**
 * Owns: the answers saved for sessions: which of them are whole in memory, and which must still get a key of their own.
 *
 *   P1  The answer of a turn that wrote is whole in memory until it stands under its own key, which is before the replay mark passes its
 *       turn. Then only the fact is kept here, and a repeat gets it from there.
 *   P2  An answer that nobody waits for any more leaves memory at once, and gets no key.
 *   P3  Answers of turns that wrote nothing are bounded for each session by what it is let in with (sessions.ts, S4). All together they take at most
 *       `maxReadBytes`: past it the oldest go, so that a few who never say what they have got can't keep all others out; who repeats such a
 *       request runs it anew. Those of turns that wrote are bounded by how far the replay mark may lag (groups.ts, G5).
 */
import { type Content, type WireError } from '../../protocol/index.js';
import { encodeRecord, keys, type Put, type ReplyRecord } from '../journal/index.js';
import type { Session } from './sessions.js';

export interface SavedReply {
  readonly session: Session;
  readonly no: number;
  /** The turn that holds it, 0 for one that wrote nothing and is kept in memory only. */
  readonly seq: number;
  body: Content;
  error: WireError | null;
  /** The gate is open: it may leave. */
  open: boolean;
  /** It stands under a key of its own, or is on its way there: no replay is needed to find it. */
  persisted: boolean;
  /** Body and error are under that key only. */
  stored: boolean;
  /** Its sender may still ask for it. */
  wanted: boolean;
  /** What it takes in memory. */
  bytes: number;
}

/** What an answer takes beside its content. */
const OVERHEAD_BYTES = 256;

export class Replies {
  /** Of turns that wrote, in their order, until they have keys; entries before `unsavedHead` are done. */
  #unsaved: SavedReply[] = [];
  #unsavedHead = 0;
  /** Of turns that wrote nothing, oldest first. */
  readonly #reads = new Set<SavedReply>();
  #readBytes = 0;
  #writtenBytes = 0;

  constructor(private readonly maxReadBytes: number) {}

  /** Bytes of answers that are whole in memory. */
  get bytes(): number {
    return this.#readBytes + this.#writtenBytes;
  }

  keep(session: Session, no: number, seq: number, body: Content, error: WireError | null, open: boolean): SavedReply {
    const bytes = OVERHEAD_BYTES + sizeOf(body) + (error === null ? 0 : error[2].length * 2);
    const reply: SavedReply = {
      ...{ session, no, seq, body, error, open, bytes },
      persisted: false,
      stored: false,
      wanted: true,
    };
    session.replies.set(no, reply);
    if (seq > 0) {
      this.#unsaved.push(reply);
      this.#writtenBytes += bytes;
    } else {
      this.#reads.add(reply);
      this.#readBytes += bytes;
      session.readBytes += bytes;
      if (this.#readBytes > this.maxReadBytes) this.#forgetReads();
    }
    return reply;
  }

  /** One that an earlier life has saved. */
  adopt(session: Session, no: number, seq: number): void {
    session.replies.set(no, {
      ...{ session, no, seq, body: null, error: null, bytes: 0 },
      open: true,
      persisted: true,
      stored: true,
      wanted: true,
    });
  }

  /** P2. Its key, if it has one, is the caller's to delete. */
  drop(reply: SavedReply): void {
    reply.session.replies.delete(reply.no);
    reply.wanted = false;
    this.#unload(reply);
  }

  #unload(reply: SavedReply): void {
    if (reply.seq > 0) this.#writtenBytes -= reply.bytes;
    else if (this.#reads.delete(reply)) {
      this.#readBytes -= reply.bytes;
      reply.session.readBytes -= reply.bytes;
    }
    reply.bytes = 0;
    reply.body = null;
    reply.error = null;
  }

  /** P3 */
  #forgetReads(): void {
    for (const reply of this.#reads) {
      if (this.#readBytes <= this.maxReadBytes) return;
      if (reply.open) this.drop(reply);
    }
  }

  /** Keys for the answers of all turns before `mark`. The caller says with `unload` that they are durable. */
  persistBefore(mark: number, puts: Put[]): SavedReply[] {
    const persisted: SavedReply[] = [];
    for (;;) {
      const reply = this.#unsaved[this.#unsavedHead];
      if (reply === undefined || reply.seq >= mark) break;
      this.#unsavedHead++;
      if (!reply.wanted) continue;
      reply.persisted = true;
      const { seq, error, body } = reply;
      const record: ReplyRecord = [seq as ReplyRecord[0], error === null, body, error];
      puts.push([keys.reply(reply.session.id, reply.no), encodeRecord(record)]);
      persisted.push(reply);
    }
    if (this.#unsavedHead > 4096 && this.#unsavedHead * 2 > this.#unsaved.length) {
      this.#unsaved = this.#unsaved.slice(this.#unsavedHead);
      this.#unsavedHead = 0;
    }
    return persisted;
  }

  /** P1. They are durable under their keys. */
  unload(replies: readonly SavedReply[]): void {
    for (const reply of replies) {
      reply.stored = true;
      this.#unload(reply);
    }
  }
}

const sizeOf = (content: Content): number =>
  content instanceof Uint8Array ? content.length : typeof content === 'string' ? content.length * 2 : 0;
