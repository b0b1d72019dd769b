/**
 * What is asked of the kernel beside messages: questions of clients (QUERY), look-ups of turns (service `kernel`), loads of hosts, and what time
 * alone causes: deadlines, sessions that end.
 */
import {
  contentBytes,
  pack,
  QUERY_OPS,
  TelosError,
  unpack,
  type CommitBody,
  type Content,
  type Dropped,
  type Load,
  type Query,
  type QueryOp,
  type SessionId,
} from '../../protocol/index.js';
import {
  decodeRecord,
  fieldsOf,
  keys,
  prefixRange,
  rangeOf,
  type DeadLetterRecord,
  type SessionRecord,
} from '../journal/index.js';
import { roomFor } from './answer-page.js';
import type { KernelCore } from './core.js';
import { notBegun, type Message } from './message.js';
import type { KObject } from './objects.js';
import type { Done, Queries } from './queries.js';
import type { Recovery } from './recovery.js';
import { loadedOf, unsendable } from './room.js';
import type { HostState } from './router.js';
import type { Session } from './sessions.js';
import { Undo, undoSelector } from './undo.js';

const EXPIRY_CHECK_MS = 3_600_000;
const EXPIRY_PAGE = 512;
const SYSTEM = 'kernel';

export class Operations {
  readonly #undo: Undo;
  readonly #external = new Map<number, (error: TelosError | null, value: unknown, now: number) => void>();
  /** Dead letters that are being settled, each with those that wait to see whether it is still there. */
  readonly #settling = new Map<unknown, (() => void)[]>();
  #tickets = 0;
  #lastExpiry = 0;

  constructor(
    private readonly core: KernelCore,
    private readonly queries: Queries,
    private readonly recovery: Recovery,
  ) {
    this.#undo = new Undo(core, queries);
  }

  // ---- questions of clients --------------------------------------------------------------------------------------------------------

  /** A question is a message too: it has an id, a deadline, one answer. Those that write are turns of the kernel's own. */
  query(session: Session, [, no, , deadline, op, bytes]: Query, now: number): void {
    const { core } = this;
    const patience =
      deadline > 0 ? Math.min(deadline, core.config.message.maxDeadlineMs) : core.config.message.defaultDeadlineMs;
    const message: Message = {
      session: session.id,
      no,
      origin: 0,
      sender: session.agent,
      owner: session,
      target: SYSTEM,
      oid: null,
      nameAttempt: 0 as Message['nameAttempt'],
      selector: op,
      args: bytes,
      time: core.wallNow,
      deadline: now + patience,
      patience,
      trace: '',
      consumed: null,
      recorded: [],
      ...notBegun(),
    };
    core.sessions.begin(session, message);
    try {
      const args = unpack(bytes);
      // The journal shows it for ever: what is no number is refused under the plain name.
      if (op === 'undo' && Array.isArray(args) && typeof args[0] === 'number') message.selector = undoSelector(args[0]);
      if (!Array.isArray(args)) throw new TelosError('BAD_ARGUMENT', `${op} takes a list of arguments`);
      if (!(QUERY_OPS as readonly string[]).includes(op))
        throw new TelosError(
          'NOT_UNDERSTOOD',
          `the kernel does not understand ${JSON.stringify(op)}; it answers ${QUERY_OPS.join(', ')}`,
        );
      this.#perform(session, message, op as QueryOp, args);
    } catch (error) {
      core.fail(message, TelosError.from(error), now);
    }
  }

