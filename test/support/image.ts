/** An image in one process: the real kernel on a memory store, real hosts, no sockets. Envelopes cross as msgpack, a batch at a time. */
import { parseConfig, type Config } from '../../config/index.js';
import {
  checkFromHost,
  checkToHost,
  pack,
  T,
  TelosError,
  unpack,
  type Answer,
  type Ask,
  type ErrorAnswer,
  type FromHost,
  type Query,
  type SessionId,
  type ToHost,
} from '../../protocol/index.js';
import { genesisCommit } from '../../runtime/genesis/index.js';
import { Host } from '../../runtime/host/index.js';
import { MemoryStore } from '../../runtime/journal/index.js';
import { Kernel, type KernelPorts } from '../../runtime/kernel/index.js';
import { compileOpen, decode, encodeList } from './world.js';

/** A wire on which nothing overtakes anything; what fits no frame is handed back, as links do. */
class Wire<E> {
  #batch: Uint8Array[] = [];
  constructor(
    private readonly maxFrameBytes: number,
    private readonly deliver: (envelopes: unknown[]) => void,
    private readonly unsent: (envelope: E, error: TelosError) => void,
  ) {}
  push(envelope: E): void {
    const bytes = pack(envelope);
    if (bytes.length > this.maxFrameBytes) {
      queueMicrotask(() => this.unsent(envelope, new TelosError('TOO_LARGE', `${bytes.length} bytes`)));
      return;
    }
    this.#batch.push(bytes);
    if (this.#batch.length === 1) setImmediate(() => this.deliver(this.#batch.splice(0).map((bytes) => unpack(bytes))));
  }
}

interface HostSlot {
  readonly id: number;
  readonly host: Host;
  readonly down: Wire<ToHost>;
  alive: boolean;
}

type Overrides = { [Group in keyof Config]?: Partial<Config[Group]> };

export class Image {
  readonly store = new MemoryStore('image');
  readonly kernel: Kernel;
  readonly hosts: HostSlot[] = [];
  readonly logs: [event: string, data: Record<string, unknown>][] = [];
  readonly config: Config;
  #session = 0 as SessionId;
  #no = 0;
  readonly #asks = new Map<
    number,
    { ask: Ask | Query; resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  readonly #timer: NodeJS.Timeout;
  retried = 0;
  /** Envelopes that fitted no frame. */
  readonly unsent: unknown[] = [];

  private constructor(overrides: Overrides) {
    this.config = parseConfig(overrides);
    const ports: KernelPorts = {
      toClient: (_peer, envelope) => setImmediate(() => this.#answered(envelope as Answer | ErrorAnswer)),
      welcome: (_peer, session) => (this.#session = session),
      refuse: (_peer, error) => {
        throw new Error(error[2]);
      },
      toHost: (id, envelope) => this.hosts.find((slot) => slot.id === id)?.down.push(envelope),
      toService: () => undefined,
      append: (group) =>
        setImmediate(() => {
          this.store.apply(group);
          this.store.sync();
          this.kernel.appended(Date.now());
        }),
      read: (ticket, keys) => setImmediate(() => this.kernel.readDone(ticket, this.store.getMany(keys), Date.now())),
      page: (ticket, range, limit) =>
        setImmediate(() => this.kernel.pageDone(ticket, this.store.page(range, limit), Date.now())),
      external: () => undefined,
      needQuarantine: () => undefined,
      fatal: (error) => {
        throw error;
      },
      log: (_level, event, data) => void this.logs.push([event, data]),
    };
    this.kernel = new Kernel(this.config, this.store.open(), ports);
    this.#timer = setInterval(() => this.kernel.tick(Date.now()), 5);
  }

  static async start(hosts = 1, overrides: Overrides = {}): Promise<Image> {
    const image = new Image(overrides);
    await new Promise<void>((resolve) => {
      image.kernel.recover(genesisCommit(), Date.now(), resolve);
      image.kernel.flush(Date.now());
    });
    for (let i = 0; i < hosts; i++) image.addHost(i + 1);
    image.kernel.clientJoined(1, { session: 0, key: 'k', rights: ['author'], agent: 'test' }, Date.now());
    while (image.#session === 0) await new Promise((resolve) => setImmediate(resolve));
    return image;
  }

  addHost(id: number): void {
    const most = this.config.link.maxFrameBytes;
    const up = new Wire<FromHost>(
      most,
      (envelopes) => {
        if (!slot.alive) return;
        for (const envelope of envelopes) this.kernel.fromHost(id, checkFromHost(envelope), Date.now());
        this.kernel.flush(Date.now());
      },
      (envelope, error) => {
        this.unsent.push(envelope);
        host.unsent(envelope, error);
      },
    );
    const host = new Host(this.config, 100 + id, {
      send: (envelope) => up.push(envelope),
      compile: compileOpen,
      clock: () => performance.now(),
      random: Math.random,
      defer: (task) => void setImmediate(task),
      afterMicrotasks: (task) => queueMicrotask(() => process.nextTick(task)),
      later: (ms, task) => void setTimeout(task, ms),
      log: (_level, event, data) => void this.logs.push([event, data]),
    });
    const down = new Wire<ToHost>(
      most,
      (envelopes) => {
        if (slot.alive) for (const envelope of envelopes) host.receive(checkToHost(envelope));
      },
      (envelope, error) => {
        this.unsent.push(envelope);
        this.kernel.unsentToHost(id, envelope, error, Date.now());
        this.kernel.flush(Date.now());
      },
    );
    const slot: HostSlot = { id, host, down, alive: true };
    this.hosts.push(slot);
    this.kernel.hostJoined(id, { incarnation: 100 + id, quarantine: false }, Date.now());
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const slot of this.hosts) slot.alive = false;
  }

  /** Sends under one id until there is a final answer. */
  send(target: string, selector: string, ...args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const no = ++this.#no;
      const ask: Ask = [T.ASK, no, 1, 20_000, '', target, selector, encodeList(args), 0];
      this.#asks.set(no, { ask, resolve, reject });
      this.#send(ask);
    });
  }

  #send(ask: Ask | Query): void {
    this.kernel.fromClient(1, ask, Date.now());
    this.kernel.flush(Date.now());
  }

  /** A question to the kernel itself. */
  query(op: string, ...args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const no = ++this.#no;
      const query: Query = [T.QUERY, no, 1, 20_000, op, encodeList(args)];
      this.#asks.set(no, { ask: query, resolve, reject });
      this.#send(query);
    });
  }

  #answered(envelope: Answer | ErrorAnswer): void {
    const no = envelope[1];
    const asked = this.#asks.get(no);
    if (asked === undefined) return;
    if (envelope[0] === T.ANSWER) {
      this.#asks.delete(no);
      asked.resolve(decode(envelope[2]));
      return;
    }
    const [code, name, message, remedy] = envelope[2];
    if (code === 'BUSY' || code === 'CONFLICT') {
      this.retried++;
      setTimeout(() => this.#send(asked.ask), 5);
      return;
    }
    this.#asks.delete(no);
    asked.reject(Object.assign(new Error(message), { code, errorName: name, remedy }));
  }

  total(counter: string): number {
    return this.hosts.reduce((sum, { host }) => sum + (host.stats()[counter] ?? 0), 0);
  }
}
