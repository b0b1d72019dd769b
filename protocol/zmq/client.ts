/**
 * The end of a link that greets: one DEALER per attempt, driven by the state machine of link.ts.
 *
 * Owns: the socket of the present attempt, the lane, one timer.
 *   C1  what belongs to an earlier attempt (events, frames, failed sends) is ignored.
 *   C2  nothing is queued while the link is down: `send` answers false, and `welcomed` is the moment to send again.
 *   C3  one send at a time; when ZeroMQ has no room the frame waits and the lane fills up to its limit.
 *   C4  what arrived before the connection broke is delivered before `lost`.
 *   C5  interval, liveness and frame size are those of the welcome; the options count until it comes.
 */
import type { Dealer, Event } from 'zeromq';
import { ClientLink, RECONNECT, silenceMs, type LinkEffect } from '../link.js';
import { isRetryable, TelosError, type WireError } from '../errors.js';
import { checkError } from '../checks.js';
import { checkVersion, checkWelcome } from '../validate.js';
import { readPlain, readWork } from '../reader.js';
import { SIGNAL } from '../frames.js';
import type { Envelope } from '../envelope.js';
import { goodbyeFrame, heartbeatFrame, Lane, readyFrame, SIGNAL_PART, type Parts } from './frame.js';
import { zmq } from './zeromq.js';
import type { LinkClientHandlers, LinkClientOptions } from './types.js';

const HIGH_WATER_FRAMES = 128;
const RETRY_MS = 2;
const GOODBYE_LINGER_MS = 250;
/** After a disconnect, what had come is read until this many rounds of the event loop bring nothing, or this long. */
const IDLE_LOOKS = 3;
const READ_OUT_MS = 250;
/** A day; ZeroMQ doubles it with a random part, in 32 bits. */
const NEVER_MS = 86_400_000;
/** What the welcome allows is not known when the socket is made: this is the largest that a configuration may name. */
const CEILING_BYTES = 2 ** 30;

export class LinkClient {
  private readonly link: ClientLink;
  private readonly lane: Lane;
  private socket: Dealer | undefined;
  /** Counts attempts (C1). */
  private attempt = 0;
  /** Messages received, ever. */
  private messages = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly signals: Parts[] = [];
  private unsent: Parts | undefined;
  /** Sent behind the lane, so that it carries the last number. */
  private beatDue = false;
  private scheduled = false;
  private flushing = false;

  constructor(
    private readonly options: LinkClientOptions,
    private readonly handlers: LinkClientHandlers,
  ) {
    this.link = new ClientLink(options, options.reconnect ?? RECONNECT[options.kind], Math.random, performance.now());
    this.lane = new Lane(options.laneLimit, options.maxFrameBytes, (envelope, error) => {
      handlers.log('error', 'link.envelope-too-large', { message: error.message });
      handlers.unsent(envelope, error);
    });
  }

  get connected(): boolean {
    return this.link.state === 'up';
  }

  open(): void {
    this.perform(this.link.open(performance.now()));
    this.arm();
  }

  /** False: the link is down, or the lane is full. The envelope must not be changed afterwards. */
  send(envelope: Envelope): boolean {
    if (this.link.state !== 'up' || !this.lane.push(envelope)) return false;
    const first = !this.scheduled;
    this.schedule();
    if (this.lane.urgent(first)) void this.flush(1);
    return true;
  }

  /** Envelopes that wait to be sent. */
  get pending(): number {
    return this.lane.length;
  }

  /** Ends the session: what was sent leaves, then GOODBYE. */
  async goodbye(): Promise<void> {
    if (this.link.state === 'up') {
      this.flushSignals(goodbyeFrame());
      await this.drained(performance.now() + GOODBYE_LINGER_MS);
      if (this.socket !== undefined) this.socket.linger = GOODBYE_LINGER_MS;
    }
    await this.close();
  }

  /** Ends the link; the session may be gone on with by another. */
  close(): Promise<void> {
    clearTimeout(this.timer);
    this.perform(this.link.close());
    return Promise.resolve();
  }

  private async drained(until: number): Promise<void> {
    const waits = (): boolean => this.unsent !== undefined || this.signals.length > 0 || this.lane.length > 0;
    while (waits() && this.link.state === 'up' && performance.now() < until) {
      await this.flush();
      if (waits()) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  // ---- the state machine's wishes ------------------------------------------------------------------------------------------------

  private perform(effects: readonly LinkEffect[]): void {
    for (const effect of effects) this.one(effect);
  }

  private one(effect: LinkEffect): void {
    switch (effect.do) {
      case 'connect':
        void this.connect(++this.attempt);
        return;
      case 'disconnect':
        return this.disconnect();
      case 'greet':
        return this.greet();
      case 'heartbeat':
        this.beatDue = true;
        return this.schedule();
      case 'up':
        return;
      case 'lost':
        return this.handlers.lost(effect.why);
    }
  }

  private arm(): void {
    if (this.link.state === 'closed') return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.perform(this.link.tick(performance.now()));
      this.arm();
    }, this.link.dueIn(performance.now()));
  }

