/**
 * Owns: the fate of messages. Every message ends here exactly once: by an accepted turn, by an error that the kernel commits in its
 * place, or by a refusal that changes nothing.
 *
 *   K1  At most one commit is accepted under an id: the message leaves `inFlight` in the same step.
 *   K2  What a turn causes (answer, outbox, timers, notices) is bound to its seq and leaves through the gate (groups.ts, G1).
 *   K3  A message from outbox or timer always ends with a commit that takes its key away; an error leaves a dead letter. So does a client's
 *       message that is given up for its strikes; any other error of one is its sender's.
 */
import {
  KERNEL_SESSION,
  makeAttempt,
  pack,
  T,
  TelosError,
  type Attempt,
  type Bytes,
  type CommitBody,
  type Content,
  type Oid,
  type Reply,
  type WireError,
} from '../../protocol/index.js';
import { decodeRecord, keys, type ImageIdentity, type ReplyRecord, type TurnRecord } from '../journal/index.js';
import type { Config } from '../../config/index.js';
import { applyTurn, NO_PATCHES, type Patched } from './commit.js';
import { Delivery } from './delivery.js';
import { Effects } from './effects.js';
import { Grants } from './grants.js';
import { Groups } from './groups.js';
import { notBegun, type Message } from './message.js';
import { Names } from './names.js';
import { Notices } from './notices.js';
import { AcceptedState, keep, type KObject } from './objects.js';
import { NO_ARGS, type KernelFaults, type KernelPorts } from './ports.js';
import { Reader } from './reader.js';
import { Router, type HostState } from './router.js';
import { Replies, type SavedReply } from './replies.js';
import { isPassed, newSession, Sessions, type Session } from './sessions.js';
import { Suspicion } from './suspicion.js';

/** A turn waits this many turns before its objects' snapshots are written: a hot object costs one snapshot per so many turns. */
const SNAPSHOT_LAG_TURNS = 8192;
/** Saved answers that are read at once. */
const MOST_STORED_READS = 32;
/** A grant may last this many times the running time of a turn: the turn itself, its loads, and a slow machine. */
const GRANT_LIMIT_FACTOR = 4;

export class KernelCore {
  readonly state: AcceptedState;
  readonly replies: Replies;
  readonly sessions: Sessions;
  readonly groups: Groups;
  readonly router: Router;
  readonly grants: Grants;
  readonly notices: Notices;
  readonly reader: Reader;
  readonly delivery: Delivery;
  readonly suspicion: Suspicion;
  /** The pseudo session of outbox messages, timers and genesis. */
  readonly own: Session;
  nextOutgoing = 1;
  turnsAccepted = 0;
  readsAnswered = 0;
  readonly #effects = new Effects(this);
  /** Answers to be read from their keys, and those that are being read. */
  readonly #storedWanted = new Set<SavedReply>();
  readonly #storedReads = new Set<SavedReply>();
  #attempts = 0;
  #sessionCounter = 0;
  now = 0;

  constructor(
    readonly config: Config,
    readonly identity: ImageIdentity,
    readonly ports: KernelPorts,
    readonly faults: KernelFaults,
    /** There is no room to write: reads are answered, writes are refused DISK_FULL, and nothing is put into a group. */
    readonly readOnly: boolean,
  ) {
    const { kernel, message, turn } = config;
    this.replies = new Replies(kernel.maxReplyBytes);
    this.sessions = new Sessions({ ...message, ...kernel }, this.replies);
    this.state = new AcceptedState(
      new Names(kernel.maxNameCache, () => Math.min(this.groups.durableSeq, this.reader.oldest)),
    );
    this.groups = new Groups(
      this.state,
      this.replies,
      { ...kernel, snapshotLagTurns: SNAPSHOT_LAG_TURNS },
      (group) => ports.append(group),
      faults.noGate === true || readOnly,
      readOnly,
      identity.endSeq,
      0,
    );
    this.router = new Router(
      kernel.shards,
      (host, envelope) => ports.toHost(host, envelope),
      () => ports.needQuarantine(),
    );
    this.grants = new Grants(
      (message) => message.host && ports.toHost(message.host.id, [T.GRANT, message.session, message.no]),
      (message) => message.host && ports.toHost(message.host.id, [T.RETRY, message.session, message.no]),
      turn.runTimeMs * GRANT_LIMIT_FACTOR,
    );
    this.notices = new Notices(
      (peer, envelope) => ports.toClient(peer, envelope),
      kernel.maxSubscriptions,
      kernel.noticeCredit,
      (name, watched) => (watched ? this.state.names.pin([name]) : this.state.names.unpin([name])),
    );
    this.reader = new Reader(
      (ticket, wanted) => ports.read(ticket, wanted),
      (ticket, range, limit) => ports.page(ticket, range, limit),
      () => this.groups.durableSeq,
    );
    this.delivery = new Delivery(this);
    this.suspicion = new Suspicion(this.groups);
    this.own = newSession(KERNEL_SESSION, '', 'kernel', 0);
    this.sessions.byId.set(KERNEL_SESSION, this.own);
  }

