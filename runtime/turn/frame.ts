/**
 * One running method, primitive or free-standing function: what code sees of its turn. Owns: its working copies, the order of its sends, its
 * savepoint.
 *
 *   F1  Sends that one frame begins run one after another, in the order begun; the first begins at once. One that has nothing left to do but
 *       wait for a service lets the next begin: only requests to services overlap.
 *   F2  A frame is over when its code has answered and all its sends have settled. One that fails undoes its effects and those of all frames
 *       below it, before its caller sees the error.
 *   F3  Arguments and answers are carried (carried.ts); a change of a working copy is written, or an error: never lost (copies.ts).
 */
import type { MethodContext } from '../compartment/index.js';
import type { Bytes, Content } from '../../protocol/index.js';
import { SentArgs, type ArgList, type Receiver } from './args.js';
import { carriedOf, Ref, type Carried } from './carried.js';
import { isParentSlot, KIND, type Cell } from './cell.js';
import { begin } from './begin.js';
import { Copies } from './copies.js';
import { undoAll, type Log, type Owner, type Undoable } from './effects.js';
import { toFailure } from './failure.js';
import { Handle, makeHandle, makeSelf, type HandleOwner, type SelfTarget } from './handle.js';
import type { TurnMeter } from './turn-meter.js';
import { makePowers } from './powers.js';
import { Sends } from './sends.js';
import type { Turn } from './turn.js';
import { checkSlotName } from './slot-names.js';
import { notUnderstood } from './understanding.js';
import type { ObjectView } from './view.js';
import { LOBBY, NOT_UNDERSTOOD_SELECTOR } from './wellknown.js';

export class Frame implements MethodContext, HandleOwner, SelfTarget, Owner, Receiver {
  readonly meter: TurnMeter;
  readonly depth: number;
  endedInto: Frame | null = null;
  over = false;
  readonly log: Log = [];
  #positions = 0;
  #sends: Sends | null = null;
  #handles: Map<string, object> | null = null;
  #copies: Copies | null = null;
  #self: object | null = null;
  #image: object | null = null;

  constructor(
    readonly turn: Turn,
    readonly caller: Frame | null,
    readonly receiver: ObjectView | null,
    /** The object in which the running code was found. */
    readonly holder: ObjectView | null,
    readonly selector: string,
    private readonly position: number,
  ) {
    this.meter = turn.meter;
    this.depth = caller === null ? 0 : caller.depth + 1;
  }

  // ---- what code is given ------------------------------------------------------------------------------------------------------

