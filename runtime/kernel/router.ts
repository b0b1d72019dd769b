/**
 * Owns: the live hosts, which shard is whose, the messages that wait for one, and the quarantine's line.
 *
 *   R1  A message is on at most one host at a time; it leaves that host by a verdict, a refusal, or the host's death.
 *   R2  Messages to one oid leave in the order in which they came.
 *   R3  In quarantine at most one message runs. One that waits for a service lets the next begin, unless either of them is to be alone;
 *       its answer is held until that one waits or has ended.
 *   R4  A shard whose host is dead moves at once when another host lives, else its messages wait, bounded.
 */
import { T, type Oid, type ServiceAnswer, type ToHost } from '../../protocol/index.js';
import { shardOf, type Message } from './message.js';
import type { HostId } from './ports.js';

export interface HostState {
  readonly id: HostId;
  readonly incarnation: number;
  readonly quarantine: boolean;
  /** Its bit in `KObject.holders`. */
  readonly bit: number;
  readonly messages: Set<Message>;
  stats: Record<string, number>;
}

/** `holders` is a bit set of 31 hosts. */
export const MAX_HOSTS = 31;

export class Router {
  readonly hosts = new Map<HostId, HostState>();
  #workers: HostState[] = [];
  #quarantine: HostState | null = null;
  /** Messages that no host can take now. */
  #waiting: Message[] = [];
  /** Suspects in line for quarantine. */
  #suspects: Message[] = [];
  /** Answers of services for quarantined messages that may not run yet. */
  #heldAnswers: { message: Message; answer: ServiceAnswer }[] = [];

  constructor(
    private readonly shards: number,
    private readonly send: (host: HostId, envelope: ToHost) => void,
    private readonly needQuarantine: () => void,
  ) {}

  get waitingCount(): number {
    return this.#waiting.length;
  }

  get suspectCount(): number {
    return this.#suspects.length;
  }

  join(id: HostId, incarnation: number, quarantine: boolean): HostState {
    const used = [...this.hosts.values()].reduce((bits, host) => bits | host.bit, 0);
    let bit = 1;
    while ((used & bit) !== 0) bit <<= 1;
    const host: HostState = { id, incarnation, quarantine, bit, messages: new Set(), stats: {} };
    this.hosts.set(id, host);
    if (quarantine) this.#quarantine = host;
    else this.#workers = [...this.#workers, host].sort((a, b) => a.id - b.id);
    return host;
  }

  leave(id: HostId): HostState | undefined {
    const host = this.hosts.get(id);
    if (host === undefined) return undefined;
    this.hosts.delete(id);
    if (this.#quarantine === host) this.#quarantine = null;
    this.#workers = this.#workers.filter((worker) => worker !== host);
    this.#heldAnswers = this.#heldAnswers.filter(({ message }) => message.host !== host);
    return host;
  }

  hasQuarantine(): boolean {
    return this.#quarantine !== null;
  }

  hostFor(oid: Oid | null, key: string): HostState | undefined {
    const count = this.#workers.length;
    return count === 0 ? undefined : this.#workers[shardOf(oid ?? key, this.shards) % count];
  }

  /** Sends the message to the host of its shard, or lets it wait for one. */
  dispatch(message: Message, now: number): void {
    if (message.suspect) {
      this.#suspects.push(message);
      this.pumpQuarantine(now);
      return;
    }
    const host = this.hostFor(message.oid, message.target === '' ? `${message.session}.${message.no}` : message.target);
    if (host === undefined) this.#waiting.push(message);
    else this.#run(host, message, now);
  }

  /** A host has come: all that wait go out, in order. */
  drainWaiting(now: number): void {
    for (const message of this.#waiting.splice(0)) if (message.state !== 'done') this.dispatch(message, now);
  }

  /** Lets the next suspect run if none does. */
  pumpQuarantine(now: number): void {
    while (this.#suspects[0]?.state === 'done') this.#suspects.shift();
    const host = this.#quarantine;
    if (host === null) {
      if (this.#suspects.length > 0) this.needQuarantine();
      return;
    }
    if (runningOn(host) !== undefined) return;
    const [held] = this.#heldAnswers;
    if (held !== undefined) {
      this.#release(host, held.message);
      return;
    }
    const [next] = this.#suspects;
    if (next === undefined || (next.alone && host.messages.size > 0)) return;
    this.#suspects.shift();
    this.#run(host, next, now);
  }

  /** The message has asked a service: in quarantine it waits from now on, until an answer is sent to it. */
  waits(message: Message): void {
    message.waitsForService = message.host?.quarantine === true && !message.alone;
  }

  /** An answer of a service for a message: in quarantine it is held while another runs. */
  deliver(message: Message, answer: ServiceAnswer, now: number): void {
    const host = message.host;
    if (host === null) return;
    if (host.quarantine && message.waitsForService) {
      this.#heldAnswers.push({ message, answer });
      this.pumpQuarantine(now);
    } else this.send(host.id, answer);
  }

  /** All its answers at once: it may be waiting for each of them. */
  #release(host: HostState, message: Message): void {
    const held = this.#heldAnswers.filter((one) => one.message === message);
    this.#heldAnswers = this.#heldAnswers.filter((one) => one.message !== message);
    message.waitsForService = false;
    for (const { answer } of held) this.send(host.id, answer);
  }

  /** The message has left its host. */
  finished(message: Message, now: number): void {
    const host = message.host;
    message.state = 'done';
    if (host === null) return;
    if (message.waitsForService) this.#heldAnswers = this.#heldAnswers.filter((one) => one.message !== message);
    host.messages.delete(message);
    message.host = null;
    if (host.quarantine) this.pumpQuarantine(now);
  }

  #run(host: HostState, message: Message, now: number): void {
    message.host = host;
    message.state = 'running';
    message.waitsForService = false;
    host.messages.add(message);
    const left = message.deadline === Infinity ? 0 : Math.max(1, message.deadline - now);
    this.send(host.id, [
      T.RUN,
      message.session,
      message.no,
      message.target,
      message.oid,
      message.nameAttempt,
      message.selector,
      message.args,
      message.time,
      left,
      message.origin,
      message.trace,
      message.recorded.length > 0 ? message.recorded : null,
    ]);
  }
}

/** The message that runs on a quarantine host now and does not merely wait for a service. */
export function runningOn(host: HostState): Message | undefined {
  for (const message of host.messages) if (!message.waitsForService) return message;
  return undefined;
}