  /** For records and the due times of timers; it may be set at any time, so no duration is measured on it. */
  get wallNow(): number {
    return this.ports.wallNow?.(this.now) ?? this.now;
  }

  nextAttempt(): Attempt {
    return makeAttempt(this.identity.incarnation, ++this.#attempts);
  }

  nextSessionCounter(): number {
    return ++this.#sessionCounter;
  }

  // ---- ends of a message ---------------------------------------------------------------------------------------------------

  /** The turn is accepted: it has a place in the order now, and its effects wait at the gate. */
  accept(
    message: Message,
    attempt: Attempt,
    bytes: Bytes,
    body: CommitBody,
    host: HostState | null,
    now: number,
    patched: Patched = NO_PATCHES,
  ): number {
    if (this.readOnly) {
      this.#refuseWrite(message, body[7], now);
      return 0;
    }
    const seq = this.groups.nextSeq();
    const applied = applyTurn(this.state, body, attempt, seq, patched);
    const time = this.wallNow;
    const firstOutgoing = this.#effects.send(message, body, seq, time);
    this.#effects.names(applied);
    this.#consume(message, body[7], seq);
    const record: TurnRecord = [
      attempt,
      message.session,
      message.no,
      message.origin,
      message.sender,
      message.oid ?? message.target,
      message.selector,
      time,
      message.trace,
      bytes,
      applied.before,
      applied.namesBefore,
      firstOutgoing,
      message.consumed,
    ];
    this.groups.add(record, bytes.length + 64);
    this.turnsAccepted++;
    if (host) for (const oid of body[2]) (this.state.objects.get(oid) as KObject).holders |= host.bit;
    this.#effects.tellHolders(applied, host);
    this.#effects.publish(applied, seq, time);
    this.#answer(message, body[7], seq, seq, now);
    return seq;
  }

  /** Nothing can be saved: an error goes out as it is, a write is refused. Messages of our own stay in the journal until there is room. */
  #refuseWrite(message: Message, reply: Reply, now: number): void {
    this.#keepRecorded(message);
    this.#leave(message, now, true);
    const peer = message.owner?.peer ?? 0;
    const full = new TelosError(
      'DISK_FULL',
      `${message.target || 'the turn'}.${message.selector} can't be written: the volume of the image is full`,
    );
    if (peer !== 0) this.ports.toClient(peer, [T.ERROR, message.no, reply[2] ?? full.toWire()]);
  }

  /** A turn that read and wrote nothing: its answer waits until all that it read is durable. */
  acceptReadOnly(message: Message, reply: Reply, readSeq: number, now: number): void {
    this.readsAnswered++;
    this.#clear(message);
    this.#answer(message, reply, 0, readSeq, now);
  }

  /** The kernel's own word ends the message: saved, and no commit of it is accepted from now on. */
  fail(message: Message, error: TelosError, now: number): void {
    if (message.host) this.ports.toHost(message.host.id, [T.STOP_RUN, message.session, message.no]);
    const body: CommitBody = [[], [], [], [], [], [], [], [false, null, error.toWire()]];
    this.accept(message, this.nextAttempt(), pack(body), body, null, now);
  }

  /** Nothing happened: the sender may try again under the same id. */
  decline(message: Message, error: TelosError, now: number): void {
    if (message.owner === null) {
      this.#leave(message, now, false);
      this.delivery.again(message, now);
      return;
    }
    this.#keepRecorded(message);
    this.#leave(message, now, true);
    if (message.owner.peer !== 0) this.ports.toClient(message.owner.peer, [T.ERROR, message.no, error.toWire()]);
  }

