/**
 * The kernel: where a turn becomes true. One object, no I/O: events come in through its methods, effects leave through its ports.
 *
 * Owns nothing itself: messages end in core.ts, state is in objects.ts, order and durability in groups.ts, hosts in router.ts, sessions in
 * sessions.ts. This file only says which event reaches which of them.
 *
 * After a batch of events the caller runs `flush(now)`: it sends gathered reads and begins the next group. `tick(now)` is for what time alone causes.
 */
import {
  checkCommitBody,
  incarnationOf,
  makeSession,
  T,
  TelosError,
  unpack,
  VERDICT,
  type Ask,
  type Commit,
  type CommitBody,
  type FromClient,
  type FromHost,
  type FromService,
  type Oid,
  type Query,
  type SessionId,
} from '../../protocol/index.js';
import type { Config } from '../../config/index.js';
import { keys, type ImageIdentity, type Key, type StrikesRecord } from '../journal/index.js';
import { unwritable, validate, writtenKeys } from './commit.js';
import { KernelCore } from './core.js';
import { restoreStrikes } from './delivery.js';
import { genesisOf } from './first-breath.js';
import type { Message } from './message.js';
import { nameKey } from './objects.js';
import { Operations } from './operations.js';
import type { ClientIdentity, HostId, KernelFaults, KernelPorts, PeerId } from './ports.js';
import { Queries } from './queries.js';
import { Recovery } from './recovery.js';
import { MAX_HOSTS, type HostState } from './router.js';
import { Services } from './services.js';
import { newSession, type Session } from './sessions.js';

const DEADLINE_CHECK_MS = 50;

export class Kernel {
  readonly core: KernelCore;
  readonly #queries: Queries;
  readonly #services: Services;
  readonly #operations: Operations;
  readonly #recovery: Recovery;
  /** Peers whose session is being read or written, until they can be welcomed. */
  readonly #arriving = new Set<PeerId>();
  /** Messages to a name that is being looked up, in order. */
  readonly #unresolved = new Map<string, Message[]>();
  #ready = false;
  #lastDeadlineCheck = 0;
  #lastActivity = 0;

