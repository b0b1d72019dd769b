/**
 * The kernel's process in the simulation: the real Kernel and the real supervision core, wired to simulated wires, disk and children.
 *
 * What leaves the kernel and what reaches it is noted here, outside of it.
 */
import { unpack } from '../../protocol/codec.js';
import {
  incarnationOf,
  T,
  VERDICT,
  type Envelope,
  type FromClient,
  type FromHost,
  type Served,
  type SessionId,
  type ToClient,
  type ToHost,
  type ToService,
} from '../../protocol/envelope.js';
import { TelosError } from '../../protocol/errors.js';
import { MAGIC, PROTOCOL_VERSION, type Hello, type Welcome } from '../../protocol/frames.js';
import { Kernel, type KernelPorts } from '../../runtime/kernel/index.js';
import { genesis } from './genesis.js';
import { realGenesis } from './real-host.js';
import { SimProcess, type Wire } from './process.js';
import { decodeScript } from './script.js';
import { INCARNATIONS_PER_LIFE, SimHost } from './sim-host.js';
import { ServedLink } from './sim-link.js';
import { childSpec, SimSupervisor } from './sim-supervisor.js';
import type { World } from './world.js';

const TICK_MS = 20;
const TYPES = Object.fromEntries(Object.entries(T).map(([name, number]) => [number, name]));

/** An envelope in one line, its bytes decoded. */
const show = (envelope: Envelope): string =>
  `${TYPES[envelope[0]]} ${JSON.stringify(envelope.slice(1), (_, value: unknown) => (isBytes(value) ? unpack(Uint8Array.from((value as { data: number[] }).data)) : value))}`.slice(
    0,
    400,
  );
const isBytes = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'type' in value && 'data' in value;
const ORACLE = 1;
const FORGET_ORACLE_MS = 300;
const LOOK_FOR_ROOM_MS = 100;

interface HostPeer {
  readonly name: string;
  readonly life: number;
  readonly link: ServedLink;
  readonly process: SimHost;
  readonly quarantine: boolean;
  lost: boolean;
}

export class SimKernel extends SimProcess {
  readonly kernel: Kernel;
  readonly supervisor: SimSupervisor;
  readonly life: number;
  /** There was no room when it began. */
  readonly readOnly: boolean;
  ready = false;
  /** Ids that were struck while the kernel gave up a host. */
  #struck: string[] = [];
  readonly #clients = new Map<number, ServedLink>();
  readonly #sessions = new Map<number, number>();
  readonly #hosts = new Map<number, HostPeer>();
  #peers = 0;

