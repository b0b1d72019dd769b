/**
 * The client's half of a session: a pure state machine. Time (`now`: ms of a clock that never goes back) and randomness are passed in,
 * all output goes through a `SessionPort`. connect.ts wires it to a socket, the simulation to a virtual network.
 *
 *     const session = new ClientSession(limits, port, random)
 *     session.id                                 // goes into the Hello; 0 asks for a new one
 *     session.onWelcome(id, window, now, graceMs?)   // after each greeting: all that is unanswered leaves again, same numbers
 *     session.onLost(now)                        // the link is gone
 *     session.onRefused(error, now)              // the kernel refused the greeting (EXPIRED: the session is forgotten)
 *     session.onEnvelope(envelope, now)          // ANSWER, ERROR, PARTIAL, NOTICE
 *     session.tick(now)                          // every 10 to 50 ms while `session.busy` or the link is down
 *     const r = session.ask({target, selector, args, origin, deadlineMs?, trace?}, sink, now)
 *     const r = session.query({op, args, deadlineMs?}, sink, now)
 *     session.cancel(r, now)                     // the sink hears CANCELLED, or the answer if that was faster
 *     const s = session.subscribe(pattern, credit, noticeSink, now);  s.taken(n, now);  s.end()
 *     session.close()                            // all that is open fails with CLOSED
 *
 * Owns: message numbers, the lowest one still waited for, the window, resends, back-off, deadlines, subscriptions.
 * Does not own: sockets, timers, the form of values.
 *
 * Invariants (the tests name them):
 *   C1  A number of a session stands for one request for ever; it is given at the first sending, in the order of the asks.
 *   C2  Every request is settled exactly once: by the kernel's verdict, or here by one of the errors below.
 *   C3  `lowest` never falls within a session and never passes a number that is still waited for.
 *   C4  At most `window` requests are numbered and unsettled; at most `backlog` more wait without a number.
 *   C5  A request of an ended session that was sent is never sent in another; one that was never sent moves on.
 *   C6  OUTCOME_UNKNOWN only where the kernel could not be reached (or was mute for `graceMs`) when the deadline passed, or for
 *       `giveUpMs`; BUSY and CONFLICT are thrown only at the deadline.
 *   C7  One request that stays open does not make the kernel keep the answers of all that were sent after it (RELEASE).
 */
import {
  T,
  TelosError,
  isRetryable,
  type Answer,
  type ErrorAnswer,
  type Partial_,
  type ToClient,
  type WireError,
} from '../../protocol/index.js';
import {
  Request,
  STATE,
  endings,
  settledRanges,
  type AskSpec,
  type QuerySpec,
  type SessionLimits,
  type SessionPort,
  type Sink,
} from './request.js';
import { Subscriptions, type NoticeSink, type Subscription } from './subscription.js';

export type { Request, SessionLimits, SessionPort, Sink } from './request.js';

/** How often in a window of answers the kernel is told which it need not keep, while an older request is open. */
const RELEASES_PER_WINDOW = 4;

export class ClientSession {
  /** Granted by the kernel; 0: none yet, or given up. */
  id = 0;
  private connected = false;
  private closed = false;
  private lastReached: number | null = null;
  private window: number;
  private graceMs: number;
  private nextNo = 1;
  private lowest = 1;
  /** Numbered and unsettled, in order of number. */
  private readonly open = new Map<number, Request>();
  /** Settled since the kernel was last told. */
  private unreleased = 0;
  private resends = 0;
  private backlog: Request[] = [];
  private backlogHead = 0;
  /** Unsettled requests in the backlog. */
  private queued = 0;
  /** No deadline or back-off ends before this; may be too early, never too late. */
  private nextDue = Infinity;
  private readonly subscriptions: Subscriptions;
  private readonly tracePrefix: string;