  get self(): object {
    return (this.#self ??= makeSelf(this));
  }

  get image(): object {
    return (this.#image ??= makePowers(this));
  }

  get Date(): object {
    return this.turn.date;
  }

  get Math(): object {
    return this.turn.math;
  }

  /** What `self` stands for. */
  get id(): string {
    return this.ownView.oid;
  }

  get ownView(): ObjectView {
    if (this.receiver === null) throw this.turn.failure('BAD_ARGUMENT', 'a free-standing turn has no self');
    return this.receiver;
  }

  alive(): void {
    this.turn.alive();
    if (this.over) throw this.turn.failure('REVOKED', `${this.place()} has ended; what it was given is dead`);
  }

  place(): string {
    return this.receiver === null ? 'the function' : `${this.turn.label(this.receiver.oid)}.${this.selector}`;
  }

  nextPosition(): number {
    return this.#positions++;
  }

  /** Positions of the sends that led here, from the outermost. */
  path(): string {
    return this.caller === null ? '' : `${this.caller.path()}/${this.position}`;
  }

  // ---- sending -------------------------------------------------------------------------------------------------------------------

  handle(id: string): object {
    const handles = (this.#handles ??= new Map<string, object>());
    let handle = handles.get(id);
    if (handle === undefined) {
      handle = makeHandle(new Handle(this, id));
      handles.set(id, handle);
    }
    return handle;
  }

  makeRef(id: string): object {
    return this.handle(this.turn.resolveNow(id));
  }

  receive(carried: Carried): unknown {
    if (carried === null || typeof carried !== 'object') return carried;
    return carried instanceof Ref ? this.handle(carried.id) : this.turn.codec.decode(carried, this);
  }

  sender(id: string, selector: string): (...args: unknown[]) => Promise<unknown> {
    return (...args) => this.send(id, selector, args, null);
  }

  /** `above`: look-up begins in the parents of this object instead of in the receiver. */
  send(id: string, selector: string, args: readonly unknown[], above: ObjectView | null): Promise<unknown> {
    let list: ArgList;
    try {
      this.alive();
      this.turn.countSend(this.depth + 1);
      this.writeCopies();
      list = this.#carryAll(selector, args);
    } catch (thrown) {
      this.turn.failedSends++;
      return Promise.reject(toFailure(thrown, this.turn));
    }
    const position = this.#positions++;
    const sends = (this.#sends ??= new Sends());
    return sends
      .begin(position, () => this.perform(id, selector, list, above, position))
      .then(
        (carried) => {
          sends.settled(position);
          return this.receive(carried);
        },
        (thrown: unknown) => {
          sends.settled(position);
          this.turn.failedSends++;
          throw toFailure(thrown, this.turn);
        },
      );
  }

  /** The request of this frame to a service is out: its caller may go on with its next send. */
  waitsForService(): void {
    if (this.caller !== null) this.caller.#sends?.passOn(this.position);
  }

  #carryAll(selector: string, args: readonly unknown[]): ArgList {
    const { codec } = this.turn;
    return new SentArgs(args.map((value, index) => codec.carry(value, `argument ${index + 1} of ${selector}`)));
  }

  /** One send, from look-up to answer. */
  perform(id: string, selector: string, args: ArgList, above: ObjectView | null, position: number): Promise<Carried> {
    try {
      this.turn.alive();
      const receiver = this.turn.lookup.ready(id);
      if (receiver === null || receiver.oid === LOBBY) return this.#load(id, selector, args, above, position);
      return this.#performOn(receiver, selector, args, above, position);
    } catch (thrown) {
      return Promise.reject(toFailure(thrown, this.turn));
    }
  }

  async #load(
    id: string,
    selector: string,
    args: ArgList,
    above: ObjectView | null,
    position: number,
  ): Promise<Carried> {
    const receiver = await this.turn.lookup.prepare(id);
    if (receiver.oid === LOBBY) await this.turn.findName(selector);
    return this.#performOn(receiver, selector, args, above, position);
  }

  #performOn(
    receiver: ObjectView,
    selector: string,
    args: ArgList,
    above: ObjectView | null,
    position: number,
  ): Promise<Carried> {
    const { turn } = this;
    if (!receiver.exists) throw turn.failure('UNKNOWN_OBJECT', `there is no object ${receiver.oid}`);
    const cell = above === null ? turn.lookup.find(receiver, selector) : turn.lookup.findAbove(above, selector);
    if (cell === null) return this.#misunderstood(receiver, selector, args, position);
    if (cell.kind === KIND.METHOD || cell.kind === KIND.PRIMITIVE) {
      return this.#call(cell, new Frame(turn, this, receiver, turn.lookup.holder, selector, position), args);
    }
    if (args.count === 0) return Promise.resolve(carriedOf(cell.content));
    throw turn.failure(
      'BAD_ARGUMENT',
      `${turn.label(receiver.oid)}.${selector} is a data slot and takes no arguments, but got ${args.count}`,
    );
  }

  #misunderstood(receiver: ObjectView, selector: string, args: ArgList, position: number): Promise<Carried> {
    const { turn } = this;
    const cell = selector === NOT_UNDERSTOOD_SELECTOR ? null : turn.lookup.find(receiver, NOT_UNDERSTOOD_SELECTOR);
    if (cell === null || (cell.kind !== KIND.METHOD && cell.kind !== KIND.PRIMITIVE))
      throw notUnderstood(turn, receiver, selector);
    const { session, no, origin } = turn.message;
    const message = {
      selector,
      args: args.plain(turn.resolveNow),
      receiver: new Ref(receiver.oid),
      origin,
      id: `${session}.${no}`,
    };
    const carried = turn.codec.encodePlain(message, 'the message') as Bytes;
    const frame = new Frame(turn, this, receiver, turn.lookup.holder, NOT_UNDERSTOOD_SELECTOR, position);
    return this.#call(cell, frame, new SentArgs([carried]));
  }

  async #call(cell: Cell, child: Frame, args: ArgList): Promise<Carried> {
    try {
      let carried: Carried;
      if (cell.kind === KIND.METHOD) {
        const given = args.forMethod(child);
        given.unshift(child.self);
        const result = await begin(this.turn.code(cell)(child), given);
        if (child.#isSending) await child.#settled();
        carried = child.#finish(result);
      } else {
        carried = await this.turn.engine.primitive(cell.text, child)(child, args.plain(this.turn.resolveNow));
      }
      this.#absorb(child);
      return carried;
    } catch (thrown) {
      const failed = toFailure(thrown, this.turn);
      await child.#failed();
      throw toFailure(failed, this.turn);
    }
  }

