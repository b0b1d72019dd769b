/**
 * The end of the links that others greet: one ROUTER, its peers, one sender, one receive loop.
 *
 * Owns: the socket, per connection (routing id) its state and lane. Does not know what envelopes mean.
 *   S1  whatever a peer sends, the others are served: a peer that breaks the protocol is dropped and logged, nothing else happens.
 *   S2  sending is the business of sender.ts; a peer that it can not reach is lost at once.
 *   S3  each greeting makes a fresh PeerId; for each PeerId handed to `hello` exactly one of `lost`, `goodbye`, or a `refuse` or
 *       `drop` of our own ends it.
 *   S4  a connection that was refused, dropped or lost is deaf until it greets anew, at the earliest after one interval.
 */
import type { Event, Router } from 'zeromq';
import { TelosError, type WireError } from '../errors.js';
import { checkHello, checkVersion } from '../validate.js';
import { Judge, tickEveryMs } from '../link.js';
import { readPlain, readWork } from '../reader.js';
import { SIGNAL, type Hello, type Welcome } from '../frames.js';
import type { Envelope } from '../envelope.js';
import { readyFrame, refusedFrame } from './frame.js';
import { Peer } from './peer.js';
import { Proven } from './proven.js';
import { Sender } from './sender.js';
import { closeDomain, openDomain } from './zap.js';
import { zmq } from './zeromq.js';
import type { LinkServerHandlers, LinkServerOptions, PeerId } from './types.js';

/** Frames that ZeroMQ may hold for one peer in each direction. */
const HIGH_WATER_FRAMES = 128;
/** Pause between looks at what still waits, and after a failed receive. */
const RETRY_MS = 2;
/** After a disconnect somewhere, peers are probed when ZeroMQ has had time to forget the connection. */
const PROBE_AFTER_MS = [5, 60] as const;
const CLOSE_LINGER_MS = 250;

export class LinkServer {
  /** By routing id, as latin1. */
  private readonly connections = new Map<string, Peer>();
  private readonly peers = new Map<PeerId, Peer>();
  private readonly sender: Sender;
  private readonly judge: Judge;
  private readonly timers = new Set<NodeJS.Timeout>();
  private nextPeer: PeerId = 1;
  private probing = false;
  private closed = false;

  private constructor(
    private readonly options: LinkServerOptions,
    private readonly handlers: LinkServerHandlers,
    private readonly socket: Router,
    private readonly domain: string | undefined,
    private readonly proven: Proven,
    readonly endpoint: string,
  ) {
    this.judge = new Judge(options, performance.now());
    this.sender = new Sender(socket, (peer) => this.broken(peer), handlers.log);
    this.timers.add(setInterval(() => this.tick(performance.now()), tickEveryMs(options)));
  }

  /** @throws TelosError PORT_IN_USE, BAD_ARGUMENT (an endpoint that can not be bound) */
  static async bind(options: LinkServerOptions, handlers: LinkServerHandlers): Promise<LinkServer> {
    const proven = new Proven((key) => options.admit(key));
    const domain = options.curve === null ? undefined : await openDomain((key) => admit(options, key, proven));
    const socket = new (zmq().Router)(socketOptions(options, domain));
    const events = socket.events;
    try {
      await socket.bind(options.endpoint);
    } catch (cause) {
      socket.close();
      if (domain !== undefined) closeDomain(domain);
      throw bindError(options.endpoint, cause);
    }
    const server = new LinkServer(options, handlers, socket, domain, proven, socket.lastEndpoint ?? options.endpoint);
    void server.watch(events);
    void server.receive();
    return server;
  }

  /** Lets a peer in; what was sent to it meanwhile follows. `maxLaneBytes`: what may wait for it (frame.ts, F4). */
  welcome(peer: PeerId, welcome: Welcome, maxLaneBytes = Number.POSITIVE_INFINITY): void {
    const target = this.peers.get(peer);
    if (target === undefined || target.state !== 'greeted') return;
    // Not before: whose token is refused has only named the key, and its end must not count that key's own connections off.
    this.proven.greeted(target, target.greetedAs);
    target.letIn(performance.now(), maxLaneBytes);
    target.signals.push(readyFrame(welcome));
    this.sender.mark(target);
  }

  refuse(peer: PeerId, error: WireError): void {
    const target = this.peers.get(peer);
    if (target !== undefined) this.shut(target, error);
  }

  /** False: the lane is full, or there is no such peer. The envelope must not be changed afterwards. */
  send(peer: PeerId, envelope: Envelope): boolean {
    const target = this.peers.get(peer);
    if (target === undefined || !target.lane.push(envelope)) return false;
    this.sender.mark(target);
    return true;
  }