  constructor(
    private readonly limits: SessionLimits,
    private readonly port: SessionPort,
    private readonly random: () => number,
  ) {
    this.window = limits.window;
    this.graceMs = limits.graceMs;
    this.subscriptions = new Subscriptions((envelope) => this.connected && port.send(envelope));
    this.tracePrefix = `${Math.floor(random() * 36 ** 6).toString(36)}.`;
  }

  /** Requests that are not settled. */
  get outstanding(): number {
    return this.open.size + this.queued;
  }

  /** True while `tick` has something to watch. */
  get busy(): boolean {
    return this.outstanding > 0 || this.subscriptions.stuck;
  }

  // ---- requests -----------------------------------------------------------------------------------------------------------

  ask(spec: AskSpec, sink: Sink, now: number): Request {
    const deadlineMs = this.deadlineOf(spec.deadlineMs);
    const { target, selector, args, origin, trace = '' } = spec;
    return this.begin(new Request(sink, selector, target, args, origin, trace, deadlineMs, now + deadlineMs), now);
  }

  query(spec: QuerySpec, sink: Sink, now: number): Request {
    const deadlineMs = this.deadlineOf(spec.deadlineMs);
    return this.begin(new Request(sink, null, spec.op, spec.args, 0, '', deadlineMs, now + deadlineMs), now);
  }

  cancel(request: Request, now: number): void {
    if (request.state === STATE.SETTLED || request.cancelled) return;
    request.cancelled = true;
    if (request.no === 0 || (request.state === STATE.RESEND && request.lastError !== null)) {
      return this.fail(request, endings.cancelled(request));
    }
    if (request.state === STATE.SENT && this.connected && !this.port.send([T.CANCEL, request.no]))
      this.sendLater(request, now);
  }

  private deadlineOf(asked: number | undefined): number {
    if (asked === undefined) return this.limits.defaultDeadlineMs;
    if (!(asked > 0)) throw new TelosError('BAD_ARGUMENT', `a deadline of ${asked} ms is not above 0`);
    return Math.min(asked, this.limits.maxDeadlineMs);
  }

  private begin(request: Request, now: number): Request {
    if (this.closed) {
      this.fail(request, endings.closed(request));
      return request;
    }
    if (request.deadline < this.nextDue) this.nextDue = request.deadline;
    const direct = this.connected && this.queued === 0 && this.open.size < this.window;
    if (direct && this.sendFirst(request, now)) return request;
    if (this.queued >= this.limits.backlog) {
      this.fail(request, endings.noRoom(request, this.limits.backlog));
      return request;
    }
    request.state = STATE.WAITS;
    this.backlog.push(request);
    this.queued++;
    return request;
  }

  /** Gives the request its number and sends it. False: the lane is full, nothing has changed. */
  private sendFirst(request: Request, now: number): boolean {
    request.no = this.nextNo;
    if (request.trace === '') request.trace = this.tracePrefix + request.no.toString(36);
    if (!this.transmit(request, now)) {
      request.no = 0;
      return false;
    }
    this.nextNo++;
    request.state = STATE.SENT;
    this.open.set(request.no, request);
    return true;
  }

  private transmit(r: Request, now: number): boolean {
    const left = Math.max(1, Math.ceil(r.deadline - now));
    return r.selector === null
      ? this.port.send([T.QUERY, r.no, this.lowest, left, r.target, r.args])
      : this.port.send([T.ASK, r.no, this.lowest, left, r.trace, r.target, r.selector, r.args, r.origin]);
  }

  private sendLater(request: Request, at: number): void {
    if (request.state !== STATE.RESEND) this.resends++;
    request.state = STATE.RESEND;
    request.retryAt = at;
    if (at < this.nextDue) this.nextDue = at;
  }

  /** Sends what may leave now: repeats first (they are older), then the backlog as far as the window allows. */
  private pump(now: number): void {
    if (!this.connected) return;
    if (this.resends > 0 && !this.pumpResends(now)) return;
    while (this.queued > 0 && this.open.size < this.window) {
      const request = this.backlog[this.backlogHead] as Request;
      if (request.state === STATE.WAITS) {
        if (!this.sendFirst(request, now)) break;
        this.queued--;
      }
      this.backlogHead++;
    }
    this.trimBacklog();
  }

