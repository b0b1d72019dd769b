/**
 * The clients' side of the kernel: sessions that begin, go on and end, and what comes in on them. Messages end in core.ts.
 *
 *   C1  A new session is durable before its client hears of it. While the disk is full it can't be: nothing is written in it, and it becomes
 *       durable when its client comes back. Once durable, it ends as any other: what is left of it then says so (recovery.ts).
 *   C2  Messages to one name keep their order, also while the name is being looked up.
 *   C3  A session is in memory once, whoever greets with it and however often; the key is checked before anything happens to it.
 */
import {
  isName,
  makeSession,
  T,
  TelosError,
  type Ask,
  type FromClient,
  type Oid,
  type Query,
  type SessionId,
} from '../../protocol/index.js';
import { keys } from '../journal/index.js';
import type { KernelCore } from './core.js';
import { notBegun, type Message } from './message.js';
import type { Operations } from './operations.js';
import type { ClientIdentity, PeerId } from './ports.js';
import type { Queries } from './queries.js';
import type { Recovery } from './recovery.js';
import { newSession, type Session } from './sessions.js';

export class ClientSide {
  /** Peers whose session is being read or written, until they can be welcomed. */
  readonly #arriving = new Set<PeerId>();
  /** Sessions whose header is on its way to the journal. */
  readonly #granting = new Set<SessionId>();
  /** Messages to a name that is being looked up, in order. */
  readonly #unresolved = new Map<string, Message[]>();

  constructor(
    private readonly core: KernelCore,
    private readonly queries: Queries,
    private readonly operations: Operations,
    private readonly recovery: Recovery,
  ) {}

  joined(peer: PeerId, identity: ClientIdentity): void {
    const id = identity.session as SessionId;
    const known = this.core.sessions.byId.get(id);
    if (id === 0) this.#newSession(peer, identity);
    else if (known?.loaded) this.#attach(peer, known, identity);
    else {
      this.#arriving.add(peer);
      // What was put for the session in this life must be in the journal before it is read.
      this.core.groups.whenWritten(() =>
        this.recovery.session(id, (session) => {
          if (!this.#arriving.delete(peer)) return;
          if (session === 'never written') this.#grant(peer, id, identity);
          else if (session === 'ended') this.#expired(peer, id);
          else this.#attach(peer, session, identity);
        }),
      );
    }
  }

  #expired(peer: PeerId, id: SessionId): void {
    this.core.ports.refuse(peer, new TelosError('EXPIRED', `session ${id} has ended or never was`).toWire());
  }

