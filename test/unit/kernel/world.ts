/** A kernel on a memory store, with scripted peers: what it sends is kept in lists, storage answers when the test says so. */
import { defaultConfig, type Config } from '../../../config/index.js';
import {
  ABSENT,
  checkCommitBody,
  makeAttempt,
  ORIGIN,
  pack,
  T,
  unpack,
  type Ask,
  type Attempt,
  type CommitBody,
  type Content,
  type Envelope,
  type Oid,
  type ReadSet,
  type Run,
  type SessionId,
  type TelosError,
  type Verdict,
  type WriteSet,
} from '../../../protocol/index.js';
import { MemoryStore, type GroupWrite, type Key } from '../../../runtime/journal/index.js';
import { Kernel, type KernelFaults, type KernelPorts } from '../../../runtime/kernel/index.js';

export const oid = (text: string): Oid => text as Oid;

const GENESIS: CommitBody = [
  [],
  [],
  [oid('#lobby'), oid('#a'), oid('#b')],
  [
    [oid('#a'), [['balance', 0, 100]]],
    [oid('#b'), [['balance', 0, 100]]],
  ],
  [
    ['a', oid('#a')],
    ['b', oid('#b')],
    ['lobby', oid('#lobby')],
  ],
  [],
  [],
  [true, null, null],
];

export class World {
  /** Never goes back. */
  now = 1_000_000;
  /** What the wall clock shows, less `now`: somebody may set it. */
  skew = 0;
  kernel!: Kernel;
  readonly toClient: [peer: number, envelope: Envelope][] = [];
  readonly toHost: [host: number, envelope: Envelope][] = [];
  readonly welcomed = new Map<number, SessionId>();
  readonly refused: [number, string][] = [];
  readonly external: [number, string][] = [];
  appends: GroupWrite[] = [];
  /** False: appends stay under way until `sync`. */
  autoSync = true;
  quarantineWanted = 0;
  readOnly = false;
  fatal: TelosError | null = null;
  #attempts = 0;
  #life = 0;

  constructor(
    readonly store = new MemoryStore('image'),
    readonly faults: KernelFaults = {},
    readonly config: Config = defaultConfig,
    /** What a start writes where it is missing. */
    public genesis: CommitBody = GENESIS,
  ) {
    this.start();
  }

  start(): void {
    const life = ++this.#life;
    const live = (): boolean => life === this.#life;
    const ports: KernelPorts = {
      toClient: (peer, envelope) => void this.toClient.push([peer, envelope]),
      welcome: (peer, session) => {
        this.welcomed.set(peer, session);
      },
      refuse: (peer, error) => void this.refused.push([peer, error[0]]),
      toHost: (host, envelope) => void this.toHost.push([host, envelope]),
      toService: (worker, envelope) => void this.toHost.push([worker, envelope]),
      append: (group) => void this.appends.push(group),
      // What is read is as it was when it was asked for, however late it comes.
      read: (ticket, keys: readonly Key[]) => {
        const values = this.store.getMany(keys);
        queueMicrotask(() => live() && this.kernel.readDone(ticket, values, this.now));
      },
      page: (ticket, range, limit) => {
        const rows = this.store.page(range, limit);
        queueMicrotask(() => live() && this.kernel.pageDone(ticket, rows, this.now));
      },
      external: (ticket, op) => void this.external.push([ticket, op]),
      needQuarantine: () => {
        this.quarantineWanted++;
      },
      fatal: (error) => {
        this.fatal = error;
      },
      log: () => undefined,
      wallNow: (now) => now + this.skew,
    };
    this.kernel = new Kernel(this.config, this.store.open(), ports, this.faults, this.readOnly);
    this.kernel.recover(this.genesis, this.now, () => undefined);
  }

  /** The power is cut (what is not synced is lost), then the kernel starts again. */
  async restart(): Promise<void> {
    this.store.crash();
    this.appends = [];
    this.toClient.length = 0;
    this.toHost.length = 0;
    this.start();
    await this.settle();
  }