  /** Lets go of what has left the backlog or was settled in it, rarely enough to cost nothing. */
  private trimBacklog(): void {
    if (this.backlog.length < 2 * this.queued + 1024 && (this.queued > 0 || this.backlog.length === 0)) return;
    this.backlog = this.backlog.slice(this.backlogHead).filter(({ state }) => state === STATE.WAITS);
    this.backlogHead = 0;
  }

  private pumpResends(now: number): boolean {
    for (const request of this.open.values()) {
      if (request.state !== STATE.RESEND || request.retryAt > now) continue;
      if (!this.transmit(request, now)) return false;
      if (request.cancelled && !this.port.send([T.CANCEL, request.no])) return false;
      request.state = STATE.SENT;
      request.lastError = null;
      if (--this.resends === 0) break;
    }
    return true;
  }

  // ---- the link -----------------------------------------------------------------------------------------------------------

  onWelcome(id: number, window: number, now: number, graceMs = this.limits.graceMs): void {
    if (id !== this.id) {
      this.endSession(endings.forgotten);
      this.id = id;
    }
    this.connected = true;
    this.lastReached = now;
    this.window = Math.max(1, Math.min(window, this.limits.window));
    this.graceMs = graceMs;
    this.release(0);
    for (const request of this.open.values()) if (request.state === STATE.SENT) this.sendLater(request, now);
    this.subscriptions.establish();
    this.pump(now);
  }

  onLost(now: number): void {
    if (this.connected) this.lastReached = now;
    this.connected = false;
    this.nextDue = Math.min(this.nextDue, now);
    this.subscriptions.interrupted();
  }

  /** The kernel refused the greeting. EXPIRED ends the session; other refusals change nothing, the link tries again. */
  onRefused(error: TelosError, now: number): void {
    this.onLost(now);
    if (error.code !== 'EXPIRED') return;
    this.endSession(() => error);
    this.port.greetAnew();
  }

  onEnvelope(envelope: ToClient, now: number): void {
    switch (envelope[0]) {
      case T.ANSWER:
        return this.onAnswer(envelope, now);
      case T.ERROR:
        return this.onError(envelope, now);
      case T.PARTIAL:
        return this.onPartial(envelope, now);
      case T.NOTICE:
        return this.subscriptions.onNotice(envelope);
      case T.UNSUBSCRIBED:
        return this.subscriptions.onRefused(envelope);
    }
  }

  private onAnswer([, no, body, seq]: Answer, now: number): void {
    const request = this.open.get(no);
    if (request === undefined) return;
    this.settle(request);
    this.release(this.window / RELEASES_PER_WINDOW);
    request.sink.done(body, seq);
    if (this.queued > 0) this.pump(now);
  }

  private onError([, no, wire]: ErrorAnswer, now: number): void {
    const request = this.open.get(no);
    if (request === undefined) return;
    if (isRetryable(wire[0])) return this.onRetryable(request, wire, now);
    this.fail(request, TelosError.fromWire(wire));
    if (wire[0] !== 'EXPIRED') this.release(this.window / RELEASES_PER_WINDOW);
    if (wire[0] === 'EXPIRED') this.renew();
    else if (this.queued > 0) this.pump(now);
  }

  private onRetryable(request: Request, wire: WireError, now: number): void {
    const error = TelosError.fromWire(wire);
    if (request.cancelled) return this.fail(request, endings.cancelled(request));
    if (now >= request.deadline) return this.fail(request, error);
    const exponential = Math.min(
      this.limits.backoffMaxMs,
      this.limits.backoffFirstMs * 2 ** Math.min(request.tries++, 20),
    );
    this.sendLater(request, Math.min(request.deadline, now + exponential * (0.5 + this.random() / 2)));
    request.lastError = error;
  }

