/**
 * The kernel: where a turn becomes true. One object, no I/O: events come in through its methods, effects leave through its ports.
 *
 * Owns nothing itself: messages end in core.ts, state is in objects.ts, order and durability in groups.ts, clients in client-side.ts, hosts in
 * host-side.ts. This file only says which event reaches which of them.
 *
 * After a batch of events the caller runs `flush(now)`: it sends gathered reads and begins the next group. `tick(now)` is for what time alone causes.
 */
import {
  pack,
  T,
  type CommitBody,
  type FromClient,
  type FromHost,
  type FromService,
  type Serve,
  type TelosError,
  type ToClient,
  type ToHost,
} from '../../protocol/index.js';
import type { Config } from '../../config/index.js';
import type { ImageIdentity, Key } from '../journal/index.js';
import { ClientSide } from './client-side.js';
import { KernelCore } from './core.js';
import { genesisOf } from './first-breath.js';
import { HostSide } from './host-side.js';
import { Operations } from './operations.js';
import type { ClientIdentity, HostId, KernelFaults, KernelPorts, PeerId } from './ports.js';
import { Queries } from './queries.js';
import { Recovery } from './recovery.js';
import { Services } from './services.js';
import { unsentToClient, unsentToHost } from './unsent.js';

const DEADLINE_CHECK_MS = 50;

export class Kernel {
  readonly core: KernelCore;
  readonly #clients: ClientSide;
  readonly #hosts: HostSide;
  readonly #services: Services;
  readonly #operations: Operations;
  readonly #recovery: Recovery;
  #ready = false;
  #lastDeadlineCheck = 0;
  #lastActivity = 0;

  constructor(
    config: Config,
    identity: ImageIdentity,
    ports: KernelPorts,
    faults: KernelFaults = {},
    readOnly = false,
  ) {
    this.core = new KernelCore(config, identity, ports, faults, readOnly);
    const queries = new Queries(this.core);
    this.#recovery = new Recovery(this.core);
    this.#operations = new Operations(this.core, queries, this.#recovery);
    this.#services = new Services(this.core, (message, op, args, done) =>
      this.#operations.service(message, op, args, done),
    );
    this.#clients = new ClientSide(this.core, queries, this.#operations, this.#recovery);
    this.#hosts = new HostSide(this.core, this.#operations, this.#services);
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Replays, writes genesis where it is missing, then calls `ready`. Nothing else may be called before, but `readDone`, `pageDone`, `appended`. */
  recover(genesis: CommitBody, now: number, ready: () => void): void {
    this.core.now = now;
    this.#recovery.run((at) => {
      if (this.core.readOnly) {
        this.#ready = true;
        ready();
        return;
      }
      genesisOf(this.core, genesis, at, () => {
        this.#ready = true;
        ready();
      });
    });
  }

  // ---- clients and hosts -------------------------------------------------------------------------------------------------------

  clientJoined(peer: PeerId, identity: ClientIdentity, now: number): void {
    this.core.now = now;
    this.#clients.joined(peer, identity);
  }

  clientLost(peer: PeerId, now: number): void {
    this.core.now = now;
    this.#clients.lost(peer);
  }

  /** The session ends for good: nothing of it is kept. */
  clientGoodbye(peer: PeerId, now: number): void {
    this.core.now = now;
    this.#clients.goodbye(peer, now);
  }

  fromClient(peer: PeerId, envelope: FromClient, now: number): void {
    this.core.now = now;
    this.#lastActivity = now;
    this.#clients.receive(peer, envelope, now);
  }

  hostJoined(host: HostId, life: { incarnation: number; quarantine: boolean }, now: number): void {
    this.core.now = now;
    this.#hosts.joined(host, life, now);
  }

  hostLost(host: HostId, now: number): void {
    this.core.now = now;
    this.#hosts.lost(host, now);
  }

  fromHost(host: HostId, envelope: FromHost, now: number): void {
    this.core.now = now;
    this.#lastActivity = now;
    this.#hosts.receive(host, envelope, now);
  }

  // ---- what fits no frame ----------------------------------------------------------------------------------------------------------

  /** False: the host can't go on without it. */
  unsentToHost(host: HostId, envelope: ToHost, error: TelosError, now: number): boolean {
    this.core.now = now;
    return unsentToHost(this.core, host, envelope, error, now);
  }

  unsentToClient(peer: PeerId, envelope: ToClient, error: TelosError, now: number): void {
    this.core.now = now;
    unsentToClient(this.core, peer, envelope, error);
  }

  unsentToService([, request]: Serve, error: TelosError, now: number): void {
    this.core.now = now;
    this.#services.answered([T.SERVED, request, 0, false, pack(error.toWire())], now);
  }

  // ---- services, storage, time ---------------------------------------------------------------------------------------------------

  serviceJoined(worker: HostId, services: readonly string[], now: number): void {
    this.core.now = now;
    this.#services.join(worker, services);
  }

  serviceLost(worker: HostId, now: number): void {
    this.core.now = now;
    this.#services.leave(worker, now);
  }

  fromService(_worker: HostId, envelope: FromService, now: number): void {
    this.core.now = now;
    this.#services.answered(envelope, now);
  }

  externalDone(ticket: number, error: TelosError | null, value: unknown, now: number): void {
    this.core.now = now;
    this.#operations.externalDone(ticket, error, value, now);
  }

  appended(now: number): void {
    this.core.now = now;
    this.core.groups.appended();
    this.flush(now);
  }

  appendFailed(error: TelosError, now: number): void {
    this.core.now = now;
    this.core.groups.appendFailed(error);
    this.core.ports.fatal(error);
  }

  readDone(ticket: number, values: readonly (Uint8Array | undefined)[], now: number): void {
    this.core.now = now;
    this.core.reader.readDone(ticket, values, now);
    this.flush(now);
  }

  pageDone(ticket: number, rows: readonly (readonly [Key, Uint8Array])[], now: number): void {
    this.core.now = now;
    this.core.reader.pageDone(ticket, rows, now);
    this.flush(now);
  }

  /** After each batch of events: sends gathered reads, deliveries that fit, and the next group. */
  flush(now: number): void {
    this.core.now = now;
    this.core.delivery.pump(now);
    this.core.reader.flush();
    this.core.groups.pump(this.core.wallNow, false);
  }

  tick(now: number): void {
    const { core } = this;
    core.now = now;
    if (!this.#ready) return;
    if (now - this.#lastDeadlineCheck >= DEADLINE_CHECK_MS) {
      this.#lastDeadlineCheck = now;
      this.#operations.checkDeadlines(now);
      core.grants.expire(now);
      core.router.pumpQuarantine(now);
      this.#operations.expireSessions(now);
    }
    this.flush(now);
    const idle = now - this.#lastActivity >= core.config.kernel.idleFlushMs;
    if (idle) core.groups.pump(core.wallNow, true);
  }
}