  /** Overtakes what waits in the lane. A peer that does not even take these is lost. */
  sendControl(peer: PeerId, envelope: Envelope): void {
    const target = this.peers.get(peer);
    if (target === undefined) return;
    if (target.lane.pushControl(envelope)) this.sender.mark(target);
    else this.lose(target, `its control lane is full (${this.options.laneLimit})`);
  }

  /** Envelopes that wait for the peer. */
  pending(peer: PeerId): number {
    return this.peers.get(peer)?.lane.length ?? 0;
  }

  /** Forgets the peer, without a word to it. */
  drop(peer: PeerId): void {
    const target = this.peers.get(peer);
    if (target !== undefined) this.shut(target, undefined);
  }

  /** Sends what waits, for at most `deadlineMs`, and closes. */
  async close(deadlineMs: number): Promise<void> {
    const until = performance.now() + deadlineMs;
    while (!this.closed && this.hasPending() && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    if (this.closed) return;
    this.closed = true;
    this.sender.close();
    for (const timer of this.timers) clearTimeout(timer);
    this.socket.linger = Math.min(CLOSE_LINGER_MS, deadlineMs);
    this.socket.close();
    if (this.domain !== undefined) closeDomain(this.domain);
    this.peers.clear();
    this.connections.clear();
  }

  private hasPending(): boolean {
    for (const peer of this.peers.values()) if (peer.hasPending()) return true;
    return false;
  }

  // ---- receiving ---------------------------------------------------------------------------------------------------------------

  private async receive(): Promise<void> {
    while (!this.closed) {
      let parts: Buffer[];
      try {
        parts = await this.socket.receive();
      } catch (error) {
        if (this.closed || this.socket.closed) return;
        this.handlers.log('error', 'link.receive-failed', { error: String(error) });
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
        continue;
      }
      this.take(parts);
    }
  }

  private take(parts: Buffer[]): void {
    const routing = parts[0] as Buffer;
    const key = routing.toString('latin1');
    const now = performance.now();
    let peer = this.connections.get(key);
    if (peer === undefined) {
      peer = new Peer(routing, key, this.options, now, this.handlers);
      this.connections.set(key, peer);
    }
    try {
      this.frame(peer, parts, now);
    } catch (error) {
      this.offence(peer, error);
    }
  }

  private frame(peer: Peer, parts: readonly Buffer[], now: number): void {
    peer.lease.heard(now);
    const [, first, body] = parts;
    const code = first?.length === 1 ? first[0] : undefined;
    if (code === SIGNAL.READY && parts.length === 3) return this.greeting(peer, body as Buffer, now);
    if (peer.state === 'shut') return;
    if (parts.length !== 3)
      throw new TelosError('MALFORMED', `a message of ${parts.length - 1} parts where 2 are expected`);
    if (peer.state === 'unknown') return this.unknown(peer, now);
    switch (code) {
      case SIGNAL.WORK:
        return this.work(peer, body as Buffer);
      case SIGNAL.HEARTBEAT:
        return this.heartbeat(peer, body as Buffer);
      case SIGNAL.GOODBYE:
        return this.goodbye(peer);
      default:
        throw new TelosError(
          'MALFORMED',
          `a message with the signal ${(first ?? Buffer.alloc(0)).subarray(0, 8).toString('hex') || '(none)'}`,
        );
    }
  }

  private greeting(peer: Peer, body: Buffer, now: number): void {
    if (peer.deaf(now)) return;
    if (peer.id !== 0) this.lose(peer, 'it greeted anew');
    peer.greet(this.nextPeer++, now);
    this.peers.set(peer.id, peer);
    const value = readPlain(body);
    checkVersion(value);
    const hello: Hello = checkHello(value);
    const key = this.options.curve === null ? '' : hello[4];
    if (this.options.curve !== null && !this.proven.has(key)) {
      throw new TelosError('UNAUTHORIZED', `the key ${JSON.stringify(hello[4])} has connected nowhere`);
    }
    peer.greetedAs = key;
    peer.announced = true;
    this.handlers.hello(peer.id, hello, key);
  }

  private work(peer: Peer, body: Buffer): void {
    if (peer.state !== 'up') throw new TelosError('MALFORMED', 'work before the welcome');
    const { no, envelopes } = readWork(body);
    if (!peer.lease.takeWork(no)) {
      throw new TelosError('LINK_LOST', `frame ${no} came after frame ${peer.lease.lastReceived}`);
    }
    this.handlers.work(peer.id, envelopes);
  }

  private heartbeat(peer: Peer, body: Buffer): void {
    if (peer.state !== 'up') return;
    const beat = readPlain(body);
    const no = Array.isArray(beat) ? Number(beat[0]) : Number.NaN;
    if (!peer.lease.takeHeartbeat(no)) {
      throw new TelosError('LINK_LOST', `a heartbeat names frame ${no} after frame ${peer.lease.lastReceived}`);
    }
  }

  private goodbye(peer: Peer): void {
    const { id, announced } = peer;
    this.forget(peer);
    this.proven.over(peer);
    peer.shut(performance.now());
    if (announced) this.handlers.goodbye(id);
  }

  /** Tells a peer of an earlier life, or one that was lost here meanwhile, to greet anew. */
  private unknown(peer: Peer, now: number): void {
    peer.shut(now);
    peer.signals.push(refusedFrame(new TelosError('LINK_LOST', 'this connection has not greeted').toWire()));
    this.sender.mark(peer);
  }

  /** A peer that broke the protocol, or whose handler threw: it is told why and dropped. */
  private offence(peer: Peer, thrown: unknown): void {
    const error = TelosError.from(thrown);
    const { id, announced } = peer;
    this.handlers.log(error.code === 'INTERNAL' ? 'error' : 'warn', 'link.offence', {
      peer: id,
      code: error.code,
      message: error.message,
    });
    if (this.closed) return;
    this.shut(peer, error.toWire());
    if (announced) this.handlers.lost(id, `${error.code}: ${error.message}`);
  }

  // ---- the life of a peer --------------------------------------------------------------------------------------------------------

  private shut(peer: Peer, error: WireError | undefined): void {
    this.forget(peer);
    peer.shut(performance.now());
    if (error === undefined) return;
    peer.signals.push(refusedFrame(error));
    this.sender.mark(peer);
  }

  private lose(peer: Peer, why: string): void {
    const { id, announced } = peer;
    this.forget(peer);
    peer.shut(performance.now());
    if (announced) this.handlers.lost(id, why);
  }

  private forget(peer: Peer): void {
    this.peers.delete(peer.id);
    this.sender.forget(peer);
  }

  private gone(peer: Peer, why: string): void {
    this.lose(peer, why);
    this.connections.delete(peer.key);
  }

  private broken(peer: Peer): void {
    this.proven.over(peer);
    this.gone(peer, 'its connection broke');
  }

  private tick(now: number): void {
    const late = this.judge.tick(now);
    for (const peer of this.connections.values()) {
      if (late) peer.lease.heard(now);
      else if (peer.lease.silent(now)) this.gone(peer, 'it was silent');
      if (peer.state === 'up' && peer.lease.heartbeatDue(now)) this.beat(peer);
    }
  }

  private beat(peer: Peer): void {
    peer.beat = true;
    this.sender.mark(peer);
  }

  private async watch(events: AsyncIterable<Event>): Promise<void> {
    try {
      for await (const event of events) this.event(event);
    } catch (error) {
      if (!this.closed) this.handlers.log('error', 'link.monitor-failed', { error: String(error) });
    }
  }

  private event(event: Event): void {
    if (event.type === 'disconnect') this.probeSoon();
    else if (event.type.startsWith('handshake:error')) {
      this.handlers.log('warn', 'link.handshake-failed', {
        type: event.type,
        error: 'error' in event ? String(event.error) : '',
      });
    }
  }

  /** ZeroMQ does not say who left: a heartbeat to each peer finds those that can not be reached. */
  private probeSoon(): void {
    if (this.probing || this.closed) return;
    this.probing = true;
    PROBE_AFTER_MS.forEach((delay, index) => {
      const timer = setTimeout(() => {
        this.timers.delete(timer);
        if (index === PROBE_AFTER_MS.length - 1) this.probing = false;
        for (const peer of this.peers.values()) if (peer.state === 'up') this.beat(peer);
      }, delay);
      this.timers.add(timer);
    });
  }
}

function admit(options: LinkServerOptions, key: string, proven: Proven): boolean {
  if (!options.admit(key)) return false;
  proven.connected(key);
  return true;
}

function socketOptions(options: LinkServerOptions, domain: string | undefined): Partial<Router> {
  return {
    mandatory: true,
    sendTimeout: 0,
    linger: 0,
    sendHighWaterMark: HIGH_WATER_FRAMES,
    receiveHighWaterMark: HIGH_WATER_FRAMES,
    maxMessageSize: options.maxFrameBytes,
    ipv6: false,
    ...(options.curve === null || domain === undefined
      ? {}
      : {
          curveServer: true,
          curvePublicKey: options.curve.publicKey,
          curveSecretKey: options.curve.secretKey,
          zapDomain: domain,
        }),
  };
}

function bindError(endpoint: string, cause: unknown): TelosError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'EADDRINUSE') return new TelosError('PORT_IN_USE', `${endpoint} is in use`, { cause });
  return new TelosError(
    'BAD_ARGUMENT',
    `${endpoint} can not be bound: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
}
