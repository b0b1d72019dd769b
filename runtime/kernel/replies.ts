/**
 * Owns: the answers saved for sessions: which of them are whole in memory, and which must still get a key of their own.
 *
 *   P1  The answer of a turn that wrote is whole in memory until it stands under its own key, which is before the replay mark passes its
 *       turn. Then only the fact is kept here, and a repeat gets it from there.
 *   P2  An answer that nobody waits for any more leaves memory at once, and gets no key.
 *   P3  Answers that are whole in memory are bounded for each session by what it is let in with (sessions.ts, S4). Those of turns that wrote nothing take
 *       at most `maxReadBytes` all together: past it the oldest go, so that a few who never say what they have got can't keep all others out; who repeats such a
 *       request runs it anew. Those of turns that wrote are bounded by how far the replay mark may lag (groups.ts, G5).
 */
import { type Content, type WireError } from '../../protocol/index.js';
import { encodeRecord, keys, type Put, type ReplyRecord } from '../journal/index.js';
import type { Session } from './sessions.js';

export class SavedReply {
  /** It stands under a key of its own, or is on its way there: no replay is needed to find it. */
  persisted = false;
  /** Body and error are under that key only. */
  stored = false;
  /** Its sender may still ask for it. */
  wanted = true;

  constructor(
    readonly session: Session,
    readonly no: number,
    /** The turn that holds it, 0 for one that wrote nothing and is kept in memory only. */
    readonly seq: number,
    public body: Content,
    public error: WireError | null,
    /** The gate is open: it may leave. */
    public open: boolean,
    /** What it takes in memory; 0 when nothing of it is here. */
    public bytes: number,
  ) {}
}

/** What an answer takes beside its content. */
const OVERHEAD_BYTES = 256;

export class Replies {
  /** Of turns that wrote, in their order, until they have keys; entries before `unsavedHead` are done. */
  #unsaved: SavedReply[] = [];
  #unsavedHead = 0;
  /** Of turns that wrote nothing, oldest first; those without bytes are gone, entries before `readsHead` too. */
  #reads: SavedReply[] = [];
  #readsHead = 0;
  #readsHeld = 0;
  #readBytes = 0;
  #writtenBytes = 0;

  constructor(private readonly maxReadBytes: number) {}

  /** Bytes of answers that are whole in memory. */
  get bytes(): number {
    return this.#readBytes + this.#writtenBytes;
  }

  keep(session: Session, no: number, seq: number, body: Content, error: WireError | null, open: boolean): SavedReply {
    const bytes = OVERHEAD_BYTES + sizeOf(body) + (error === null ? 0 : error[2].length * 2);
    const reply = new SavedReply(session, no, seq, body, error, open, bytes);
    session.replies.set(no, reply);
    session.answerBytes += bytes;
    if (seq > 0) {
      this.#unsaved.push(reply);
      this.#writtenBytes += bytes;
    } else {
      this.#reads.push(reply);
      this.#readsHeld++;
      this.#readBytes += bytes;
      this.#trimReads();
      if (this.#readBytes > this.maxReadBytes) this.#forgetReads();
    }
    return reply;
  }

  /** One that an earlier life has saved. */
  adopt(session: Session, no: number, seq: number): void {
    const reply = new SavedReply(session, no, seq, null, null, true, 0);
    reply.persisted = true;
    reply.stored = true;
    session.replies.set(no, reply);
  }

  /** P2. Its key, if it has one, is the caller's to delete. */
  drop(reply: SavedReply): void {
    reply.session.replies.delete(reply.no);
    reply.wanted = false;
    this.#unload(reply);
  }

  #unload(reply: SavedReply): void {
    if (reply.seq > 0) this.#writtenBytes -= reply.bytes;
    else if (reply.bytes > 0) {
      this.#readBytes -= reply.bytes;
      this.#readsHeld--;
    }
    reply.session.answerBytes -= reply.bytes;
    reply.bytes = 0;
    reply.body = null;
    reply.error = null;
  }

  /** P3 */
  #forgetReads(): void {
    for (let i = this.#readsHead; i < this.#reads.length && this.#readBytes > this.maxReadBytes; i++) {
      const reply = this.#reads[i] as SavedReply;
      if (reply.bytes > 0 && reply.open) this.drop(reply);
    }
  }

  /** Lets go of entries that are gone, so that there are never many more of them than of others. */
  #trimReads(): void {
    while (this.#reads[this.#readsHead]?.bytes === 0) this.#readsHead++;
    if (this.#reads.length < 1024 + 2 * this.#readsHeld) return;
    this.#reads = this.#reads.slice(this.#readsHead).filter(({ bytes }) => bytes > 0);
    this.#readsHead = 0;
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
