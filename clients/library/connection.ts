/**
 * One connection: drives a ClientSession over a link. Owns the link, the one timer, and the hand-over between them.
 *
 * Invariants:
 *   N1  One timer for all requests; it runs only while a request is open.
 *   N2  What an earlier link still says after a new one was made is not heard.
 */
import {
  MAGIC,
  PROTOCOL_VERSION,
  T,
  TelosError,
  checkToClient,
  type Envelope,
  type Hello,
  type ToClient,
  type Welcome,
  type WireError,
} from '../../protocol/index.js';
import { ClientSession, type SessionLimits } from './session.js';

/** The part of LinkClient that is used here. */
export interface Link {
  open(): void;
  send(envelope: Envelope): boolean;
  goodbye(): Promise<void>;
  close(): Promise<void>;
}

export interface LinkHandlers {
  welcomed(welcome: Welcome): void;
  work(envelopes: unknown[]): void;
  lost(why: string): void;
  refused(error: WireError): void;
  unsent(envelope: Envelope, error: TelosError): void;
  log(level: 'info' | 'warn' | 'error', event: string, data: object): void;
}

export type LinkState = 'connecting' | 'connected' | 'lost' | 'refused' | 'closed';

export interface ConnectionOptions {
  readonly limits: SessionLimits;
  readonly publicKey: string;
  readonly token: string;
  /** Program and version, shown in `telos status`. */
  readonly agent: string;
  readonly makeLink: (handlers: LinkHandlers, hello: () => Hello) => Link;
  /** Milliseconds, never going back. */
  readonly now: () => number;
  readonly random: () => number;
  readonly onState?: (state: LinkState, why: string) => void;
  readonly log?: (line: string) => void;
}

const TICK_MS = 25;

export class Connection {
  readonly session: ClientSession;
  readonly now: () => number;
  state: LinkState = 'connecting';
  welcome: Welcome | null = null;
  /** Why the kernel did not let this client in, when it last did not. */
  refusal: TelosError | null = null;
  private link: Link;
  private generation = 0;
  private timer: NodeJS.Timeout | null = null;
  private readonly waiting = new Set<{ resolve: () => void; reject: (error: Error) => void }>();

  constructor(private readonly options: ConnectionOptions) {
    this.now = options.now;
    this.session = new ClientSession(
      options.limits,
      { send: (envelope) => this.link.send(envelope), greetAnew: () => this.greetAnew() },
      options.random,
    );
    this.link = this.newLink();
  }

  open(): void {
    this.link.open();
  }

  /** Settles at the first welcome, or fails when the kernel refuses this client. */
  welcomed(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.waiting.add({ resolve, reject });
    });
  }

  /** To be called after something was asked: makes sure that time passes for it. */
  watch(): void {
    this.timer ??= setInterval(() => this.tick(), TICK_MS);
  }

  /** Ends the session in order. Open requests fail with CLOSED. */
  async close(): Promise<void> {
    if (this.state === 'closed') return;
    const wasConnected = this.state === 'connected';
    this.setState('closed', 'closed by this program');
    this.session.close();
    this.stopTimer();
    if (wasConnected) await this.link.goodbye();
    this.generation++;
    await this.link.close();
    this.settleWaiting(new TelosError('CLOSED', 'the connection was closed before the kernel had answered'));
  }

  private tick(): void {
    this.session.tick(this.now());
    if (!this.session.busy) this.stopTimer();
  }

  private stopTimer(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private newLink(): Link {
    const mine = ++this.generation;
    const guard =
      <A extends unknown[]>(handler: (...args: A) => void) =>
      (...args: A): void => {
        if (mine === this.generation) handler(...args);
      };
    return this.options.makeLink(
      {
        welcomed: guard((welcome) => this.onWelcome(welcome)),
        work: guard((envelopes) => this.onWork(envelopes)),
        lost: guard((why) => this.onLost(why)),
        refused: guard((error) => this.onRefused(error)),
        unsent: guard((envelope, error) => this.onUnsent(envelope, error)),
        log: (level, event) => level === 'info' || this.options.log?.(`${level}: ${event}`),
      },
      () => this.hello(),
    );
  }

  private hello(): Hello {
    this.session.tick(this.now());
    const { publicKey, token, agent } = this.options;
    return [MAGIC, PROTOCOL_VERSION, 'client', 0, publicKey, token, this.session.id, agent, []];
  }

  private greetAnew(): void {
    const old = this.link;
    this.link = this.newLink();
    void old.close().finally(() => {
      if (this.state !== 'closed') this.link.open();
    });
  }

  private onWelcome(welcome: Welcome): void {
    const [, , , , session, heartbeatMs, liveness, , , window] = welcome;
    this.welcome = welcome;
    this.refusal = null;
    this.setState('connected', '');
    this.session.onWelcome(session, window, this.now(), 2 * heartbeatMs * liveness);
    if (this.session.busy) this.watch();
    this.settleWaiting(null);
  }

  private onWork(envelopes: unknown[]): void {
    const now = this.now();
    for (const envelope of envelopes) {
      const known = this.check(envelope);
      if (known !== null) this.session.onEnvelope(known, now);
    }
  }

  /** An envelope that is not of the protocol is passed over: its request ends at the deadline, the others are not harmed. */
  private check(envelope: unknown): ToClient | null {
    try {
      return checkToClient(envelope);
    } catch (error) {
      this.options.log?.(TelosError.from(error).toDisplay());
      return null;
    }
  }

  /** Fits no frame: its request fails as if the kernel had said so. */
  private onUnsent(envelope: Envelope, error: TelosError): void {
    if (envelope[0] === T.ASK || envelope[0] === T.QUERY)
      this.session.onEnvelope([T.ERROR, envelope[1], error.toWire()], this.now());
  }

  private onLost(why: string): void {
    if (this.state === 'closed') return;
    this.setState('lost', why);
    this.session.onLost(this.now());
  }

  private onRefused(wire: WireError): void {
    if (this.state === 'closed') return;
    const error = TelosError.fromWire(wire);
    this.setState('refused', error.toDisplay());
    this.session.onRefused(error, this.now());
    this.refusal = error;
    // The link greets again after a refusal that may pass.
    if (error.code !== 'EXPIRED' && !error.retryable) this.settleWaiting(error);
  }

  private setState(state: LinkState, why: string): void {
    if (state === this.state) return;
    this.state = state;
    this.options.onState?.(state, why);
  }

  private settleWaiting(error: Error | null): void {
    for (const { resolve, reject } of this.waiting) {
      if (error === null) resolve();
      else reject(error);
    }
    this.waiting.clear();
  }
}
