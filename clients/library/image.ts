/**
 * The image as a program sees it: handles, turns, notices, and questions to the kernel. Made by `connect()`.
 *
 * Views made by `with()` share one connection; closing it is for the view that `connect()` answered.
 */
import { inspect } from 'node:util';
import {
  ORIGIN,
  TelosError,
  decodeContent,
  encodeArgs,
  isName,
  isOid,
  unpack,
  type Bytes,
  type Content,
  type EncodeOptions,
  type Origin,
  type QueryOp,
} from '../../protocol/index.js';
import { Call, type CallHooks, type CallHost } from './call.js';
import type { Connection } from './connection.js';
import { makeHandle, targetOf, type Handle } from './handle.js';
import { Questions } from './questions.js';
import type { Request, Sink } from './session.js';
import { Watch, type ImageNotice } from './watch.js';

/** What a view may set for all that is sent through it. */
export interface SendOptions {
  /** Milliseconds until the ask is given up; each partial answer renews it. */
  readonly deadlineMs?: number;
  /** Cancels what is under way when it aborts. */
  readonly signal?: AbortSignal;
  /** Trace id for all asks, shown in the journal; one is made for each when absent. */
  readonly trace?: string;
  /** Who asks: a program, or a person at a REPL. */
  readonly origin?: Origin;
  readonly hooks?: CallHooks;
}

export interface ImageLimits {
  readonly maxBodyBytes: number;
  readonly maxDepth: number;
  readonly noticeCredit: number;
}

/** An object of the image, by whatever names it: a handle, a name, or an oid. */
export type Ref = string | object;

/** Where a reference of this image is shown to people. */
export type ShowRef = (target: string) => string;

const NO_ARGS: Bytes = Uint8Array.of(0x90);
const TELL = '(to, selector, args) => { image.tell(to, selector, ...args) }';
const AFTER = '(ms, to, selector, args) => { image.after(ms, to, selector, ...args) }';

export class Image extends Questions implements CallHost {
  private readonly decodeOptions = { makeRef: (id: string): unknown => this.handleTo(id) };
  private readonly encodeOptions: EncodeOptions;
  /** Answers of the kernel itself hold contents in their wire form: they are not decoded as values. */
  private readonly questionHost: CallHost = {
    decode: (body) => (body instanceof Uint8Array ? unpack(body) : body),
    cancel: (request) => this.cancel(request),
  };
  private readonly send_ = (target: string, selector: string, args: unknown[]): Call =>
    this.sendTo(target, selector, args);

  constructor(
    private readonly connection: Connection,
    private readonly limits: ImageLimits,
    private readonly options: SendOptions = {},
    private readonly show: ShowRef = String,
  ) {
    super();
    const { maxBodyBytes: maxBytes, maxDepth } = limits;
    this.encodeOptions = { place: 'argument', refOf: targetOf, maxBytes, maxDepth, functionsAsSource: true };
  }

  /** A handle for a name or an oid, at once: nothing is sent. @throws TelosError BAD_NAME */
  actor<T = Handle>(x: Ref): T {
    return this.handleTo(this.targetFor(x)) as T;
  }

  /** The same as `actor`. */
  ref<T = Handle>(x: Ref): T {
    return this.actor<T>(x);
  }

  /** A message by its selector: what a handle does, also for selectors that JavaScript keeps to itself (`then`, `toJSON`). */
  send(to: Ref, selector: string, ...args: unknown[]): Call {
    return this.sendTo(this.targetFor(to), selector, args);
  }

  /** Leaves a message that is handled after this call has been answered: at least once delivered, once in effect. */
  tell(to: Ref, selector: string, ...args: unknown[]): Call {
    return this.turn(TELL, this.actor(to), selector, args);
  }

  /** A durable timer: the message is sent `ms` milliseconds from now, also if the image was stopped meanwhile. */
  after(ms: number, to: Ref, selector: string, ...args: unknown[]): Call {
    return this.turn(AFTER, ms, this.actor(to), selector, args);
  }

  /**
   * Runs `fn(...args)` as one turn in the image, all of it or nothing. Its source travels, closures don't; `image` inside is the image of
   * the turn (`image.ref`, `image.get`, `image.create`, `image.tell`, …).
   */
  turn(fn: ((...args: never[]) => unknown) | string, ...args: unknown[]): Call {
    return this.sendTo('', 'turn', [String(fn), ...args]);
  }

  /**
   * Change notices of durable turns. `pattern`: a name, an oid, a handle, or `*` for all.
   * @param listener is called for each, one after another; without it, iterate over the result with `for await`.
   */
  subscribe(pattern: Ref, listener?: (notice: ImageNotice) => unknown): Watch {
    const target = pattern === '*' ? '*' : this.targetFor(pattern);
    return new Watch(this.connection, target, this.limits.noticeCredit, (oid): unknown => this.handleTo(oid), listener);
  }

  /** The same image with other options for what is sent through it. */
  with(options: SendOptions): Image {
    return new Image(this.connection, this.limits, { ...this.options, ...options }, this.show);
  }

  /** Name or oid behind a handle, undefined for everything else. */
  idOf(x: unknown): string | undefined {
    return targetOf(x);
  }

  get connected(): boolean {
    return this.connection.state === 'connected';
  }

  get imageId(): string {
    return this.connection.welcome?.[3] ?? '';
  }

  /** Requests that are not answered yet. */
  get outstanding(): number {
    return this.connection.session.outstanding;
  }

  [inspect.custom](): string {
    return `[Image ${this.imageId}, ${this.connection.state}]`;
  }

  /** Ends the session; open requests fail with CLOSED. */
  close(): Promise<void> {
    return this.connection.close();
  }

  /** A question to the kernel itself; questions.ts has a method for each. */
  query(op: QueryOp, args: unknown[], deadlineMs = this.options.deadlineMs): Call {
    const { connection } = this;
    const start = (sink: Sink): Request =>
      connection.session.query({ op, args: this.encode(args), deadlineMs }, sink, connection.now());
    const call = Call.begin(this.questionHost, start, this.options.signal);
    connection.watch();
    return call;
  }

  decode(body: Content): unknown {
    return decodeContent(body, this.decodeOptions);
  }

  cancel(request: Request): void {
    this.connection.session.cancel(request, this.connection.now());
  }

  private sendTo(target: string, selector: string, args: unknown[]): Call {
    const { connection } = this;
    const { deadlineMs, trace, origin = ORIGIN.PROGRAM, signal, hooks } = this.options;
    const start = (sink: Sink): Request =>
      connection.session.ask(
        { target, selector, args: this.encode(args), origin, deadlineMs, trace },
        sink,
        connection.now(),
      );
    const call = Call.begin(this, start, signal, hooks);
    connection.watch();
    hooks?.began?.(call, target, selector);
    return call;
  }

  private encode(args: unknown[]): Bytes {
    return args.length === 0 ? NO_ARGS : encodeArgs(args, this.encodeOptions);
  }

  private handleTo(target: string): Handle {
    return makeHandle(target, this.send_, this.show);
  }

  protected targetFor(x: Ref): string {
    const target = typeof x === 'string' ? x : targetOf(x);
    if (target !== undefined && (isOid(target) || isName(target))) return target;
    const shown = typeof x === 'string' ? JSON.stringify(x) : `a value of type ${x === null ? 'null' : typeof x}`;
    throw new TelosError('BAD_NAME', `${shown} names no object`, {
      remedy: 'give a name (a JavaScript identifier), an oid (`#…`) or a handle',
    });
  }
}