  private broken(attempt: number, why: string): void {
    if (attempt !== this.attempt) return;
    if (this.link.state !== 'up') this.handlers.log('info', 'link.attempt-failed', { why });
    this.perform(this.link.broken(why, performance.now()));
    this.arm();
  }

  private async connect(attempt: number): Promise<void> {
    try {
      const { endpoint } = this.options;
      const address = typeof endpoint === 'string' ? endpoint : await endpoint();
      if (attempt !== this.attempt) return;
      const socket = new (zmq().Dealer)(socketOptions(this.options));
      this.socket = socket;
      void this.watch(attempt, socket.events);
      socket.connect(address);
      void this.receive(attempt, socket);
    } catch (error) {
      this.broken(attempt, error instanceof Error ? error.message : String(error));
    }
  }

  private disconnect(): void {
    this.attempt++;
    this.lane.clear();
    this.signals.length = 0;
    this.unsent = undefined;
    this.beatDue = false;
    this.socket?.close();
    this.socket = undefined;
  }

  private greet(): void {
    try {
      this.flushSignals(readyFrame(this.options.hello()));
    } catch (error) {
      this.handlers.log('error', 'link.hello-failed', { error: String(error) });
    }
  }

  // ---- receiving -----------------------------------------------------------------------------------------------------------------

  private async watch(attempt: number, events: AsyncIterable<Event>): Promise<void> {
    try {
      for await (const event of events) if (attempt === this.attempt) this.event(attempt, event);
    } catch (error) {
      this.broken(attempt, `the socket's monitor failed: ${String(error)}`);
    }
  }

  private event(attempt: number, event: Event): void {
    switch (event.type) {
      case 'handshake':
        return this.perform(this.link.connected(performance.now()));
      case 'handshake:error:auth':
        return this.refuse(
          new TelosError(
            'UNAUTHORIZED',
            `the key ${JSON.stringify(this.options.curve?.publicKey ?? '')} is not admitted`,
          ).toWire(),
        );
      case 'handshake:error:protocol':
      case 'handshake:error:other':
        return this.broken(attempt, `the handshake failed: ${event.error.message}`);
      case 'disconnect':
      case 'close':
      case 'connect:retry':
        return this.brokenWhenRead(attempt, 'the connection broke');
      default:
    }
  }

  /** The monitor may tell of the end before the socket hands out what came before it: that is read first (C4). */
  private brokenWhenRead(attempt: number, why: string): void {
    const end = performance.now() + READ_OUT_MS;
    let idle = 0;
    let seen = this.messages;
    const look = (): void => {
      if (attempt !== this.attempt) return;
      idle = this.messages === seen ? idle + 1 : 0;
      seen = this.messages;
      if (idle >= IDLE_LOOKS || performance.now() > end) this.broken(attempt, why);
      else setImmediate(look);
    };
    setImmediate(look);
  }

  /** One that is not let in now may be soon; one that is not let in at all is tried seldom. */
  private refuse(error: WireError): void {
    const why = `${error[0]}: ${error[2]}`;
    const now = performance.now();
    if (this.link.state !== 'up') this.handlers.log('warn', 'link.refused', { code: error[0], message: error[2] });
    this.perform(isRetryable(error[0]) ? this.link.broken(why, now) : this.link.refused(why, now));
    this.arm();
    this.handlers.refused(error);
  }

  private async receive(attempt: number, socket: Dealer): Promise<void> {
    while (attempt === this.attempt) {
      let parts: Buffer[];
      try {
        parts = await socket.receive();
      } catch (error) {
        return this.broken(attempt, `receiving failed: ${String(error)}`);
      }
      if (attempt !== this.attempt) return;
      this.messages++;
      try {
        this.frame(attempt, parts, performance.now());
      } catch (error) {
        const { code, message } = TelosError.from(error, 'MALFORMED');
        this.handlers.log('error', 'link.offence', { code, message });
        this.broken(attempt, `${code}: ${message}`);
      }
    }
  }

