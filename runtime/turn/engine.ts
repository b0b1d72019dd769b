/**
 * Runs turns. Owns: the check that every turn makes progress, and whose rejections nobody handled. Pure: clock, deferral, state, services and code come
 * through ports.
 */
import { leaveMethods } from '../compartment/index.js';
import type { Attempt } from '../../protocol/index.js';
import type { Carried } from './carried.js';
import type { Frame } from './frame.js';
import { turnOfFailure } from './failure.js';
import type { TurnLimits, TurnMessage, TurnPorts } from './ports.js';
import { Turn } from './turn.js';

/** Code of the runtime's own behind a slot. `args`: plain data with `Ref`s in it. */
export type Primitive = (frame: Frame, args: readonly unknown[]) => Promise<Carried> | Carried;

export class Engine {
  #watched: Turn[] = [];
  readonly #rejected = new WeakMap<object, Turn>();

  constructor(
    readonly ports: TurnPorts,
    readonly limits: TurnLimits,
    private readonly primitives: ReadonlyMap<string, Primitive>,
  ) {}

  newTurn(message: TurnMessage, attempt: Attempt): Turn {
    return new Turn(this, message, attempt);
  }

  /** Code of this turn runs from now on, until all microtasks have run. */
  entered(turn: Turn): void {
    this.#watched.push(turn);
    if (this.#watched.length === 1) this.ports.afterMicrotasks(() => this.#drained());
    turn.meter.enter();
  }

  /** Code that neither ended nor waits will never go on; and whatever runs next is the host's own and charged to nobody. */
  #drained(): void {
    leaveMethods();
    const watched = this.#watched;
    this.#watched = [];
    for (const turn of watched) turn.checkProgress();
  }

  primitive(name: string, frame: Frame): Primitive {
    const found = this.primitives.get(name);
    if (found !== undefined) return found;
    throw frame.turn.failure(
      'UNAVAILABLE',
      `the primitive ${JSON.stringify(name)} is not part of this runtime`,
      'use the TelOS that made this image',
    );
  }

  /** A promise was rejected and nobody listens (yet). False: not by a send of a running turn. */
  rejectionUnhandled(promise: object, reason: unknown): boolean {
    const turn = turnOfFailure(reason);
    if (!(turn instanceof Turn) || turn.over) return false;
    (turn.unhandled ??= new Map()).set(promise, reason);
    this.#rejected.set(promise, turn);
    return true;
  }

  rejectionHandled(promise: object): void {
    this.#rejected.get(promise)?.unhandled?.delete(promise);
  }
}
