/**
 * Owns: which peer of the link is a client and which is which worker's life. Checks what they send and hands it to the kernel.
 *
 *   E1  What is malformed throws: the link server refuses and drops that peer. Whatever else goes wrong inside the kernel is `broken`.
 *   E2  What a peer sends never says that the journal is damaged: only what was read from it does, and a life that ends for that is the last.
 */
import {
  checkFromClient,
  checkFromHost,
  checkFromService,
  T,
  TelosError,
  type Envelope,
  type Hello,
  type LinkServerHandlers,
  type PeerId,
  type ToClient,
  type ToHost,
} from '../../protocol/index.js';
import type { Kernel } from '../../runtime/kernel/index.js';
import type { Log } from '../../runtime/process/index.js';
import type { Admission } from './admission.js';
import { steadyNow } from './clock.js';
import type { WorkerLife, Workers } from './workers.js';

type Peer = { readonly kind: 'client' } | { readonly kind: 'host' | 'service'; readonly life: number };

export interface PeersOptions {
  readonly kernel: Kernel;
  readonly workers: Workers;
  readonly admission: Admission;
  readonly log: Log;
  /** Lets a worker in. */
  welcome(peer: PeerId): void;
  broken(error: unknown): void;
}

const isHost = ({ spec }: WorkerLife): boolean => spec.role === 'host' || spec.role === 'quarantine';

export class Peers implements LinkServerHandlers {
  readonly #peers = new Map<PeerId, Peer>();

  constructor(private readonly options: PeersOptions) {}

  hello(peer: PeerId, hello: Hello, proved: string): void {
    const { admission, kernel } = this.options;
    const [, , , , , , session, agent, services] = hello;
    const judgement = admission.judge(hello, proved);
    this.#inKernel((now) => {
      if (judgement.kind === 'worker') return this.#worker(peer, judgement.life, services, now);
      this.#peers.set(peer, { kind: 'client' });
      kernel.clientJoined(peer, { session, key: judgement.key, rights: judgement.rights, agent }, now);
    });
  }

  #worker(peer: PeerId, id: number, services: readonly string[], now: number): void {
    const { workers, kernel } = this.options;
    const life = workers.joined(id, peer);
    this.#peers.set(peer, { kind: isHost(life) ? 'host' : 'service', life: id });
    this.options.welcome(peer);
    if (isHost(life))
      kernel.hostJoined(id, { incarnation: life.incarnation, quarantine: life.spec.role === 'quarantine' }, now);
    else kernel.serviceJoined(id, services, now);
  }

  work(id: PeerId, envelopes: unknown[]): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    const { kernel } = this.options;
    this.#inKernel((now) => {
      if (peer.kind === 'client')
        for (const envelope of envelopes) kernel.fromClient(id, checkFromClient(envelope), now);
      else if (peer.kind === 'host')
        for (const envelope of envelopes) kernel.fromHost(peer.life, checkFromHost(envelope), now);
      else for (const envelope of envelopes) kernel.fromService(peer.life, checkFromService(envelope), now);
    });
  }

  lost(id: PeerId, why: string): void {
    this.#leave(id, why, (kernel, now) => kernel.clientLost(id, now));
  }

  goodbye(id: PeerId): void {
    this.#leave(id, 'said goodbye', (kernel, now) => kernel.clientGoodbye(id, now));
  }

  /** The link has no room for this client any more, or it is not wanted. */
  forget(id: PeerId): void {
    this.lost(id, 'dropped');
  }

  /** Whoever waits for it is told; a worker that can't go on without it is started anew. */
  unsent(id: PeerId, envelope: Envelope, error: TelosError): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    const { kernel, workers } = this.options;
    this.#inKernel((now) => {
      if (peer.kind === 'client') kernel.unsentToClient(id, envelope as ToClient, error, now);
      else if (peer.kind === 'host') {
        if (!kernel.unsentToHost(peer.life, envelope as ToHost, error, now)) workers.condemn(peer.life, error.message);
      } else if (envelope[0] === T.SERVE) kernel.unsentToService(envelope, error, now);
    });
  }

  log(level: 'info' | 'warn' | 'error', event: string, data: object): void {
    this.options.log(level, event, { ...data });
  }

  /** A worker's life is over. */
  gone(life: WorkerLife): void {
    this.#peers.delete(life.peer);
    this.#inKernel((now) => {
      if (isHost(life)) this.options.kernel.hostLost(life.id, now);
      else this.options.kernel.serviceLost(life.id, now);
    });
  }

  #leave(id: PeerId, why: string, client: (kernel: Kernel, now: number) => void): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#peers.delete(id);
    if (peer.kind === 'client') this.#inKernel((now) => client(this.options.kernel, now));
    else this.options.workers.lost(peer.life, `its link ended: ${why}`);
  }

  /** E1, E2 */
  #inKernel(work: (now: number) => void): void {
    const now = steadyNow();
    try {
      work(now);
    } catch (error) {
      if (!(error instanceof TelosError)) this.options.broken(error);
      else if (error.code === 'INTERNAL') this.options.broken(error);
      else if (error.code === 'DAMAGED')
        this.options.broken(new TelosError('INTERNAL', error.message, { cause: error }));
      else throw error;
    } finally {
      this.options.kernel.flush(now);
    }
  }
}
