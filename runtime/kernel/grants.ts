/**
 * Owns: the grants, held and asked for.
 *
 *   A1  Grants are given whole, in order of asking; one that overlaps an earlier one waits for it.
 *   A2  While a grant is held, no other message's commit writes what it covers.
 *   A3  A grant ends with its message's verdict, deadline, time limit, host, or an unrecorded service request; then all that it blocked
 *       run again.
 */
import type { Message } from './message.js';

/** What the kernel's own turns (undo) are told of their grant: given, or over before it was. Hosts are told over their link. */
export type GrantOutcome = (given: boolean) => void;

interface Grant {
  readonly message: Message;
  readonly keys: Set<string>;
  readonly own: GrantOutcome | null;
  held: boolean;
  until: number;
  readonly blocked: Set<Message>;
}

export class Grants {
  /** In order of asking. */
  #grants: Grant[] = [];

  constructor(
    private readonly given: (message: Message) => void,
    private readonly retry: (message: Message) => void,
    private readonly limitMs: number,
  ) {}

  get count(): number {
    return this.#grants.length;
  }

  ask(message: Message, keys: readonly string[], now: number, own: GrantOutcome | null = null): void {
    this.end(message, now);
    this.#grants.push({ message, keys: new Set(keys), own, held: false, until: Infinity, blocked: new Set() });
    this.#give(now);
  }

  /** Does this message hold a grant now? */
  holds(message: Message): boolean {
    return this.#grants.some((grant) => grant.held && grant.message === message);
  }

  /** Does another message hold a grant on one of these? Then this one is blocked until it ends. */
  blocks(message: Message, keys: readonly string[]): boolean {
    if (this.#grants.length === 0) return false;
    for (const grant of this.#grants) {
      if (!grant.held || grant.message === message || !keys.some((key) => grant.keys.has(key))) continue;
      grant.blocked.add(message);
      return true;
    }
    return false;
  }

  /** Ends the grant of this message, if it has one or waits for one. */
  end(message: Message, now: number): void {
    if (this.#grants.length === 0) return;
    const index = this.#grants.findIndex((grant) => grant.message === message);
    if (index < 0) return;
    const [ended] = this.#grants.splice(index, 1);
    for (const blocked of ended?.blocked ?? []) if (blocked.state === 'running') this.retry(blocked);
    this.#give(now);
    if (ended?.held === false) ended.own?.(false);
  }

  /** Ends what has been held for too long. */
  expire(now: number): Message[] {
    const late = this.#grants.filter((grant) => grant.held && grant.until <= now).map((grant) => grant.message);
    for (const message of late) this.end(message, now);
    return late;
  }

  /** Who is told that it has one may commit at once, and so end it: all are marked before the first is told. */
  #give(now: number): void {
    const covered = new Set<string>();
    const given: Grant[] = [];
    for (const grant of this.#grants) {
      const free = grant.held || ![...grant.keys].some((key) => covered.has(key));
      for (const key of grant.keys) covered.add(key);
      if (grant.held || !free) continue;
      grant.held = true;
      grant.until = now + this.limitMs;
      given.push(grant);
    }
    for (const grant of given) {
      if (!this.#grants.includes(grant)) continue;
      if (grant.own === null) this.given(grant.message);
      else grant.own(true);
    }
  }
}