  #perform(session: Session, message: Message, op: QueryOp, args: readonly unknown[]): void {
    const done: Done = (error, value, now) => this.#finish(message, error, value, this.#gateOf(op), now);
    const room = roomFor(this.core.config);
    switch (op) {
      case 'inspect':
        this.queries.inspect(args[0], args[1], done);
        return;
      case 'history':
        this.queries.history(args[0], args[1], args[2], room, done);
        return;
      case 'names':
        this.queries.names(args[0], room, done);
        return;
      case 'journal':
        this.queries.journal(args[0], args[1], done);
        return;
      case 'deadLetters':
        this.queries.deadLetters(args[0], done);
        return;
      case 'status':
      case 'verify':
        this.external(op, args, done);
        return;
      case 'undo':
        needAuthor(session, op);
        this.#undo.undo(message, args[0]);
        return;
      case 'deadLetterRetry':
      case 'deadLetterDrop':
        needAuthor(session, op);
        this.#deadLetter(message, op, args[0]);
        return;
      case 'shutdown':
        needAuthor(session, op);
        this.external(op, args, done);
        return;
    }
  }

  /** What is accepted and not durable shows in these answers: they wait for it like the answer of a turn that has read it. */
  #gateOf(op: QueryOp): number {
    return op === 'inspect' || op === 'history' || op === 'names' ? this.core.groups.acceptedSeq : 0;
  }

  #finish(message: Message, error: TelosError | null, value: unknown, waitFor: number, now: number): void {
    if (message.state === 'done') return;
    if (error) this.core.fail(message, error, now);
    else this.#answer(message, contentOf(value), waitFor, now);
  }

  #answer(message: Message, body: Content, waitFor: number, now: number): void {
    const tooLarge = unsendable(`the answer of ${message.selector}`, contentBytes(body), this.core.config);
    if (tooLarge) this.core.fail(message, tooLarge, now);
    else this.core.acceptReadOnly(message, [true, body, null], waitFor, now);
  }

  /** One after another for each letter: that it is gone shows only when the turn that took it is durable. */
  #deadLetter(message: Message, op: 'deadLetterRetry' | 'deadLetterDrop', id: unknown): void {
    if (message.state === 'done') return;
    const line = this.#settling.get(id);
    if (line) {
      line.push(() => this.#deadLetter(message, op, id));
      return;
    }
    this.#settling.set(id, []);
    this.queries.deadLetter(id, (error, letter, now) => {
      const over = message.state === 'done';
      if (!over && (error || letter === null))
        this.core.fail(message, error ?? new TelosError('INTERNAL', 'no dead letter'), now);
      const seq = over || letter === null ? 0 : this.#settle(message, op, id as number, letter, now);
      this.core.groups.whenDurable(seq, () => this.#nextSettler(id));
    });
  }

  #nextSettler(id: unknown): void {
    const line = this.#settling.get(id) ?? [];
    this.#settling.delete(id);
    for (const settler of line) settler();
  }

  /** Retry sends under a new id; both take the letter away in the same commit. Answers its seq, 0 when there is none. */
  #settle(message: Message, op: string, id: number, [original, , , , , origin]: DeadLetterRecord, now: number): number {
    const [target, selector, args] = original;
    const retry = op === 'deadLetterRetry';
    if (retry && !target.startsWith('#')) {
      this.core.fail(
        message,
        new TelosError(
          'BAD_ARGUMENT',
          `dead letter ${id} was for ${JSON.stringify(target)} (origin ${origin}), which is no object: send it anew`,
        ),
        now,
      );
      return 0;
    }
    this.core.groups.delete(keys.deadLetter(id));
    const body: CommitBody = [
      [],
      [],
      [],
      [],
      [],
      retry ? [[target, selector, args]] : [],
      [],
      [true, retry ? pack({ no: this.core.nextOutgoing }) : true, null],
    ];
    return this.core.accept(message, this.core.nextAttempt(), pack(body), body, null, now);
  }

  // ---- look-ups of turns --------------------------------------------------------------------------------------------------------------

  /** What is no list is the host's fault, as every other malformed envelope of it. */
  service(_message: Message, op: string, bytes: Uint8Array, done: Done): void {
    const args = unpack(bytes);
    if (!Array.isArray(args))
      throw new TelosError('MALFORMED', `SERVICE: args of kernel.${op} are ${typeof args}, not a list`);
    const [target, limit] = args as unknown[];
    if (op === 'history') this.queries.history(target, limit, null, Infinity, done);
    else if (op === 'names') this.queries.names(null, Infinity, done);
    else done(new TelosError('NOT_UNDERSTOOD', `the kernel has no look-up ${JSON.stringify(op)}`), null, this.core.now);
  }

  // ---- what only the wiring knows -------------------------------------------------------------------------------------------------------

  external(op: string, args: readonly unknown[], done: Done): void {
    const ticket = ++this.#tickets;
    this.#external.set(ticket, done);
    this.core.ports.external(ticket, op, args);
  }

  externalDone(ticket: number, error: TelosError | null, value: unknown, now: number): void {
    const done = this.#external.get(ticket);
    this.#external.delete(ticket);
    done?.(error, value, now);
  }

  // ---- loads of hosts ---------------------------------------------------------------------------------------------------------------------

  /** Answers with the state at the moment of sending, after which the host hears of every change (its bit is set). */
  load(host: HostState, [, request, oids, names]: Load): void {
    const { state, reader, ports, router, config } = this.core;
    const missing = oids.filter((oid) => !state.objects.has(oid));
    const unnamed = names.filter((name) => !state.names.has(name));
    const answer = (): void => {
      if (router.hosts.get(host.id) !== host) return;
      for (const oid of oids) (state.objects.get(oid) as KObject).holders |= host.bit;
      for (const loaded of loadedOf(state, request, oids, names, config)) ports.toHost(host.id, loaded);
    };
    if (missing.length + unnamed.length === 0) {
      answer();
      return;
    }
    state.pin(oids, names);
    reader.get([...missing.map((oid) => keys.object(oid)), ...unnamed.map((name) => keys.name(name))], (values) => {
      missing.forEach((oid, i) => state.adopt(oid, values[i]));
      unnamed.forEach((name, i) => state.adoptName(name, values[missing.length + i]));
      answer();
      state.unpin(oids, names);
    });
  }

  dropped(host: HostState, oids: Dropped[1]): void {
    const { state } = this.core;
    for (const oid of oids) {
      const object = state.objects.get(oid);
      if (object === undefined) continue;
      object.holders &= ~host.bit;
      state.release(object);
    }
  }

  // ---- time -----------------------------------------------------------------------------------------------------------------------------------

  checkDeadlines(now: number): void {
    for (const session of this.core.sessions.byId.values()) {
      for (const message of session.inFlight.values()) {
        if (message.deadline > now) continue;
        this.core.fail(
          message,
          new TelosError(
            'DEADLINE',
            `${message.target || 'the turn'}.${message.selector} had not committed after ${message.patience} ms`,
          ),
          now,
        );
      }
    }
  }

  endSession(session: Session, now: number): void {
    const { core } = this;
    for (const message of [...session.inFlight.values()]) core.abandon(message, now);
    this.recovery.removeHeader(session.id);
    core.forgetUnasked(session, () => true);
    for (const no of core.sessions.end(session)) core.groups.delete(keys.reply(session.id, no));
  }

  /**
   * Sessions that nobody is connected to and whose replies are in the journal, as far as a turn wrote them, need no memory: who comes back
   * is read from there.
   */
  forgetIdleSessions(): void {
    const { sessions, groups } = this.core;
    for (const session of sessions.byId.values()) {
      const kept = session.peer !== 0 || session.inFlight.size > 0 || session.id === 0 || !session.loaded;
      if (kept || ![...session.replies.values()].every((reply) => reply.persisted || reply.seq === 0)) continue;
      const { id, lastHeard, lowest, key, agent } = session;
      groups.put(keys.session(id), [lastHeard, lowest, key, agent] satisfies SessionRecord);
      sessions.end(session);
    }
  }

  /** Once an hour: headers of connected sessions are renewed; sessions not heard of for two days end. */
  expireSessions(now: number): void {
    if (now - this.#lastExpiry < EXPIRY_CHECK_MS) return;
    const first = this.#lastExpiry === 0;
    this.#lastExpiry = now;
    if (!first) {
      for (const { id, peer, lowest, key, agent } of this.core.sessions.byId.values()) {
        if (peer !== 0)
          this.core.groups.put(keys.session(id), [this.core.wallNow, lowest, key, agent] satisfies SessionRecord);
      }
    }
    this.#expirePage(rangeOf('d'), 0, this.core.wallNow);
  }

  /** `session`: the last one whose header was seen. What has none belongs to nobody. */
  #expirePage(range: { gte?: Buffer; gt?: Buffer; lt: Buffer }, session: number, now: number): void {
    const { core } = this;
    let header = session;
    core.reader.page(range, EXPIRY_PAGE, (rows) => {
      for (const [key, value] of rows) {
        const [id = 0, no = 0] = fieldsOf(key);
        if (id === 0) continue;
        if (no !== 0 || key.length !== 17) {
          if (id !== header) core.groups.delete(key);
          continue;
        }
        header = id;
        const [lastHeard] = decodeRecord<SessionRecord>(value, `session ${id}`);
        const live = core.sessions.byId.get(id as SessionId);
        const heard = Math.max(lastHeard, live?.lastHeard ?? 0);
        if ((live?.peer ?? 0) === 0 && now - heard > core.config.kernel.sessionExpiryMs)
          this.#removeSession(id as SessionId);
      }
      const last = rows[rows.length - 1];
      if (last && rows.length === EXPIRY_PAGE) this.#expirePage({ gt: last[0], lt: range.lt }, header, now);
    });
  }

  /**
   * All keys of it go in one group, so that none is ever there without the header. Answers of it may be on their way to their keys: they are looked
   * for when those are there, and after its end nothing more is put.
   */
  #removeSession(id: SessionId): void {
    const { sessions, groups, suspicion, now } = this.core;
    sessions.ending.add(id);
    const live = sessions.byId.get(id);
    for (const message of [...(live?.inFlight.values() ?? [])]) this.core.abandon(message, now);
    if (live) sessions.end(live);
    for (const no of suspicion.numbers(id)) suspicion.forget(id, no);
    groups.whenWritten(() => this.#removeKeys(id));
  }

  #removeKeys(id: SessionId): void {
    const { sessions, groups } = this.core;
    const found: Buffer[] = [];
    const step = (key: Buffer): boolean => found.push(key) > 0;
    this.queries.scan(prefixRange(keys.session(id).subarray(0, 9)), step, () => {
      const header = keys.session(id);
      for (const key of found) if (!key.equals(header)) groups.delete(key);
      this.recovery.removeHeader(id);
      groups.whenWritten(() => sessions.ending.delete(id));
    });
  }
}

function needAuthor(session: Session, op: string): void {
  if (!session.rights.includes('author'))
    throw new TelosError(
      'FORBIDDEN',
      `${op} needs the author right; key ${session.key} has ${session.rights.join(', ') || 'none'}`,
    );
}

const contentOf = (value: unknown): Content =>
  value === null || value === undefined
    ? null
    : typeof value === 'object'
      ? pack(value)
      : (value as string | number | boolean);