  sync(): boolean {
    const group = this.appends.shift();
    if (group === undefined) return false;
    this.store.apply(group);
    this.store.sync();
    this.kernel.appended(this.now);
    return true;
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 40; i++) {
      this.kernel.flush(this.now);
      if (this.autoSync) while (this.sync());
      await Promise.resolve();
    }
  }

  async tick(ms: number): Promise<void> {
    this.now += ms;
    this.kernel.tick(this.now);
    await this.settle();
  }

  async join(peer: number, session = 0): Promise<SessionId> {
    this.kernel.clientJoined(peer, { session, key: 'key', rights: ['author'], agent: 'test' }, this.now);
    await this.settle();
    return this.welcomed.get(peer) as SessionId;
  }

  host(id: number, quarantine = false): void {
    this.kernel.hostJoined(id, { incarnation: 100 + id, quarantine }, this.now);
  }

  ask(
    peer: number,
    no: number,
    target: string,
    selector: string,
    extra: { lowest?: number; deadline?: number } = {},
  ): void {
    const envelope: Ask = [
      T.ASK,
      no,
      extra.lowest ?? 1,
      extra.deadline ?? 20_000,
      '',
      target,
      selector,
      pack([]),
      ORIGIN.PROGRAM,
    ];
    this.kernel.fromClient(peer, envelope, this.now);
  }

  query(peer: number, no: number, op: string, ...args: unknown[]): void {
    this.kernel.fromClient(peer, [T.QUERY, no, 1, 20_000, op, pack(args)], this.now);
  }

  runs(host: number): Run[] {
    return this.toHost
      .filter(([id, envelope]) => id === host && envelope[0] === T.RUN)
      .map(([, envelope]) => envelope as Run);
  }

  verdicts(host: number): Verdict[] {
    return this.toHost
      .filter(([id, envelope]) => id === host && envelope[0] === T.VERDICT)
      .map(([, envelope]) => envelope as Verdict);
  }

  answers(peer: number): Envelope[] {
    return this.toClient.filter(([id]) => id === peer).map(([, envelope]) => envelope);
  }

  attempt(host: number): Attempt {
    return makeAttempt(100 + host, ++this.#attempts);
  }

  /** Loads objects into the kernel on behalf of a host. */
  async load(host: number, ...oids: string[]): Promise<void> {
    this.kernel.fromHost(host, [T.LOAD, 1, oids.map(oid), []], this.now);
    await this.settle();
  }

  /** The attempt that the kernel holds for a slot now. */
  accepted(object: string, slot: string): Attempt {
    return this.kernel.core.state.objects.get(oid(object))?.slots.get(slot)?.attempt ?? ABSENT;
  }

  value(object: string, slot: string): Content | undefined {
    return this.kernel.core.state.objects.get(oid(object))?.slots.get(slot)?.content;
  }

  commit(
    host: number,
    run: Run,
    part: { reads?: ReadSet[]; writes?: WriteSet[]; body?: CommitBody; answer?: Content; attempt?: Attempt },
  ): Attempt {
    const attempt = part.attempt ?? this.attempt(host);
    const body: CommitBody = part.body ?? [
      part.reads ?? [],
      [],
      [],
      part.writes ?? [],
      [],
      [],
      [],
      [true, part.answer ?? null, null],
    ];
    checkCommitBody(unpack(pack(body)));
    this.kernel.fromHost(host, [T.COMMIT, attempt, run[1], run[2], pack(body)], this.now);
    return attempt;
  }

  /** Host `host` adds `amount` to a balance, as a method would, and answers the new one. */
  add(host: number, run: Run, object: string, amount: number): Attempt {
    const balance = this.value(object, 'balance') as number;
    return this.commit(host, run, {
      reads: [[oid(object), ['balance', this.accepted(object, 'balance')]]],
      writes: [[oid(object), [['balance', 0, balance + amount]]]],
      answer: balance + amount,
    });
  }
}

export async function world(faults: KernelFaults = {}, config: Config = defaultConfig): Promise<World> {
  const made = new World(undefined, faults, config);
  await made.settle();
  return made;
}
