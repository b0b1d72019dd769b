/**
 * Owns: the grants, held and asked for.
 *
 *   A1  Grants are given whole, in order of asking; one that overlaps an earlier one waits for it.
 *   A2  While a grant is held, no other message's commit writes what it covers.
 *   A3  A grant ends with its message's verdict, deadline, time limit, host, or an unrecorded service request; then all that it blocked
 *       run again.
 */
import type { Message } from './message.js';

interface Grant {
  readonly message: Message;
  readonly keys: Set<string>;
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

  ask(message: Message, keys: readonly string[], now: number): void {
    this.end(message, now);
    this.#grants.push({ message, keys: new Set(keys), held: false, until: Infinity, blocked: new Set() });
    this.#give(now);
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
  }

  /** Ends what has been held for too long. */
  expire(now: number): Message[] {
    const late = this.#grants.filter((grant) => grant.held && grant.until <= now).map((grant) => grant.message);
    for (const message of late) this.end(message, now);
    return late;
  }

  #give(now: number): void {
    const covered = new Set<string>();
    for (const grant of this.#grants) {
      const free = grant.held || ![...grant.keys].some((key) => covered.has(key));
      for (const key of grant.keys) covered.add(key);
      if (grant.held || !free) continue;
      grant.held = true;
      grant.until = now + this.limitMs;
      this.given(grant.message);
    }
  }
}
