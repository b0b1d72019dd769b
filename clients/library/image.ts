/**
 * The image as a program sees it: handles, turns, notices, and questions to the kernel. Made by `connect()`.
 *
 * Views made by `with()` share one connection; closing it is for the view that `connect()` answered.
 */
import { inspect } from 'node:util';
import {
  ORIGIN,
  decodeContent,
  encodeArgs,
  unpack,
  type Bytes,
  type EncodeOptions,
  type Origin,
  type QueryOp,
} from '../../protocol/index.js';
import { Call, type CallHooks, type CallHost } from './call.js';
import type { Connection } from './connection.js';
import { makeHandle, targetFor, targetOf, type Handle, type Ref, type Send, type ShowRef } from './handle.js';
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
  /** Until the kernel has named its own. */
  readonly maxBodyBytes: number;
  readonly maxDepth: number;
  readonly noticeCredit: number;
}

const NO_ARGS: Bytes = Uint8Array.of(0x90);
const TELL = '(to, selector, args) => { image.tell(to, selector, ...args) }';
const AFTER = '(ms, to, selector, args) => { image.after(ms, to, selector, ...args) }';

export class Image extends Questions {
  readonly #connection: Connection;
  readonly #limits: ImageLimits;
  readonly #options: SendOptions;
  readonly #show: ShowRef;
  #encodeOptions: EncodeOptions;
  readonly #send: Send;
  readonly #host: CallHost;
  readonly #kernel: CallHost;

  constructor(connection: Connection, limits: ImageLimits, options: SendOptions = {}, show: ShowRef = String) {
    super();
    this.#connection = connection;
    this.#limits = limits;
    this.#options = options;
    this.#show = show;
    const { maxBodyBytes: maxBytes, maxDepth } = limits;
    this.#encodeOptions = { place: 'argument', refOf: targetOf, maxBytes, maxDepth, functionsAsSource: true };
    this.#send = (target, selector, args) => this.#ask(target, selector, args);
    const decoding = { makeRef: (id: string): unknown => this.#handleTo(id) };
    const cancel = (request: Request): void => connection.session.cancel(request, connection.now());
    this.#host = { decode: (body) => decodeContent(body, decoding), cancel };
    // Answers of the kernel itself hold contents in their wire form: they are not decoded as values.
    this.#kernel = { decode: (body) => (body instanceof Uint8Array ? unpack(body) : body), cancel };
  }

  /** A handle for a name or an oid, at once: nothing is sent. @throws TelosError BAD_NAME */
  actor<T = Handle>(x: Ref): T {
    return this.#handleTo(targetFor(x)) as T;
  }

  /** The same as `actor`. */
  ref<T = Handle>(x: Ref): T {
    return this.actor<T>(x);
  }

  /** A message by its selector: what a handle does, also for selectors that JavaScript keeps to itself (`then`, `toJSON`). */
  send(to: Ref, selector: string, ...args: unknown[]): Call {
    return this.#ask(targetFor(to), selector, args);
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
   * Runs `fn(...args)` as one turn in the image, all of it or nothing. Its source travels, closures don't; `image` inside is the
   * image of the turn (`image.ref`, `image.get`, `image.create`, `image.tell`, …).
   */
  turn(fn: ((...args: never[]) => unknown) | string, ...args: unknown[]): Call {
    return this.#ask('', 'turn', [String(fn), ...args]);
  }

  /**
   * Change notices of durable turns. `pattern`: a name, an oid, a handle, or `*` for all.
   * @param listener is called for each, one after another; without it, iterate over the result with `for await`.
   * @param onError hears what the listener throws, and why the kernel refused the subscription; without it both are warnings of the process.
   */
  subscribe(pattern: Ref, listener?: (notice: ImageNotice) => unknown, onError?: (error: unknown) => unknown): Watch {
    const target = pattern === '*' ? '*' : targetFor(pattern);
    const handleTo = (oid: string): unknown => this.#handleTo(oid);
    return new Watch(this.#connection, target, this.#limits.noticeCredit, handleTo, listener, onError);
  }

  /** The same image with other options for what is sent through it. */
  with(options: SendOptions): Image {
    return new Image(this.#connection, this.#limits, { ...this.#options, ...options }, this.#show);
  }

  /** Name or oid behind a handle, undefined for everything else. */
  idOf(x: unknown): string | undefined {
    return targetOf(x);
  }

  get connected(): boolean {
    return this.#connection.state === 'connected';
  }

  get imageId(): string {
    return this.#connection.welcome?.[3] ?? '';
  }

  /** Requests that are not answered yet. */
  get outstanding(): number {
    return this.#connection.session.outstanding;
  }

  [inspect.custom](): string {
    return `[Image ${this.imageId}, ${this.#connection.state}]`;
  }

  /** Ends the session; open requests fail with CLOSED. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  /** A question to the kernel itself; questions.ts has a method for each. */
  query(op: QueryOp, args: unknown[], deadlineMs = this.#options.deadlineMs): Call {
    const connection = this.#connection;
    const start = (sink: Sink): Request =>
      connection.session.query({ op, args: this.#encode(args), deadlineMs }, sink, connection.now());
    const call = Call.begin(this.#kernel, start, this.#options.signal);
    connection.watch();
    return call;
  }

  #ask(target: string, selector: string, args: unknown[]): Call {
    const connection = this.#connection;
    const { deadlineMs, trace, origin = ORIGIN.PROGRAM, signal, hooks } = this.#options;
    const start = (sink: Sink): Request => {
      const spec = { target, selector, args: this.#encode(args), origin, deadlineMs, trace };
      return connection.session.ask(spec, sink, connection.now());
    };
    const call = Call.begin(this.#host, start, signal, hooks);
    connection.watch();
    hooks?.began?.(call, target, selector);
    return call;
  }

  #encode(args: unknown[]): Bytes {
    if (args.length === 0) return NO_ARGS;
    // The kernel's word counts, and it may come back with another.
    const maxBytes = this.#connection.welcome?.[8] ?? this.#limits.maxBodyBytes;
    if (maxBytes !== this.#encodeOptions.maxBytes) this.#encodeOptions = { ...this.#encodeOptions, maxBytes };
    return encodeArgs(args, this.#encodeOptions);
  }

  #handleTo(target: string): Handle {
    return makeHandle(target, this.#send, this.#show);
  }
}
