/**
 * The kernel's process in the simulation: the real Kernel and the real supervision core, wired to simulated wires, disk and children.
 *
 * What leaves the kernel and what reaches it is noted here, outside of it.
 */
import { unpack } from '../../protocol/codec.js';
import {
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

interface HostPeer {
  readonly name: string;
  readonly life: number;
  readonly link: ServedLink;
  lost: boolean;
}

export class SimKernel extends SimProcess {
  readonly kernel: Kernel;
  readonly supervisor: SimSupervisor;
  readonly life: number;
  ready = false;
  readonly #clients = new Map<number, ServedLink>();
  readonly #sessions = new Map<number, number>();
  readonly #hosts = new Map<number, HostPeer>();
  #peers = 0;

  constructor(private readonly world: World) {
    super('kernel', world.clock);
    const identity = world.disk.open();
    this.life = identity.incarnation;
    this.kernel = new Kernel(world.config, identity, this.#ports(), world.faults);
    const names = Array.from({ length: world.plan.hosts }, (_, i) => `host-${i + 1}`);
    this.supervisor = new SimSupervisor(
      this,
      names.map(childSpec),
      { spawn: (id, life) => this.#spawn(id, life), report: () => ({ code: 1, signal: null, blame: 'message' }) },
      world.random.unit,
    );
    const firstBreath = (world.options.realHosts ? realGenesis : genesis)(world.plan.accounts);
    this.kernel.recover(firstBreath, this.clock.now, () => this.#serve());
    this.kernel.flush(this.clock.now);
  }

  #serve(): void {
    this.ready = true;
    this.kernel.serviceJoined(ORACLE, ['oracle'], this.clock.now);
    this.supervisor.dispatch({ type: 'begin' });
    this.every(TICK_MS, () => this.kernel.tick(this.clock.now));
    this.world.served();
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
        served ??= hello[2] === 'client' ? this.#client(link, hello) : this.#host(link, hello);
      },
      work: (envelope) => served?.work(envelope),
      batch: () => this.kernel.flush(this.clock.now),
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
    this.kernel.clientJoined(
      peer,
      { session: hello[6], key: hello[4], rights: ['author'], agent: hello[7] },
      this.clock.now,
    );
    this.kernel.flush(this.clock.now);
    return {
      work: (envelope) => this.#fromClient(peer, envelope as FromClient),
      late: () => undefined,
      lost: () => {
        this.#clients.delete(peer);
        this.kernel.clientLost(peer, this.clock.now);
        link.close();
      },
      goodbye: () => {
        this.kernel.clientGoodbye(peer, this.clock.now);
        this.kernel.flush(this.clock.now);
      },
    };
  }

  #fromClient(peer: number, envelope: FromClient): void {
    const session = this.#sessions.get(peer);
    if (envelope[0] === T.ASK && session !== undefined) {
      const [, no, , , , , , args] = envelope;
      this.world.history.asks.push({ session, no, token: decodeScript(args)[0] });
    }
    this.world.trace(() => `from client ${peer} session ${session ?? 0} ${show(envelope)}`);
    this.kernel.fromClient(peer, envelope, this.clock.now);
  }

  #host(
    link: ServedLink,
    hello: Hello,
  ): { work(envelope: unknown): void; late(envelope: unknown): void; lost(): void; goodbye(): void } {
    const name = hello[7];
    const life = hello[3] - this.life * INCARNATIONS_PER_LIFE;
    if (this.supervisor.lifeOf(name) !== life) {
      link.refuse(new TelosError('SUPERSEDED', `${name} is of an earlier life`).toWire());
      return { work: () => undefined, late: () => undefined, lost: () => undefined, goodbye: () => undefined };
    }
    const id = ++this.#peers;
    const peer: HostPeer = { name, life, link, lost: false };
    this.#hosts.set(id, peer);
    this.supervisor.dispatch({ type: 'ready', id: name, life });
    link.ready(this.#welcomeOf(0));
    this.kernel.hostJoined(id, { incarnation: hello[3], quarantine: hello[2] === 'quarantine' }, this.clock.now);
    this.kernel.flush(this.clock.now);
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
    this.kernel.fromHost(id, envelope, this.clock.now);
    if (peer.lost) this.kernel.flush(this.clock.now);
  }

  #hostLost(id: number, peer: HostPeer): void {
    peer.lost = true;
    this.kernel.hostLost(id, this.clock.now);
    this.kernel.flush(this.clock.now);
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
          this.do(() =>
            error ? this.kernel.appendFailed(error, this.clock.now) : this.kernel.appended(this.clock.now),
          ),
        ),
      read: (ticket, keys) =>
        disk.read(keys, (values) => this.do(() => this.kernel.readDone(ticket, values, this.clock.now))),
      page: (ticket, range, limit) =>
        disk.page(range, limit, (rows) => this.do(() => this.kernel.pageDone(ticket, rows, this.clock.now))),
      external: (ticket) => this.kernel.externalDone(ticket, null, 'simulated', this.clock.now),
      needQuarantine: () => this.supervisor.dispatch({ type: 'add', spec: childSpec('quarantine') }),
      fatal: () => this.die(),
      log: (level, event, data) => this.world.log(level, event, data),
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
        time: this.clock.now,
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
      this.kernel.fromService(ORACLE, served, this.clock.now);
      this.kernel.flush(this.clock.now);
    });
  }
}
