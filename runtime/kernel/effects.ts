/**
 * What an accepted turn causes beside its answer: outbox messages, timers, names, dead letters, and what hosts and watchers are told.
 *
 *   F1  What is written goes into the group of the turn; what leaves for others waits at the gate (groups.ts, G1). Only hosts hear at once: what they
 *       build on it falls with it.
 */
import {
  T,
  TelosError,
  type CommitBody,
  type Oid,
  type Reply,
  type Seq,
  type SlotChange,
} from '../../protocol/index.js';
import { keys, type DeadLetterRecord, type OutboxRecord } from '../journal/index.js';
import type { Applied } from './commit.js';
import type { KernelCore } from './core.js';
import type { Message } from './message.js';
import { changedOf } from './room.js';
import type { HostState } from './router.js';

export class Effects {
  constructor(private readonly core: KernelCore) {}

  /** Outbox messages and timers. @returns the number of the first */
  send(message: Message, body: CommitBody, seq: Seq, time: number): number {
    const { core } = this;
    const first = core.nextOutgoing;
    const cause = `${message.sender} > ${message.selector}`.slice(-200);
    for (const [target, selector, args] of body[5]) {
      const record: OutboxRecord = [target, selector, args, seq, cause, message.trace, time];
      this.#putOutgoing(keys.outbox(core.nextOutgoing), record, 0, seq);
    }
    for (const [delay, target, selector, args] of body[6]) {
      const due = Math.ceil(time + Math.max(0, delay));
      this.#putOutgoing(
        keys.timer(due, core.nextOutgoing),
        [target, selector, args, seq, cause, message.trace, time],
        due,
        seq,
      );
    }
    if (core.nextOutgoing !== first) core.groups.put(keys.meta('counters'), [core.nextOutgoing]);
    return first;
  }

  #putOutgoing(key: Buffer, record: OutboxRecord, due: number, seq: number): void {
    const no = this.core.nextOutgoing++;
    this.core.groups.put(key, record);
    this.core.groups.whenDurable(seq, () => {
      if (due === 0) this.core.delivery.sent(no, record);
      else this.core.delivery.armed(due, no, record);
    });
  }

  names(applied: Applied): void {
    for (const name of applied.namesChanged) {
      const entry = this.core.state.names.get(name);
      this.core.groups.name(name, entry?.oid ? [entry.oid, entry.attempt] : null);
    }
  }

  /** An error that nobody else is told of, or that ended a host again and again, leaves a dead letter. */
  bury(message: Message, reply: Reply): void {
    const error = reply[2] ?? new TelosError('INTERNAL', 'no error was given').toWire();
    const history: DeadLetterRecord[2] = [...message.history, [this.core.wallNow, `given up: ${error[0]} ${error[2]}`]];
    const target = (message.oid ?? message.target) as Oid;
    const original: OutboxRecord = [
      target,
      message.selector,
      message.args,
      0 as Seq,
      message.sender,
      message.trace,
      message.time,
    ];
    const id = this.core.nextOutgoing++;
    this.core.groups.put(keys.meta('counters'), [this.core.nextOutgoing]);
    this.core.groups.put(keys.deadLetter(id), [
      original,
      error,
      history,
      message.session,
      message.no,
      message.origin,
    ] satisfies DeadLetterRecord);
    this.core.ports.log('warn', 'dead letter', { id, target, selector: message.selector, error: error[2] });
  }

  /** The other hosts that hold what has changed. */
  tellHolders(applied: Applied, from: HostState | null): void {
    const own = from?.bit ?? 0;
    for (const [object, changes] of applied.changed) {
      const others = object.holders & ~own;
      if (others === 0) continue;
      const parts = changedOf(object, changes, this.core.config);
      this.#toHolders(others, (host) => {
        for (const part of parts) this.core.ports.toHost(host.id, part);
      });
    }
    for (const name of applied.namesChanged) {
      const entry = this.core.state.names.get(name);
      if (entry)
        this.#toHolders(~own, (host) => this.core.ports.toHost(host.id, [T.NAMED, name, entry.oid, entry.attempt]));
    }
  }

  #toHolders(bits: number, tell: (host: HostState) => void): void {
    for (const host of this.core.router.hosts.values()) if ((host.bit & bits) !== 0) tell(host);
  }

  publish(applied: Applied, seq: Seq, time: number): void {
    if (!this.core.notices.watched || (applied.changed.length === 0 && applied.namesChanged.length === 0)) return;
    const changes = applied.changed.map(([object, slots]): [Oid, string[]] => [
      object.oid,
      slots.map(([slot]: SlotChange) => slot),
    ]);
    this.core.groups.whenDurable(seq, () =>
      this.core.notices.publish(seq, time, changes, (name) => this.core.state.names.get(name)?.oid ?? null),
    );
  }
}