  constructor(
    config: Config,
    identity: ImageIdentity,
    ports: KernelPorts,
    faults: KernelFaults = {},
    readOnly = false,
  ) {
    this.core = new KernelCore(config, identity, ports, faults, readOnly);
    this.#queries = new Queries(this.core);
    this.#recovery = new Recovery(this.core);
    this.#operations = new Operations(this.core, this.#queries);
    this.#services = new Services(this.core, (message, op, args, done) =>
      this.#operations.service(message, op, args, done),
    );
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Replays, writes genesis where it is missing, then calls `ready`. Nothing else may be called before, but `readDone`, `pageDone`, `appended`. */
  recover(genesis: CommitBody, now: number, ready: () => void): void {
    this.core.now = now;
    this.#recovery.run((at) => {
      if (this.core.readOnly) {
        this.#ready = true;
        ready();
        return;
      }
      genesisOf(this.core, genesis, at, () => {
        this.#ready = true;
        ready();
      });
    });
  }

  // ---- clients ---------------------------------------------------------------------------------------------------------------

  clientJoined(peer: PeerId, identity: ClientIdentity, now: number): void {
    this.core.now = now;
    const id = identity.session as SessionId;
    const known = this.core.sessions.byId.get(id);
    if (id === 0) this.#newSession(peer, identity, now);
    else if (known?.loaded) this.#attach(peer, known, identity, now);
    else if (incarnationOf(id) >= this.core.identity.incarnation) this.#expired(peer, id);
    else {
      this.#arriving.add(peer);
      this.#recovery.session(id, (session, at) => {
        if (!this.#arriving.delete(peer)) return;
        if (session === null) this.#expired(peer, id);
        else {
          this.core.sessions.byId.set(id, session);
          this.#attach(peer, session, identity, at);
        }
      });
    }
  }

  #expired(peer: PeerId, id: SessionId): void {
    this.core.ports.refuse(peer, new TelosError('EXPIRED', `session ${id} has ended or never was`).toWire());
  }

  #newSession(peer: PeerId, { key, rights, agent }: ClientIdentity, now: number): void {
    const { core } = this;
    if (core.sessions.byId.size > core.config.kernel.maxSessions) this.#operations.forgetIdleSessions();
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
    const session = newSession(makeSession(core.identity.incarnation, core.nextSessionCounter()), key, agent, now);
    session.rights = rights;
    this.#arriving.add(peer);
    core.groups.put(keys.session(session.id), [now, 1, key, agent]);
    core.groups.whenWritten(() => {
      if (!this.#arriving.delete(peer)) return;
      core.sessions.byId.set(session.id, session);
      core.sessions.attach(session, peer);
      core.ports.welcome(peer, session.id);
    });
  }

  #attach(peer: PeerId, session: Session, { key, rights, agent }: ClientIdentity, now: number): void {
    if (session.key !== key) {
      this.core.ports.refuse(
        peer,
        new TelosError('FORBIDDEN', `session ${session.id} belongs to another key`).toWire(),
      );
      return;
    }
    session.rights = rights;
    session.agent = agent;
    session.lastHeard = now;
    if (session.peer !== 0) this.core.notices.forget(session.peer);
    this.core.sessions.attach(session, peer);
    this.core.ports.welcome(peer, session.id);
  }

  clientLost(peer: PeerId, now: number): void {
    this.core.now = now;
    this.#arriving.delete(peer);
    this.core.notices.forget(peer);
    const session = this.core.sessions.detach(peer);
    if (session) session.lastHeard = now;
  }

  /** The session ends for good: nothing of it is kept. */
  clientGoodbye(peer: PeerId, now: number): void {
    this.core.now = now;
    const session = this.core.sessions.ofPeer(peer);
    this.clientLost(peer, now);
    if (session) this.#operations.endSession(session, now);
  }

  fromClient(peer: PeerId, envelope: FromClient, now: number): void {
    const { core } = this;
    core.now = now;
    this.#lastActivity = now;
    const session = core.sessions.ofPeer(peer);
    if (session === undefined) return;
    session.lastHeard = now;
    switch (envelope[0]) {
      case T.ASK:
        this.#ask(session, envelope, now);
        return;
      case T.QUERY:
        this.#query(session, envelope, now);
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
    try {
      this.core.notices.subscribe(peer, sub, pattern, credit, this.core.groups.acceptedSeq);
      if (pattern !== '*' && !pattern.startsWith('#')) this.#queries.resolve(pattern, () => undefined);
    } catch (error) {
      this.core.ports.log('warn', 'subscription refused', { peer, pattern, error: TelosError.from(error).message });
    }
  }

  #admit(session: Session, envelope: Ask | Query): boolean {
    const { core } = this;
    const [, no, lowest] = envelope;
    const forget = (dropped: number): void => core.groups.delete(keys.reply(session.id, dropped));
    const admission = core.sessions.admit(session, no, lowest, core.config.message.window, forget);
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
    if (args.length > limits.maxBodyBytes) {
      const error = new TelosError(
        'TOO_LARGE',
        `the arguments of ${selector} take ${args.length} bytes; message.max_body_bytes is ${limits.maxBodyBytes}`,
      );
      this.core.ports.toClient(session.peer, [T.ERROR, no, error.toWire()]);
      return;
    }
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
      time: now,
      deadline: now + patience,
      patience,
      trace,
      consumed: null,
      recorded: session.recorded.get(no) ?? [],
      state: 'waiting',
      host: null,
      suspect: false,
      waitsForService: false,
      strikes: 0,
      history: [],
      notBefore: 0,
      declined: 0,
    };
    restoreStrikes(message, this.core.delivery.strikes);
    session.inFlight.set(no, message);
    this.#route(message, now);
  }

  #query(session: Session, query: Query, now: number): void {
    if (this.#admit(session, query)) this.#operations.query(session, query, now);
  }

  /** Messages to one name keep their order, also while it is being looked up. */
  #route(message: Message, now: number): void {
    const { target } = message;
    if (message.oid !== null || target === '') {
      this.core.router.dispatch(message, now);
      return;
    }
    const entry = this.core.state.names.get(target);
    if (entry !== undefined) {
      message.oid = entry.oid;
      message.nameAttempt = entry.attempt;
      this.core.router.dispatch(message, now);
      return;
    }
    const line = this.#unresolved.get(target);
    if (line) {
      line.push(message);
      return;
    }
    this.#unresolved.set(target, [message]);
    this.#queries.resolve(target, (_oid, at) => {
      const waiting = this.#unresolved.get(target) ?? [];
      this.#unresolved.delete(target);
      for (const one of waiting) if (one.state !== 'done') this.#route(one, at);
    });
  }

  // ---- hosts -----------------------------------------------------------------------------------------------------------------

  hostJoined(
    host: HostId,
    { incarnation, quarantine }: { incarnation: number; quarantine: boolean },
    now: number,
  ): void {
    this.core.now = now;
    if (this.core.router.hosts.size >= MAX_HOSTS)
      throw new TelosError('BAD_CONFIG', `${this.core.router.hosts.size + 1} hosts; ${MAX_HOSTS} are the most`);
    this.core.router.join(host, incarnation, quarantine);
    if (quarantine) this.core.router.pumpQuarantine(now);
    else this.core.router.drainWaiting(now);
  }

  /** The host is dead: what it had begun runs again in quarantine; the one that ran when a quarantine host died gets a strike. */
  hostLost(host: HostId, now: number): void {
    const { core } = this;
    core.now = now;
    const state = core.router.hosts.get(host);
    if (state === undefined) return;
    const culprit = state.quarantine ? core.router.running(state) : undefined;
    core.router.leave(host);
    core.state.releaseHost(state.bit);
    const messages = [...state.messages].sort((a, b) => (a === culprit ? 1 : 0) - (b === culprit ? 1 : 0));
    state.messages.clear();
    for (const message of messages) {
      core.grants.end(message, now);
      message.host = null;
      message.state = 'waiting';
      message.suspect = true;
      message.waitsForService = false;
      message.history.push([now, `on host ${host} when it died${message === culprit ? ', running' : ''}`]);
      if (message === culprit) this.#strike(message, now);
      if ((message.state as string) !== 'done') core.router.dispatch(message, now);
    }
    core.router.drainWaiting(now);
  }

  #strike(message: Message, now: number): void {
    const { core } = this;
    message.strikes++;
    core.groups.put(keys.strikes(message.session, message.no), [
      message.strikes,
      message.history,
    ] satisfies StrikesRecord);
    core.ports.log('warn', 'strike', {
      session: message.session,
      no: message.no,
      target: message.target,
      selector: message.selector,
      strikes: message.strikes,
    });
    if (message.strikes < core.config.kernel.strikes) return;
    const error = new TelosError(
      'DEAD_LETTER',
      `${message.target || 'the turn'}.${message.selector} ended its host ${message.strikes} times and was given up`,
    );
    core.fail(message, error, now);
  }

  fromHost(host: HostId, envelope: FromHost, now: number): void {
    const { core } = this;
    core.now = now;
    this.#lastActivity = now;
    const state = core.router.hosts.get(host) ?? this.#fenced(host);
    if (state === null) return;
    switch (envelope[0]) {
      case T.COMMIT:
        this.#commit(state, envelope, now);
        return;
      case T.LOAD:
        this.#operations.load(state, envelope);
        return;
      case T.DROPPED:
        this.#operations.dropped(state, envelope[1]);
        return;
      case T.GRANT_REQUEST: {
        const message = this.#messageOn(state, envelope[1], envelope[2]);
        if (message) core.grants.ask(message, envelope[3], now);
        return;
      }
      case T.SERVICE: {
        const message = this.#messageOn(state, envelope[2], envelope[3]);
        if (message) this.#services.ask(message, envelope, now);
        return;
      }
      case T.WAITING: {
        const message = this.#messageOn(state, envelope[1], envelope[2]);
        if (!message) return;
        if (envelope[3] || !state.quarantine) message.waitsForService = envelope[3];
        if (state.quarantine) core.router.pumpQuarantine(now);
        return;
      }
      case T.HOST_PARTIAL: {
        const message = this.#messageOn(state, envelope[1], envelope[2]);
        if (message) core.partial(message, envelope[3], envelope[4], now);
        return;
      }
      case T.DECLINED: {
        const message = this.#messageOn(state, envelope[1], envelope[2]);
        if (message) core.decline(message, TelosError.fromWire(envelope[3]), now);
        return;
      }
      case T.HOST_STATS:
        state.stats = envelope[1];
        return;
    }
  }

  /** A host of an earlier life says nothing that counts. With fencing switched off (tests) it does, and the simulation must notice. */
  #fenced(host: HostId): HostState | null {
    return this.core.faults.noFencing === true
      ? { id: host, incarnation: 0, quarantine: false, bit: 0, messages: new Set(), stats: {} }
      : null;
  }

  #messageOn(host: HostState, session: SessionId, no: number): Message | undefined {
    const message = this.core.sessions.byId.get(session)?.inFlight.get(no);
    if (message === undefined || message.state === 'done') return undefined;
    return message.host === host || this.core.faults.noFencing === true ? message : undefined;
  }

  #commit(host: HostState, [, attempt, session, no, bytes]: Commit, now: number): void {
    const { core } = this;
    const verdict = (kind: (typeof VERDICT)[keyof typeof VERDICT], stale: string[]): void =>
      core.ports.toHost(host.id, [T.VERDICT, attempt, kind, stale]);
    const message = this.#messageOn(host, session, no);
    if (message === undefined || (incarnationOf(attempt) !== host.incarnation && core.faults.noFencing !== true)) {
      verdict(VERDICT.VOID, []);
      return;
    }
    const body = checkCommitBody(unpack(bytes));
    const unchecked = core.faults.noValidation === true;
    const { stale, readSeq } = unchecked
      ? { stale: unwritable(core.state, body), readSeq: 0 }
      : validate(core.state, body);
    if (stale.length > 0) {
      core.grants.end(message, now);
      verdict(VERDICT.CONFLICT, stale);
      return;
    }
    const writes = body[2].length + body[3].length + body[4].length + body[5].length + body[6].length > 0;
    if (writes && core.grants.blocks(message, writtenKeys(body))) {
      verdict(VERDICT.GRANTED, []);
      return;
    }
    verdict(core.readOnly && writes ? VERDICT.CONFLICT : VERDICT.ACCEPTED, core.readOnly ? writtenKeys(body) : []);
    if (writes || !body[7][0] || message.consumed !== null) core.accept(message, attempt, bytes, body, host, now);
    else core.acceptReadOnly(message, body[7], readSeq, now);
  }

  // ---- services, storage, time ---------------------------------------------------------------------------------------------------

  serviceJoined(worker: HostId, services: readonly string[], now: number): void {
    this.core.now = now;
    this.#services.join(worker, services);
  }

  serviceLost(worker: HostId, now: number): void {
    this.core.now = now;
    this.#services.leave(worker, now);
  }

  fromService(_worker: HostId, envelope: FromService, now: number): void {
    this.core.now = now;
    this.#services.answered(envelope, now);
  }

  externalDone(ticket: number, error: TelosError | null, value: unknown, now: number): void {
    this.core.now = now;
    this.#operations.externalDone(ticket, error, value, now);
  }

  appended(now: number): void {
    this.core.now = now;
    this.core.groups.appended();
    this.flush(now);
  }

  appendFailed(error: TelosError, now: number): void {
    this.core.now = now;
    this.core.groups.appendFailed(error);
    this.core.ports.fatal(error);
  }

  readDone(ticket: number, values: readonly (Uint8Array | undefined)[], now: number): void {
    this.core.now = now;
    this.core.reader.readDone(ticket, values, now);
    this.flush(now);
  }

  pageDone(ticket: number, rows: readonly (readonly [Key, Uint8Array])[], now: number): void {
    this.core.now = now;
    this.core.reader.pageDone(ticket, rows, now);
    this.flush(now);
  }

  /** After each batch of events: sends gathered reads, deliveries that fit, and the next group. */
  flush(now: number): void {
    this.core.now = now;
    this.core.delivery.pump(now);
    this.core.reader.flush();
    this.core.groups.pump(now, false);
  }

  tick(now: number): void {
    const { core } = this;
    core.now = now;
    if (!this.#ready) return;
    if (now - this.#lastDeadlineCheck >= DEADLINE_CHECK_MS) {
      this.#lastDeadlineCheck = now;
      this.#operations.checkDeadlines(now);
      core.grants.expire(now);
      core.router.pumpQuarantine(now);
      this.#operations.expireSessions(now);
    }
    this.flush(now);
    const idle = now - this.#lastActivity >= core.config.kernel.idleFlushMs;
    if (idle) core.groups.pump(now, true);
  }

  /** Keys of conflict of what a name stands for; for tests and grants. */
  static nameKey(name: string): string {
    return nameKey(name);
  }
}