  private onPartial([, no, part, body]: Partial_, now: number): void {
    const request = this.open.get(no);
    if (request === undefined) return;
    request.deadline = now + request.deadlineMs;
    if (part !== 1 && part <= request.lastPart) return;
    request.lastPart = part;
    request.sink.partial?.(part, body);
  }

  // ---- time ---------------------------------------------------------------------------------------------------------------

  tick(now: number): void {
    if (
      !this.connected &&
      this.id !== 0 &&
      this.lastReached !== null &&
      now - this.lastReached >= this.limits.giveUpMs
    ) {
      const away = now - this.lastReached;
      this.endSession((r) => endings.givenUp(r, away));
    }
    if (now >= this.nextDue) this.expire(now);
    this.pump(now);
    this.subscriptions.retry();
  }

  private expire(now: number): void {
    this.nextDue = Infinity;
    for (const request of this.open.values()) this.expireOne(request, now);
    for (let i = this.backlogHead; i < this.backlog.length; i++) this.expireOne(this.backlog[i] as Request, now);
    this.trimBacklog();
  }

  private expireOne(request: Request, now: number): void {
    if (request.state === STATE.SETTLED) return;
    const backingOff = request.state === STATE.RESEND && request.lastError !== null;
    const end = this.connected && request.no !== 0 && !backingOff ? request.deadline + this.graceMs : request.deadline;
    if (now >= end)
      return this.fail(
        request,
        backingOff ? (request.lastError as TelosError) : endings.atDeadline(request, this.connected),
      );
    const due = backingOff ? Math.min(end, Math.max(request.retryAt, now + 1)) : end;
    if (due < this.nextDue) this.nextDue = due;
  }

  // ---- what the kernel need not keep ------------------------------------------------------------------------------------------

  /**
   * An old request that is open still keeps `lowest` back: the numbers above it that are settled are named to the kernel, a part of the window
   * at a time, and all of them after a greeting.
   */
  private release(atLeast: number): void {
    const settled = this.nextNo - this.lowest - this.open.size;
    if (settled === 0 || settled < atLeast || this.unreleased < atLeast) return;
    if (this.port.send([T.RELEASE, settledRanges(this.lowest, this.nextNo, this.open.keys())])) this.unreleased = 0;
  }

  // ---- settling -----------------------------------------------------------------------------------------------------------

  private settle(request: Request): void {
    if (request.state === STATE.RESEND) this.resends--;
    if (request.state === STATE.WAITS) this.queued--;
    request.state = STATE.SETTLED;
    if (request.no === 0 || !this.open.delete(request.no)) return;
    this.unreleased++;
    if (request.no !== this.lowest) return;
    do this.lowest++;
    while (this.lowest < this.nextNo && !this.open.has(this.lowest));
  }

  private fail(request: Request, error: TelosError): void {
    this.settle(request);
    request.sink.failed(error);
  }

  /** Fails all that was sent in this session (C5) and forgets it. */
  private endSession(reason: (request: Request) => TelosError): void {
    for (const request of [...this.open.values()]) this.fail(request, reason(request));
    this.id = 0;
    this.nextNo = 1;
    this.lowest = 1;
    this.lastReached = null;
  }

  private renew(): void {
    this.connected = false;
    this.endSession(endings.forgotten);
    this.port.greetAnew();
  }

  close(): void {
    this.closed = true;
    for (const request of this.backlog.slice(this.backlogHead))
      if (request.state === STATE.WAITS) this.fail(request, endings.closed(request));
    this.backlog = [];
    this.backlogHead = 0;
    this.endSession(endings.closed);
    this.subscriptions.end();
  }

  // ---- subscriptions --------------------------------------------------------------------------------------------------------

  /** @param pattern a name, an oid, or `*` @param credit notices that may be under way before `taken` is called */
  subscribe(pattern: string, credit: number, sink: NoticeSink): Subscription {
    return this.subscriptions.add(pattern, credit, sink, this.connected);
  }
}
