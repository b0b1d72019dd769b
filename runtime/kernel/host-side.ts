/**
 * The hosts' side of the kernel: lives of hosts, strikes, and the verdict on each commit.
 *
 *   B1  Only a host that lives, and only for a message that is on it, says anything that counts; attempts carry its incarnation.
 *   B2  A commit is accepted only if every read is of the accepted state and no other message's grant covers what it writes.
 *   B3  The death of a quarantine host is charged to the message that ran there. Whoever was not the only one there is alone from then on,
 *       for one that has asked a service may run on without awaiting it: so no message pays twice for another.
 */
import {
  checkCommitBody,
  incarnationOf,
  readPlain,
  T,
  TelosError,
  VERDICT,
  type Commit,
  type FromHost,
  type SessionId,
} from '../../protocol/index.js';
import { oversized, validate, writtenKeys } from './commit.js';
import type { KernelCore } from './core.js';
import type { Message } from './message.js';
import type { Operations } from './operations.js';
import type { HostId } from './ports.js';
import { MAX_HOSTS, runningOn, type HostState } from './router.js';
import type { Services } from './services.js';

export class HostSide {
  constructor(
    private readonly core: KernelCore,
    private readonly operations: Operations,
    private readonly services: Services,
  ) {}

  joined(host: HostId, { incarnation, quarantine }: { incarnation: number; quarantine: boolean }, now: number): void {
    if (this.core.router.hosts.size >= MAX_HOSTS)
      throw new TelosError('BAD_CONFIG', `${this.core.router.hosts.size + 1} hosts; ${MAX_HOSTS} are the most`);
    this.core.router.join(host, incarnation, quarantine);
    if (quarantine) this.core.router.pumpQuarantine(now);
    else this.core.router.drainWaiting(now);
  }

  /** The host is dead: what it had begun runs again in quarantine; the one that ran when a quarantine host died gets a strike. */
  lost(host: HostId, now: number): void {
    const { core } = this;
    const state = core.router.hosts.get(host);
    if (state === undefined) return;
    const company = state.quarantine && state.messages.size > 1;
    const culprit = state.quarantine ? culpritOn(state) : undefined;
    core.router.leave(host);
    core.state.releaseHost(state.bit);
    const messages = [...state.messages].sort((a, b) => (a === culprit ? 1 : 0) - (b === culprit ? 1 : 0));
    state.messages.clear();
    for (const message of messages) {
      core.grants.end(message, now);
      message.host = null;
      message.state = 'waiting';
      message.suspect = true;
      if (company) message.alone = true;
      message.history.push([core.wallNow, `on host ${host} when it died${message === culprit ? ', running' : ''}`]);
      if (message === culprit) message.strikes++;
      core.suspicion.note(message);
      if (message === culprit) this.#struck(message, now);
      if ((message.state as string) !== 'done') core.router.dispatch(message, now);
    }
    core.router.drainWaiting(now);
  }

  #struck(message: Message, now: number): void {
    const { core } = this;
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

  receive(host: HostId, envelope: FromHost, now: number): void {
    const { core } = this;
    const state = core.router.hosts.get(host) ?? this.#fenced(host);
    if (state === null) return;
    switch (envelope[0]) {
      case T.COMMIT:
        this.#commit(state, envelope, now);
        return;
      case T.LOAD:
        this.operations.load(state, envelope);
        return;
      case T.DROPPED:
        this.operations.dropped(state, envelope[1]);
        return;
      case T.GRANT_REQUEST: {
        const message = this.#messageOn(state, envelope[1], envelope[2]);
        if (message) core.grants.ask(message, envelope[3], now);
        return;
      }
      case T.SERVICE: {
        const message = this.#messageOn(state, envelope[2], envelope[3]);
        if (message) this.services.ask(message, envelope, now);
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
    const body = checkCommitBody(readPlain(bytes));
    const { stale, readSeq, patched } = validate(
      core.state,
      body,
      core.config.message.maxBodyBytes,
      core.faults.noValidation === true,
    );
    if (stale.length > 0) {
      core.grants.end(message, now);
      verdict(VERDICT.CONFLICT, stale);
      return;
    }
    const tooLarge = oversized(core.state, body, patched, core.config.message.maxObjectBytes);
    if (tooLarge) {
      verdict(VERDICT.VOID, []);
      core.fail(message, tooLarge, now);
      return;
    }
    const writes = body[2].length + body[3].length + body[4].length + body[5].length + body[6].length > 0;
    if (writes && core.grants.blocks(message, writtenKeys(core.state, body))) {
      verdict(VERDICT.GRANTED, []);
      return;
    }
    verdict(
      core.readOnly && writes ? VERDICT.CONFLICT : VERDICT.ACCEPTED,
      core.readOnly ? writtenKeys(core.state, body) : [],
    );
    if (writes || !body[7][0] || message.consumed !== null)
      core.accept(message, attempt, bytes, body, host, now, patched);
    else core.acceptReadOnly(message, body[7], readSeq, now);
  }
}

/** The message that ran on it; the only one there is charged whatever it was doing. */
function culpritOn(host: HostState): Message | undefined {
  const [only, second] = host.messages;
  return second === undefined ? only : runningOn(host);
}