  constructor(private readonly world: World) {
    super('kernel', world.clock);
    const identity = world.disk.open();
    this.life = identity.incarnation;
    this.readOnly = world.disk.full && identity.endSeq > 0;
    if (this.readOnly) world.history.readOnlyLives.add(this.life);
    this.kernel = new Kernel(world.config, identity, this.#ports(), world.faults, this.readOnly);
    const names = Array.from({ length: world.plan.hosts }, (_, i) => `host-${i + 1}`);
    this.supervisor = new SimSupervisor(
      this,
      names.map(childSpec),
      { spawn: (id, life) => this.#spawn(id, life), report: () => ({ code: 1, signal: null, blame: 'message' }) },
      world.random.unit,
    );
    const firstBreath = (world.options.realHosts ? realGenesis : genesis)(world.plan.accounts);
    this.kernel.recover(firstBreath, this.#now, () => this.#serve());
    this.kernel.flush(this.#now);
  }

  #serve(): void {
    this.ready = true;
    this.kernel.serviceJoined(ORACLE, ['mind'], this.#now);
    this.supervisor.dispatch({ type: 'begin' });
    this.every(TICK_MS, () => this.kernel.tick(this.#now));
    if (this.readOnly) this.every(LOOK_FOR_ROOM_MS, () => !this.world.disk.full && this.die());
    this.world.served(this);
  }

  /** Of a clock that never goes back, unless that is what is broken. */
  get #now(): number {
    return this.clock.now + (this.world.options.broken === 'wallClock' ? this.world.wallAhead : 0);
  }

  /** The worker of the only service ends, and comes back. */
  loseOracle(): void {
    if (!this.ready) return;
    this.do(() => {
      this.kernel.serviceLost(ORACLE, this.#now);
      this.kernel.flush(this.#now);
    });
    this.after(this.world.random.between(1, FORGET_ORACLE_MS), () =>
      this.kernel.serviceJoined(ORACLE, ['mind'], this.#now),
    );
  }

  override die(heard = true): void {
    if (this.mode === 'dead') return;
    super.die(heard);
    this.world.disk.kill();
  }

  // ---- children --------------------------------------------------------------------------------------------------------------

  #spawn(name: string, life: number): SimProcess {
    return new SimHost(
      this.world,
      { name, incarnation: this.life * INCARNATIONS_PER_LIFE + life, quarantine: name === 'quarantine' },
      this,
    );
  }

  // ---- links -----------------------------------------------------------------------------------------------------------------

  accept(wire: Wire): void {
    let served: { work(envelope: unknown): void; late(envelope: unknown): void; lost(): void; goodbye(): void } | null =
      null;
    const link: ServedLink = new ServedLink(this, wire, this.world.config.link, {
      ready: (data) => {
        const hello = data as unknown as Hello;
        const { process } = wire.near;
        served ??= process instanceof SimHost ? this.#host(link, hello, process) : this.#client(link, hello);
      },
      work: (envelope) => served?.work(envelope),
      batch: () => this.kernel.flush(this.#now),
      late: (envelope) => served?.late(envelope),
      lost: () => served?.lost(),
      goodbye: () => served?.goodbye(),
    });
  }

  #client(
    link: ServedLink,
    hello: Hello,
  ): { work(envelope: unknown): void; late(): void; lost(): void; goodbye(): void } {
    const peer = ++this.#peers;
    this.#clients.set(peer, link);
    this.#forget(hello[6]);
    this.kernel.clientJoined(
      peer,
      { session: hello[6], key: hello[4], rights: ['author'], agent: hello[7] },
      this.#now,
    );
    this.kernel.flush(this.#now);
    return {
      work: (envelope) => this.#fromClient(peer, envelope as FromClient),
      late: () => undefined,
      lost: () => {
        this.#clients.delete(peer);
        this.kernel.clientLost(peer, this.#now);
        link.close();
      },
      goodbye: () => {
        this.kernel.clientGoodbye(peer, this.#now);
        this.kernel.flush(this.#now);
      },
    };
  }

  /** Broken on purpose: whoever greets again is read from the journal as if it were not here. */
  #forget(session: number): void {
    if (this.world.options.broken === 'forgottenSession' && incarnationOf(session as SessionId) < this.life)
      this.kernel.core.sessions.byId.delete(session as SessionId);
  }

  #fromClient(peer: number, envelope: FromClient): void {
    const session = this.#sessions.get(peer);
    if (envelope[0] === T.ASK && session !== undefined) {
      const [, no, , , , , , args] = envelope;
      this.world.history.asks.push({ session, no, token: decodeScript(args)[0] });
    }
    if (envelope[0] === T.QUERY && session !== undefined) this.world.witness.asked(session, envelope);
    this.world.trace(() => `from client ${peer} session ${session ?? 0} ${show(envelope)}`);
    this.kernel.fromClient(peer, envelope, this.#now);
  }

  #host(
    link: ServedLink,
    hello: Hello,
    process: SimHost,
  ): { work(envelope: unknown): void; late(envelope: unknown): void; lost(): void; goodbye(): void } {
    const name = hello[7];
    const life = hello[3] - this.life * INCARNATIONS_PER_LIFE;
    if (this.supervisor.lifeOf(name) !== life) {
      link.refuse(new TelosError('SUPERSEDED', `${name} is of an earlier life`).toWire());
      return { work: () => undefined, late: () => undefined, lost: () => undefined, goodbye: () => undefined };
    }
    const id = ++this.#peers;
    const peer: HostPeer = { name, life, link, process, quarantine: hello[2] === 'quarantine', lost: false };
    this.#hosts.set(id, peer);
    this.supervisor.dispatch({ type: 'ready', id: name, life });
    link.ready(this.#welcomeOf(0));
    this.kernel.hostJoined(id, { incarnation: hello[3], quarantine: hello[2] === 'quarantine' }, this.#now);
    this.kernel.flush(this.#now);
    return {
      work: (envelope) => this.#fromHost(id, peer, envelope as FromHost),
      late: (envelope) => this.#fromHost(id, peer, envelope as FromHost),
      lost: () => this.#hostLost(id, peer),
      goodbye: () => undefined,
    };
  }

  /** Whatever a host says reaches the kernel, also after its death was found: to refuse it is the kernel's part. */
  #fromHost(id: number, peer: HostPeer, envelope: FromHost): void {
    if (envelope[0] === T.COMMIT && peer.lost) {
      const fact = this.world.history.attempts.get(envelope[1]);
      if (fact) fact.fenced = true;
    }
    this.world.trace(() => `from host ${id}${peer.lost ? ' (lost)' : ''} ${show(envelope)}`);
    this.kernel.fromHost(id, envelope, this.#now);
    if (peer.lost) this.kernel.flush(this.#now);
  }

  #hostLost(id: number, peer: HostPeer): void {
    peer.lost = true;
    const { doomedBy } = peer.process;
    const onIt = [...(this.kernel.core.router.hosts.get(id)?.messages ?? [])].map(
      ({ session, no }) => `${session}:${no}`,
    );
    this.#struck = [];
    if (this.world.options.broken === 'blameless')
      for (const message of this.kernel.core.router.hosts.get(id)?.messages ?? []) message.waitsForService = true;
    this.kernel.hostLost(id, this.#now);
    this.world.history.losses.push({
      life: this.life,
      quarantine: peer.quarantine,
      doomedBy: onIt.includes(doomedBy) ? doomedBy : '',
      struck: this.#struck,
    });
    this.kernel.flush(this.#now);
    this.supervisor.dispatch({ type: 'condemn', id: peer.name, life: peer.life, cause: 'link lost', blame: 'message' });
  }

  // ---- ports -----------------------------------------------------------------------------------------------------------------

  #ports(): KernelPorts {
    const { disk } = this.world;
    return {
      toClient: (peer, envelope) => this.#toClient(peer, envelope),
      welcome: (peer, session) => this.#welcome(peer, session),
      refuse: (peer, error) => this.#clients.get(peer)?.refuse(error),
      toHost: (host, envelope) => this.#toHost(host, envelope),
      toService: (_worker, envelope) => this.#oracle(envelope),
      append: (group) =>
        disk.append(group, (error) =>
          this.do(() => (error ? this.kernel.appendFailed(error, this.#now) : this.kernel.appended(this.#now))),
        ),
      read: (ticket, keys) =>
        disk.read(keys, (values) =>
          this.do(() => this.kernel.readDone(ticket, this.world.spoilRead(keys, values), this.#now)),
        ),
      page: (ticket, range, limit) =>
        disk.page(range, limit, (rows) =>
          this.do(() => this.kernel.pageDone(ticket, this.ready ? this.world.spoilPage(range, rows) : rows, this.#now)),
        ),
      wallNow: () => this.clock.now + this.world.wallAhead,
      external: (ticket) => this.kernel.externalDone(ticket, null, 'simulated', this.#now),
      needQuarantine: () => this.supervisor.dispatch({ type: 'add', spec: childSpec('quarantine') }),
      fatal: () => this.die(),
      log: (level, event, data) => {
        if (event === 'strike') this.#struck.push(`${String(data['session'])}:${String(data['no'])}`);
        this.world.log(level, event, data);
      },
    };
  }

  #welcome(peer: number, session: SessionId): void {
    this.#sessions.set(peer, session);
    this.#clients.get(peer)?.ready(this.#welcomeOf(session));
  }

  #welcomeOf(session: number): Welcome {
    const { link, message } = this.world.config;
    return [
      MAGIC,
      PROTOCOL_VERSION,
      this.life,
      'simulated',
      session,
      link.heartbeatIntervalMs,
      link.liveness,
      link.maxFrameBytes,
      message.maxBodyBytes,
      message.window,
    ];
  }

  #toClient(peer: number, envelope: ToClient): void {
    const session = this.#sessions.get(peer) ?? -1;
    this.world.trace(() => `to client ${peer} session ${session} ${show(envelope)}`);
    this.world.witness.toClient(this.life, peer, session, envelope);
    this.#clients.get(peer)?.send(envelope);
  }

  #toHost(host: number, envelope: ToHost): void {
    if (this.world.inspect(host, envelope)) return;
    if (envelope[0] === T.RUN && envelope[1] === 0) {
      this.world.history.deliveries.push({
        at: this.world.moment(),
        no: envelope[2],
        time: this.clock.now + this.world.wallAheadMost,
        durable: this.world.disk.durable,
      });
    }
    if (envelope[0] === T.VERDICT && envelope[2] === VERDICT.ACCEPTED && this.world.options.realHosts)
      this.world.noteAccepted(envelope[1]);
    this.world.trace(() => `to host ${host} ${show(envelope)}`);
    this.#hosts.get(host)?.link.send(envelope);
  }

  /** A service whose every answer is another one, and which is slow, or gone. */
  #oracle(envelope: ToService): void {
    if (envelope[0] !== T.SERVE) return;
    const served: Served = [T.SERVED, envelope[1], 0, true, `answer ${this.world.moment()}`];
    this.after(this.world.random.between(1, 60), () => {
      this.kernel.fromService(ORACLE, served, this.#now);
      this.kernel.flush(this.#now);
    });
  }
}