  /** It may be sent again under the same id: what services answered to it stands for that run too. */
  #keepRecorded({ owner, no, recorded }: Message): void {
    if (owner !== null && recorded.length > 0) owner.recorded.set(no, recorded);
  }

  /** The sender has gone for good: the message is dropped wherever it is. */
  abandon(message: Message, now: number): void {
    if (message.host) this.ports.toHost(message.host.id, [T.STOP_RUN, message.session, message.no]);
    this.#clear(message);
    this.#leave(message, now, true);
  }

  /** What is kept for messages that were declined and not sent again goes, for those numbers. */
  forgetUnasked(session: Session, which: (no: number) => boolean): void {
    const unasked = (no: number): boolean => which(no) && !session.inFlight.has(no);
    for (const [no, recorded] of session.recorded) {
      if (!unasked(no)) continue;
      for (const [key] of recorded) this.groups.delete(keys.recorded(session.id, no, key));
      session.recorded.delete(no);
    }
    for (const no of this.suspicion.numbers(session.id)) if (unasked(no)) this.suspicion.forget(session.id, no);
  }

  #leave(message: Message, now: number, forget: boolean): void {
    if (forget) this.sessions.finish(this.sessionOf(message), message);
    this.grants.end(message, now);
    this.router.finished(message, now);
    if (forget) message.args = NO_ARGS;
  }

  sessionOf(message: Message): Session {
    return message.owner ?? this.own;
  }

  #answer(message: Message, reply: Reply, seq: number, waitFor: number, now: number): void {
    this.#leave(message, now, true);
    const session = message.owner;
    if (session === null) return;
    const { no } = message;
    const saved = this.replies.keep(session, no, seq, keep(reply[1]), reply[2], false);
    const unsaved = this.faults.noSavedReplies === true;
    if (unsaved) session.replies.delete(no);
    if (isPassed(session, no)) this.replies.drop(saved);
    this.groups.whenDurable(waitFor, () => {
      saved.open = true;
      this.sendReply(session, no, saved);
      if (unsaved) this.replies.drop(saved);
    });
  }

  /** A provisional part of an answer. It shows that the message lives, so its deadline begins anew. */
  partial(message: Message, part: number, body: Content, now: number): void {
    if (message.deadline !== Infinity) message.deadline = now + message.patience;
    const peer = message.owner?.peer ?? 0;
    if (peer !== 0) this.ports.toClient(peer, [T.PARTIAL, message.no, part, body]);
  }

  sendReply(session: Session, no: number, reply: SavedReply): void {
    if (session.peer === 0 || !reply.wanted) return;
    if (reply.stored) this.#sendStored(reply);
    else this.#sendContent(session, no, reply.seq, reply.body, reply.error);
  }

  #sendContent(session: Session, no: number, seq: number, body: Content, error: WireError | null): void {
    this.ports.toClient(session.peer, error === null ? [T.ANSWER, no, body, seq] : [T.ERROR, no, error]);
  }

  /** One read for each, however often it is asked for, and few at once: any of them may be as large as an answer can be. */
  #sendStored(reply: SavedReply): void {
    if (this.#storedReads.has(reply)) return;
    this.#storedWanted.add(reply);
    this.#readStored();
  }

  #readStored(): void {
    for (const reply of this.#storedWanted) {
      if (this.#storedReads.size >= MOST_STORED_READS) return;
      this.#storedWanted.delete(reply);
      if (reply.session.peer === 0 || !reply.wanted) continue;
      this.#storedReads.add(reply);
      this.reader.get([keys.reply(reply.session.id, reply.no)], ([value]) => {
        this.#storedReads.delete(reply);
        this.#sendRead(reply, value);
        this.#readStored();
      });
    }
  }

  #sendRead(reply: SavedReply, value: Uint8Array | undefined): void {
    const { session, no } = reply;
    if (session.peer === 0 || !reply.wanted) return;
    const what = `saved reply ${session.id}.${no}`;
    if (value === undefined) throw new TelosError('DAMAGED', `${what} is missing; turn ${reply.seq} answered it`);
    const [seq, , body, error] = decodeRecord<ReplyRecord>(value, what);
    this.#sendContent(session, no, seq, body, error);
  }

  #consume(message: Message, reply: Reply, seq: number): void {
    if (message.consumed) {
      this.groups.delete(message.consumed);
      this.delivery.handled(message.no);
      this.groups.whenDurable(seq, () => this.delivery.settled(message.no));
    }
    this.#clear(message);
    const givenUp = message.consumed !== null || message.strikes >= this.config.kernel.strikes;
    if (!reply[0] && givenUp) this.#effects.bury(message, reply);
  }

  /** It will not run again: what was kept for that goes, in memory and in the journal. */
  #clear(message: Message): void {
    const { session, no, recorded } = message;
    for (const [key] of recorded) this.groups.delete(keys.recorded(session, no, key));
    this.sessionOf(message).recorded.delete(no);
    this.suspicion.forget(session, no);
  }

  /** A message of the kernel's own session: from the outbox, a timer, or genesis. */
  ownMessage(
    fields: Pick<Message, 'no' | 'origin' | 'sender' | 'target' | 'selector' | 'args' | 'trace' | 'consumed'>,
  ): Message {
    const message: Message = {
      ...fields,
      session: KERNEL_SESSION,
      owner: null,
      oid: fields.target as Oid,
      nameAttempt: 0 as Attempt,
      time: this.wallNow,
      deadline: Infinity,
      patience: Infinity,
      recorded: this.own.recorded.get(fields.no) ?? [],
      ...notBegun(),
    };
    this.own.inFlight.set(fields.no, message);
    return message;
  }
}
