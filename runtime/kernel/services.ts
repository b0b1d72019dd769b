/**
 * Owns: requests of turns to services (models, memory, the kernel's own look-ups) that are under way.
 *
 *   V1  An answer is recorded under (message id, key) before the turn sees it, and goes into the journal with the next group; a retry or
 *       re-run with the same key gets it without asking.
 *   V2  A request that a grant's holder makes ends the grant: nobody waits for a model.
 *   V3  When the worker is gone its requests fail `UNAVAILABLE`, unrecorded.
 */
import {
  pack,
  T,
  TelosError,
  type Bytes,
  type Content,
  type Service,
  type Served,
  type WireError,
} from '../../protocol/index.js';
import { keys } from '../journal/index.js';
import type { KernelCore } from './core.js';
import type { Message } from './message.js';
import type { HostId } from './ports.js';
import { bytesWith, unsendable } from './room.js';
import type { HostState } from './router.js';

interface Request {
  readonly message: Message;
  /** The host that asked: an answer for a message that has moved on meanwhile is of no use to the new one. */
  host: HostState | null;
  hostRequest: number;
  readonly key: string;
  readonly worker: HostId;
}

/** Look-ups that the kernel answers itself: (op, args) to a value, through a callback. */
type Own = (
  message: Message,
  op: string,
  args: Uint8Array,
  done: (error: TelosError | null, value: unknown, now: number) => void,
) => void;

export class Services {
  readonly #workers = new Map<HostId, readonly string[]>();
  readonly #requests = new Map<number, Request>();
  #counter = 0;

  constructor(
    private readonly core: KernelCore,
    private readonly own: Own,
  ) {}

  get pending(): number {
    return this.#requests.size;
  }

  join(worker: HostId, services: readonly string[]): void {
    this.#workers.set(worker, services);
  }

  leave(worker: HostId, now: number): void {
    this.#workers.delete(worker);
    for (const [id, request] of this.#requests) {
      if (request.worker !== worker) continue;
      this.#requests.delete(id);
      this.#failed(request, new TelosError('UNAVAILABLE', `the worker that served ${request.key} ended`), now);
    }
  }

  ask(message: Message, [, hostRequest, , , key, service, op, args]: Service, now: number): void {
    const request = { message, host: message.host, hostRequest, key, worker: 0 };
    const recorded = message.recorded.find(([known]) => known === key);
    if (recorded) {
      this.#deliver(request, recorded[1], recorded[2], now);
      return;
    }
    if (service === 'kernel') {
      this.own(message, op, args, (error, value, at) => {
        const body = pack(value);
        const failed = error ?? unsendable(`the answer of ${op}`, body.length, this.core.config);
        if (failed) this.#failed(request, failed, at);
        // It shows what is accepted and not durable: the turn gets it when that can't be taken back any more.
        else
          this.core.groups.whenDurable(this.core.groups.acceptedSeq, () =>
            this.#deliver(request, true, body, this.core.now),
          );
      });
      return;
    }
    this.core.grants.end(message, now);
    this.core.router.waits(message);
    this.#begin(request, service, op, args, now);
    this.core.router.pumpQuarantine(now);
  }

  #begin(request: Request, service: string, op: string, args: Bytes, now: number): void {
    const { message, key } = request;
    const underWay = this.#find(message, key);
    if (underWay) {
      underWay.host = request.host;
      underWay.hostRequest = request.hostRequest;
      return;
    }
    const worker = [...this.#workers].find(([, services]) => services.includes(service))?.[0];
    if (worker === undefined) {
      this.#failed(request, new TelosError('UNAVAILABLE', `no worker serves ${service}.${op}`), now);
      return;
    }
    const id = ++this.#counter;
    this.#requests.set(id, { ...request, worker });
    this.core.ports.toService(worker, [T.SERVE, id, `${message.session}.${message.no}.${key}`, op, args]);
  }

  /** The same request of an earlier run of the message, on a host that died: its answer serves the present run too. */
  #find(message: Message, key: string): Request | undefined {
    for (const request of this.#requests.values())
      if (request.message === message && request.key === key) return request;
    return undefined;
  }

  answered([, id, part, ok, body]: Served, now: number): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    const { message, key } = request;
    if (part > 0) {
      this.core.partial(message, part, body, now);
      return;
    }
    this.#requests.delete(id);
    if (message.state === 'done') return;
    const bytes = bytesWith(message, key, body);
    const tooLarge = unsendable(`${message.selector} with the answers of services to it`, bytes, this.core.config);
    if (tooLarge) this.#record(request, false, pack(tooLarge.toWire() satisfies WireError), now);
    else this.#record(request, ok, body, now);
  }

  #record(request: Request, ok: boolean, body: Content, now: number): void {
    const { message, key } = request;
    message.recorded.push([key, ok, body]);
    this.core.groups.put(keys.recorded(message.session, message.no, key), [ok, body]);
    this.#deliver(request, ok, body, now);
  }

  #failed(request: Request, error: TelosError, now: number): void {
    this.#deliver(request, false, pack(error.toWire() satisfies WireError), now);
  }

  #deliver({ message, host, hostRequest }: Request, ok: boolean, body: Content, now: number): void {
    if (message.state !== 'running' || message.host !== host) return;
    this.core.router.deliver(message, [T.SERVICE_ANSWER, hostRequest, ok, body], now);
  }
}