  #newSession(peer: PeerId, identity: ClientIdentity): void {
    const { core } = this;
    if (core.sessions.byId.size > core.config.kernel.maxSessions) this.operations.forgetIdleSessions();
    if (core.sessions.byId.size > core.config.kernel.maxSessions) {
      core.ports.refuse(
        peer,
        new TelosError(
          'BUSY',
          `there are ${core.sessions.byId.size} sessions, the most that kernel.max_sessions allows`,
        ).toWire(),
      );
      return;
    }
    this.#grant(peer, makeSession(core.identity.incarnation, core.nextSessionCounter()), identity);
  }

  #grant(peer: PeerId, id: SessionId, identity: ClientIdentity): void {
    const { core } = this;
    const { key, agent } = identity;
    const first = !this.#granting.has(id);
    this.#arriving.add(peer);
    this.#granting.add(id);
    if (first) core.groups.put(keys.session(id), [core.wallNow, 1, key, agent]);
    core.groups.whenWritten(() => {
      if (first) this.#granting.delete(id);
      if (!this.#arriving.delete(peer)) return;
      if (!first) {
        this.joined(peer, identity);
        return;
      }
      const session = newSession(id, key, agent, core.wallNow);
      core.sessions.byId.set(id, session);
      this.#attach(peer, session, identity);
    });
  }

  #attach(peer: PeerId, session: Session, { key, rights, agent }: ClientIdentity): void {
    if (session.key !== key) {
      this.core.ports.refuse(
        peer,
        new TelosError('FORBIDDEN', `session ${session.id} belongs to another key`).toWire(),
      );
      return;
    }
    session.rights = rights;
    session.agent = agent;
    session.lastHeard = this.core.wallNow;
    if (session.peer !== 0) this.core.notices.forget(session.peer);
    this.core.sessions.attach(session, peer);
    this.core.ports.welcome(peer, session.id);
  }

  lost(peer: PeerId): void {
    this.#arriving.delete(peer);
    this.core.notices.forget(peer);
    const session = this.core.sessions.detach(peer);
    if (session) session.lastHeard = this.core.wallNow;
  }

  /** The session ends for good: nothing of it is kept. */
  goodbye(peer: PeerId, now: number): void {
    const session = this.core.sessions.ofPeer(peer);
    this.lost(peer);
    if (session) this.operations.endSession(session, now);
  }

  receive(peer: PeerId, envelope: FromClient, now: number): void {
    const { core } = this;
    const session = core.sessions.ofPeer(peer);
    if (session === undefined) return;
    session.lastHeard = this.core.wallNow;
    switch (envelope[0]) {
      case T.ASK:
        this.#ask(session, envelope, now);
        return;
      case T.QUERY:
        this.#query(session, envelope, now);
        return;
      case T.RELEASE:
        core.sessions.release(session, envelope[1], (no) => core.groups.delete(keys.reply(session.id, no)));
        return;
      case T.CANCEL: {
        const message = session.inFlight.get(envelope[1]);
        if (message)
          core.fail(
            message,
            new TelosError('CANCELLED', `request ${message.no} (${message.selector}) was cancelled by its sender`),
            now,
          );
        return;
      }
      case T.SUBSCRIBE:
        this.#subscribe(peer, envelope[1], envelope[2], envelope[3]);
        return;
      case T.CREDIT:
        core.notices.credit(peer, envelope[1], envelope[2]);
        return;
      case T.UNSUBSCRIBE:
        core.notices.unsubscribe(peer, envelope[1]);
        return;
    }
  }

  #subscribe(peer: PeerId, sub: number, pattern: string, credit: number): void {
    const named = pattern !== '*' && !pattern.startsWith('#');
    try {
      if (pattern.length > this.core.config.message.maxTargetLength || (named && !isName(pattern)))
        throw new TelosError(
          'BAD_NAME',
          `${JSON.stringify(pattern.slice(0, 80))} is neither a name, nor an oid, nor *`,
        );
      this.core.notices.subscribe(peer, sub, pattern, credit, this.core.groups.acceptedSeq);
    } catch (error) {
      this.core.ports.toClient(peer, [T.UNSUBSCRIBED, sub, TelosError.from(error).toWire()]);
      return;
    }
    if (named) this.queries.resolve(pattern, () => undefined);
  }

  #admit(session: Session, envelope: Ask | Query): boolean {
    const { core } = this;
    const [, no, lowest] = envelope;
    const large = this.#tooLarge(envelope);
    if (large) {
      core.ports.toClient(session.peer, [T.ERROR, no, large.toWire()]);
      return false;
    }
    const forget = (dropped: number): void => core.groups.delete(keys.reply(session.id, dropped));
    const admission = core.sessions.admit(session, no, lowest, argsOf(envelope).length, forget);
    const { lowest: passed } = session;
    core.forgetUnasked(session, (one) => one < passed);
    switch (admission.kind) {
      case 'joined':
        return false;
      case 'saved':
        if (admission.reply.open) core.sendReply(session, no, admission.reply);
        return false;
      case 'refused':
        core.ports.toClient(session.peer, [T.ERROR, no, admission.error.toWire()]);
        return false;
      case 'new':
        return this.#roomFor(session, no);
    }
  }

  /** What of it is over a limit. Looked at before anything else: there is nothing to be said about it later. */
  #tooLarge(envelope: Ask | Query): TelosError | null {
    const { maxBodyBytes, maxSelectorLength, maxTargetLength } = this.core.config.message;
    const selector = envelope[0] === T.ASK ? envelope[6] : envelope[4];
    const args = argsOf(envelope);
    if (envelope[0] === T.ASK && envelope[5].length > maxTargetLength)
      return tooLong('receiver', envelope[5], 'message.max_target_length', maxTargetLength);
    if (selector.length > maxSelectorLength)
      return tooLong('selector', selector, 'message.max_selector_length', maxSelectorLength);
    if (args.length <= maxBodyBytes) return null;
    return new TelosError(
      'TOO_LARGE',
      `the arguments of ${selector} take ${args.length} bytes; message.max_body_bytes is ${maxBodyBytes}`,
    );
  }

  #roomFor(session: Session, no: number): boolean {
    const { core } = this;
    const waiting = core.router.waitingCount + core.router.suspectCount;
    if (waiting < core.config.kernel.maxInFlight && !core.groups.full) return true;
    core.ports.toClient(session.peer, [
      T.ERROR,
      no,
      new TelosError('BUSY', `the kernel holds ${waiting} messages that wait and a full group`).toWire(),
    ]);
    return false;
  }

  #ask(session: Session, ask: Ask, now: number): void {
    if (!this.#admit(session, ask)) return;
    const [, no, , deadline, trace, target, selector, args, origin] = ask;
    const { message: limits } = this.core.config;
    const patience = Math.min(deadline > 0 ? deadline : limits.defaultDeadlineMs, limits.maxDeadlineMs);
    const message: Message = {
      session: session.id,
      no,
      origin,
      sender: session.agent,
      owner: session,
      target,
      oid: target.startsWith('#') ? (target as Oid) : null,
      nameAttempt: 0 as Message['nameAttempt'],
      selector,
      args,
      time: this.core.wallNow,
      deadline: now + patience,
      patience,
      trace,
      consumed: null,
      recorded: session.recorded.get(no) ?? [],
      ...notBegun(),
    };
    this.core.suspicion.restore(message);
    this.core.sessions.begin(session, message);
    this.#route(message, now);
  }

  #query(session: Session, query: Query, now: number): void {
    if (this.#admit(session, query)) this.operations.query(session, query, now);
  }

  /** Messages to one name keep their order, also while it is being looked up. */
  #route(message: Message, now: number): void {
    const { target } = message;
    if (message.oid !== null || target === '') {
      this.core.router.dispatch(message, now);
      return;
    }
    const line = this.#unresolved.get(target);
    if (line) {
      line.push(message);
      return;
    }
    const entry = this.core.state.names.get(target);
    if (entry !== undefined) {
      message.oid = entry.oid;
      message.nameAttempt = entry.attempt;
      this.core.router.dispatch(message, now);
      return;
    }
    this.#unresolved.set(target, [message]);
    this.queries.resolve(target, (_oid, at) => {
      const waiting = this.#unresolved.get(target) ?? [];
      this.#unresolved.delete(target);
      for (const one of waiting) if (one.state !== 'done') this.#route(one, at);
    });
  }
}

const argsOf = (envelope: Ask | Query): Uint8Array => (envelope[0] === T.ASK ? envelope[7] : envelope[5]);

const tooLong = (what: string, text: string, key: string, limit: number): TelosError =>
  new TelosError(
    'TOO_LARGE',
    `the ${what} ${JSON.stringify(`${text.slice(0, 40)}…`)} has ${text.length} characters; ${key} is ${limit}`,
  );
