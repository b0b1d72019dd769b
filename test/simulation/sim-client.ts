/** A client process in the simulation: the real session core (clients/library), which greets the kernel again whenever it loses it. */
import { pack, unpack } from '../../protocol/codec.js';
import {
  incarnationOf,
  ORIGIN,
  type SessionId,
  type Content,
  type FromClient,
  type QueryOp,
  type ToClient,
} from '../../protocol/envelope.js';
import { TelosError, type WireError } from '../../protocol/errors.js';
import { MAGIC, PROTOCOL_VERSION, type Welcome } from '../../protocol/frames.js';
import { ClientSession, type Request } from '../../clients/library/session.js';
import type { RequestFact } from './history.js';
import { SimProcess } from './process.js';
import { encodeScript, SELECTOR, type Op } from './script.js';
import { GreetingLink } from './sim-link.js';
import type { World } from './world.js';

const TICK_MS = 20;
const GRACE_MS = 2000;

interface Open {
  readonly fact: RequestFact;
  request: Request | null;
  /** Before this the kernel may not give it up. */
  patienceUntil: number;
  /** Sent to a name. */
  readonly named: boolean;
}

export class SimClient extends SimProcess {
  readonly session: ClientSession;
  readonly open = new Set<Open>();
  readonly #link: GreetingLink;

  constructor(
    private readonly world: World,
    name: string,
    watches: boolean,
  ) {
    super(name, world.clock);
    const { client, message, kernel } = world.config;
    const limits = {
      window: message.window,
      backlog: client.backlog,
      defaultDeadlineMs: message.defaultDeadlineMs,
      maxDeadlineMs: message.maxDeadlineMs,
      giveUpMs: kernel.clientGiveUpMs,
      graceMs: GRACE_MS,
      backoffFirstMs: client.retryFirstMs,
      backoffMaxMs: client.retryMaxMs,
    };
    const port = { send: (envelope: FromClient) => this.#link.send(envelope), greetAnew: () => this.#link.greetAnew() };
    this.session = new ClientSession(limits, port, world.random.unit);
    if (watches) {
      const subscription = this.session.subscribe('*', 200, { notice: () => subscription.taken(1) });
    }
    this.#link = this.#open();
    this.every(TICK_MS, () => this.session.tick(this.clock.now));
  }

  ask(token: string, target: string, ops: Op[], deadlineMs: number): void {
    const fact = this.#newFact(token);
    this.world.history.scripts.set(token, ops);
    const open: Open = { fact, request: null, patienceUntil: 0, named: target !== '' && !target.startsWith('#') };
    this.open.add(open);
    const spec = { target, selector: SELECTOR, args: encodeScript(token, ops), origin: ORIGIN.PROGRAM, deadlineMs };
    const sink = {
      done: (body: Content) => this.#done(open, body),
      failed: (error: TelosError) => this.#failed(open, error),
    };
    open.patienceUntil = this.clock.now + deadlineMs;
    open.request = this.session.ask(spec, sink, this.clock.now);
  }

  /** A question to the kernel. */
  question(token: string, op: QueryOp, args: readonly unknown[], deadlineMs: number): void {
    const fact = this.#newFact(token);
    const open: Open = { fact, request: null, patienceUntil: 0, named: false };
    this.open.add(open);
    const end = (outcome: RequestFact['outcome'], code: string): void => {
      this.open.delete(open);
      if (open.request) this.world.witness.heard(this.session.id, open.request.no);
      this.#settle(fact, outcome, 0, code);
    };
    const sink = {
      done: () => end('answer', ''),
      failed: ({ code }: TelosError) => end(code === 'OUTCOME_UNKNOWN' ? 'unknown' : 'error', code),
    };
    open.request = this.session.query({ op, args: pack(args), deadlineMs }, sink, this.clock.now);
  }

  #newFact(token: string): RequestFact {
    const begun = this.world.moment();
    const fact: RequestFact = { token, begun, ended: Infinity, outcome: 'open', attempt: 0, code: '', results: [] };
    this.world.history.requests.push(fact);
    return fact;
  }

  /** Loses the link, and greets twice when it comes back. */
  greetTwice(twin: 'stranger' | 'self', now: boolean): void {
    this.#link.greetTwice(twin);
    if (now) this.#link.greetAnew();
  }

  cancelOne(): void {
    const [first] = this.open;
    if (first?.request) this.session.cancel(first.request, this.clock.now);
  }

  leave(): void {
    this.#link.goodbye();
    this.after(5, () => this.die());
  }

  override die(heard = true): void {
    super.die(heard);
    for (const { fact } of this.open) this.#settle(fact, 'unknown', 0, 'CLOSED');
    this.open.clear();
  }

  #done(open: Open, body: Content): void {
    this.open.delete(open);
    const values = unpack(body as Uint8Array) as unknown[];
    if (this.world.options.realHosts) {
      open.fact.results = values;
      return this.#settle(open.fact, 'answer', this.#attemptOf(open), '');
    }
    // A model host's answer begins with attempt and token; one to a name has read a slot of the receiver first.
    open.fact.results = values.slice(open.named ? 3 : 2);
    this.#settle(open.fact, 'answer', values[0] as number, '');
  }

  #attemptOf({ request }: Open): number {
    return this.world.answered.get(`${this.session.id}:${request?.no ?? 0}`) ?? 0;
  }

  #failed(open: Open, error: TelosError): void {
    this.open.delete(open);
    const unknown = error.code === 'OUTCOME_UNKNOWN';
    const attempt =
      typeof error.details === 'number'
        ? error.details
        : this.world.options.realHosts && !unknown
          ? this.#attemptOf(open)
          : 0;
    const early = error.code === 'DEADLINE' && this.clock.now < open.patienceUntil;
    this.#settle(open.fact, unknown ? 'unknown' : 'error', attempt, early ? 'EARLY' : error.code);
  }

  /** Its session began when nothing could be written: no later life of the kernel knows it. */
  #forgotten(): boolean {
    return this.world.history.readOnlyLives.has(incarnationOf(this.session.id as SessionId));
  }

  #settle(fact: RequestFact, outcome: RequestFact['outcome'], attempt: number, said: string): void {
    // With a link that is up the kernel has to say what became of it.
    const mute = said === 'OUTCOME_UNKNOWN' && this.clock.now - this.#link.upSince > GRACE_MS + TICK_MS;
    const code = mute ? 'MUTE' : said === 'EXPIRED' && this.#forgotten() ? 'FORGOTTEN' : said;
    fact.ended = this.world.moment();
    fact.outcome = outcome;
    fact.attempt = attempt;
    fact.code = code;
  }

  // ---- the link --------------------------------------------------------------------------------------------------------------

  #open(): GreetingLink {
    return new GreetingLink(this, this.world.config.link, 'client', this.world.random.unit, {
      connect: () => this.world.connect(this, this.world.servingKernel()),
      hello: () => [MAGIC, PROTOCOL_VERSION, 'client', 0, 'key', 'token', this.session.id, this.name, []],
      welcomed: (data) => this.#welcomed(data as unknown as Welcome),
      work: (envelope) => this.session.onEnvelope(envelope as ToClient, this.clock.now),
      refused: (error) => this.session.onRefused(TelosError.fromWire(error as WireError), this.clock.now),
      lost: () => this.session.onLost(this.clock.now),
    });
  }

  #welcomed(welcome: Welcome): void {
    this.session.onWelcome(welcome[4], welcome[9], this.clock.now);
  }
}