  /** A free-standing turn: the first argument is the source, the others are its own. */
  async runSource(args: ArgList): Promise<Carried> {
    const [source, ...own] = args.forMethod(this);
    if (typeof source !== 'string')
      throw this.turn.failure('BAD_ARGUMENT', 'the first argument of a turn is its source, a string');
    try {
      const result = await begin(this.turn.compile(source)(this), own);
      if (this.#isSending) await this.#settled();
      return this.#finish(result);
    } catch (thrown) {
      const failed = toFailure(thrown, this.turn);
      await this.#failed();
      throw toFailure(failed, this.turn);
    }
  }

  // ---- the end -------------------------------------------------------------------------------------------------------------------

  #finish(result: unknown): Carried {
    this.turn.alive();
    this.writeCopies();
    const carried = this.turn.codec.carry(result, `the answer of ${this.place()}`);
    if (this.#copies !== null) this.turn.framesWithCopies.push(this);
    this.over = true;
    return carried;
  }

  async #failed(): Promise<void> {
    if (this.#isSending) await this.#settled();
    this.over = true;
    undoAll(this.log);
  }

  get #isSending(): boolean {
    return this.#sends !== null && this.#sends.open > 0;
  }

  /** All sends have settled, and whatever the code does after them has run. */
  async #settled(): Promise<void> {
    while (this.#isSending) {
      await this.#sends?.whenSettled();
      await this.turn.drained();
    }
  }

  #absorb(child: Frame): void {
    child.over = true;
    child.endedInto = this;
    if (child.log.length > 0) this.log.push(child.log);
  }

  // ---- slots of self ---------------------------------------------------------------------------------------------------------------

  findSlot(slot: string): Cell | null {
    this.alive();
    return this.turn.lookup.find(this.ownView, slot);
  }

  readSlot(slot: string): unknown {
    const cell = this.findSlot(slot);
    if (cell === null) return undefined;
    switch (cell.kind) {
      case KIND.PLAIN:
        return cell.content;
      case KIND.REFERENCE:
        return this.handle(cell.text);
      case KIND.BOX:
        return this.copies.of(slot, cell);
      default:
        return this.sender(this.id, slot);
    }
  }

  hasOwnSlot(slot: string): boolean {
    this.alive();
    return this.ownView.own(slot) !== undefined;
  }

  isOwnData(slot: string): boolean {
    const kind = isParentSlot(slot) ? undefined : this.ownView.own(slot)?.kind;
    return kind === KIND.PLAIN || kind === KIND.BOX || kind === KIND.REFERENCE;
  }

  writeSlot(slot: string, value: unknown): void {
    this.alive();
    const { turn } = this;
    if (isParentSlot(slot)) throw turn.failure('BAD_NAME', `${slot} is a parent slot: set it with setSlot`);
    checkSlotName(turn, slot);
    if (this.ownView.oid === LOBBY) throw turn.failure('BAD_NAME', 'names are set with lobby.setSlot');
    const content = turn.codec.encode(value, `${turn.label(this.ownView.oid)}.${slot}`);
    this.put(slot, content, turn.codec.sawName);
    if (content instanceof Uint8Array) this.copies.assigned(slot, value, content);
    else this.#copies?.forget(slot);
  }

  deleteSlot(slot: string): boolean {
    this.alive();
    if (isParentSlot(slot)) throw this.turn.failure('BAD_NAME', `${slot} is a parent slot: remove it with removeSlot`);
    this.#copies?.forget(slot);
    if (this.ownView.own(slot) !== undefined) this.remove(slot);
    return true;
  }

  listSlots(): string[] {
    this.alive();
    return this.ownView.list();
  }

  put(slot: string, content: Content, named: boolean): void {
    this.#noteWrite(this.ownView.write(slot, content, false, named, this));
  }

  remove(slot: string): void {
    this.#noteWrite(this.ownView.write(slot, null, true, false, this));
  }

  #noteWrite(entry: Undoable | null): void {
    if (entry === null) return;
    this.turn.countWrite();
    this.log.push(entry);
  }

  /** An effect that a failure of this frame undoes. */
  effect<E extends Undoable>(entry: E): E {
    this.turn.countWrite();
    this.log.push(entry);
    return entry;
  }

  refuse(what: string): Error {
    return this.turn.failure('BAD_NAME', what);
  }

  get copies(): Copies {
    return (this.#copies ??= new Copies(this));
  }

  /** Changes of working copies become drafts. @throws STALE_VALUE, BAD_VALUE */
  writeCopies(): void {
    this.#copies?.write();
  }

  /** Before the commit: what was changed since the frame ended would be lost. @throws STALE_VALUE */
  checkCopies(): void {
    this.#copies?.checkDetached(true);
  }
}