  private frame(attempt: number, parts: readonly Buffer[], now: number): void {
    const [first, body] = parts;
    if (parts.length !== 2 || first?.length !== 1)
      throw new TelosError('MALFORMED', `a message of ${parts.length} parts where 2 are expected`);
    switch (first[0]) {
      case SIGNAL.WORK:
        return this.work(attempt, body as Buffer, now);
      case SIGNAL.HEARTBEAT:
        return this.heartbeat(body as Buffer, now);
      case SIGNAL.READY:
        return this.welcome(body as Buffer, now);
      case SIGNAL.REFUSED:
        return this.refusal(attempt, checkError(readPlain(body as Buffer), 'REFUSED'));
      default:
        throw new TelosError('MALFORMED', `a message with the signal ${String(first[0])}`);
    }
  }

  private welcome(body: Buffer, now: number): void {
    if (this.link.state !== 'greeting') throw new TelosError('MALFORMED', 'a welcome that nobody waits for');
    const value = readPlain(body);
    checkVersion(value);
    const welcome = checkWelcome(value);
    const [, , , , , heartbeatIntervalMs, liveness, maxFrameBytes] = welcome;
    this.lane.maxFrameBytes = maxFrameBytes;
    this.perform(this.link.welcomed(now, { heartbeatIntervalMs, liveness }));
    this.arm();
    this.handlers.welcomed(welcome);
  }

  private work(attempt: number, body: Buffer, now: number): void {
    if (this.link.state !== 'up') return;
    if (body.length > this.lane.maxFrameBytes)
      throw new TelosError('TOO_LARGE', `a frame of ${body.length} bytes, of at most ${this.lane.maxFrameBytes}`);
    const { no, envelopes } = readWork(body);
    if (this.link.work(no, now)) this.deliver(envelopes);
    else this.broken(attempt, `frame ${no} came after frame ${this.link.lastReceived}`);
  }

  /** A fault of the receiver is not one of the link. */
  private deliver(envelopes: unknown[]): void {
    try {
      this.handlers.work(envelopes);
    } catch (error) {
      if (error instanceof TelosError && error.code === 'MALFORMED') throw error;
      this.handlers.log('error', 'link.handler-failed', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }

  private heartbeat(body: Buffer, now: number): void {
    const beat = readPlain(body);
    this.perform(this.link.heartbeat(Array.isArray(beat) ? Number(beat[0]) : Number.NaN, now));
    this.arm();
  }

  private refusal(attempt: number, error: WireError): void {
    if (error[0] === 'LINK_LOST') this.broken(attempt, `${error[0]}: ${error[2]}`);
    else this.refuse(error);
  }

  // ---- sending -------------------------------------------------------------------------------------------------------------------

  private flushSignals(parts: Parts): void {
    this.signals.push(parts);
    this.schedule();
  }

  /** What is sent within one tick of the event loop leaves in few frames. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      void this.flush();
    });
  }

  private next(): Parts | undefined {
    if (this.unsent !== undefined) return this.unsent;
    if (this.link.state !== 'up') return this.signals.shift();
    const body = this.lane.nextFrame(() => this.link.nextFrame());
    if (body !== undefined) return [SIGNAL_PART.WORK, body];
    if (!this.beatDue) return this.signals.shift();
    this.beatDue = false;
    return heartbeatFrame(this.link.lastSent);
  }

  private async flush(frames = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.flushing) return;
    this.flushing = true;
    const { attempt, socket } = this;
    try {
      for (let sent = 0; sent < frames && socket !== undefined; sent++) {
        const parts = this.next();
        if (parts === undefined) break;
        this.unsent = parts;
        await socket.send([parts[0], parts[1]]);
        if (attempt !== this.attempt) return;
        this.unsent = undefined;
      }
    } catch (error) {
      this.sendFailed(attempt, error);
    } finally {
      this.flushing = false;
      if (attempt !== this.attempt) this.schedule();
    }
  }

  private sendFailed(attempt: number, error: unknown): void {
    if (attempt !== this.attempt) return;
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') setTimeout(() => this.schedule(), RETRY_MS);
    else this.broken(attempt, `sending failed: ${String(error)}`);
  }
}

function socketOptions({ curve, heartbeatIntervalMs, liveness }: LinkClientOptions): Partial<Dealer> {
  const patience = silenceMs({ heartbeatIntervalMs, liveness });
  return {
    sendTimeout: 0,
    linger: 0,
    // Never of itself: a fresh socket is made for each attempt. Neither -1 nor `immediate` will do: with either one ZeroMQ throws
    // away what had arrived and was not yet read when the connection breaks (C4).
    reconnectInterval: NEVER_MS,
    immediate: false,
    connectTimeout: patience,
    handshakeInterval: patience,
    sendHighWaterMark: HIGH_WATER_FRAMES,
    receiveHighWaterMark: HIGH_WATER_FRAMES,
    maxMessageSize: CEILING_BYTES,
    ...(curve === null
      ? {}
      : { curveServerKey: curve.serverKey, curvePublicKey: curve.publicKey, curveSecretKey: curve.secretKey }),
  };
}
