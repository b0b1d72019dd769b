/**
 * One nact actor per object that has got messages; the one importer of nact.
 *
 *   N1  An object's messages are handled in the order in which they came, one at a time; one that waits for a service lets the next begin.
 *   N2  The mailbox is ours and bounded: nact's is not, and costs an event-loop turn per message. An actor gets one signal, and drains up
 *       to `batch` messages for it, as long as the round of the event loop has time for them.
 *   N3  A handler always answers its next state; one that fails is logged and the actor goes on with the next message.
 */
import { dispatch, spawn, start, stop } from 'nact';
import type { Oid } from '../../protocol/index.js';

const SIGNAL = 'drain';
type Actor = Parameters<typeof dispatch>[0];

interface Mailbox<M> {
  readonly actor: Actor;
  queue: M[];
  signalled: boolean;
  busy: boolean;
}

export interface ActorOptions<M> {
  /** Messages that one object may have waiting. */
  readonly mailbox: number;
  /** Messages handled for one signal. */
  readonly batch: number;
  /** Messages have had their time in this round of the event loop. */
  full(): boolean;
  /** Settles when the next message may begin. Never rejects. */
  handle(message: M): Promise<void>;
  failed(oid: Oid, error: unknown): void;
}

export class ObjectActors<M> {
  readonly #system = start();
  readonly #boxes = new Map<Oid, Mailbox<M>>();

  constructor(private readonly options: ActorOptions<M>) {}

  get count(): number {
    return this.#boxes.size;
  }

  /** False: the mailbox is full. */
  tell(oid: Oid, message: M): boolean {
    const box = this.#boxOf(oid);
    if (box.queue.length >= this.options.mailbox) return false;
    box.queue.push(message);
    this.#signal(box);
    return true;
  }

  /** For a message that was let in before: it goes first, whatever the mailbox holds. */
  again(oid: Oid, message: M): void {
    const box = this.#boxOf(oid);
    box.queue.unshift(message);
    this.#signal(box);
  }

  /** The object is no longer held: its actor ends, unless it has something to do. */
  retire(oid: Oid): void {
    const box = this.#boxes.get(oid);
    if (box === undefined || box.busy || box.signalled || box.queue.length > 0) return;
    this.#boxes.delete(oid);
    stop(box.actor);
  }

  #boxOf(oid: Oid): Mailbox<M> {
    const known = this.#boxes.get(oid);
    if (known !== undefined) return known;
    const actor: Actor = spawn(this.#system, (handled: number) => this.#drain(oid, handled), oid.slice(1), {
      initialState: 0,
      onCrash: (_message: unknown, error: unknown, context: { resume: symbol }) => {
        this.options.failed(oid, error);
        return context.resume;
      },
    } as never);
    const box: Mailbox<M> = { actor, queue: [], signalled: false, busy: false };
    this.#boxes.set(oid, box);
    return box;
  }

  #signal(box: Mailbox<M>): void {
    if (box.signalled) return;
    box.signalled = true;
    dispatch(box.actor, SIGNAL);
  }

  async #drain(oid: Oid, handled: number): Promise<number> {
    const box = this.#boxes.get(oid);
    if (box === undefined) return handled;
    box.busy = true;
    let done = 0;
    try {
      for (; done < this.options.batch && box.queue.length > 0 && !this.options.full(); done++)
        await this.options.handle(box.queue.shift() as M);
    } finally {
      box.busy = false;
      box.signalled = false;
      if (box.queue.length > 0) this.#signal(box);
    }
    return handled + done;
  }
}
