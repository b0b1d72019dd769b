/**
 * The parts of the ZeroMQ messages of a link, and the queue of what is to be sent to one peer.
 *
 *   F1  envelopes leave in the order in which they were queued, those of the control lane before all others.
 *   F2  no frame is larger than `maxFrameBytes`; an envelope that would be alone over it is handed back to `unsent`, in a microtask of its own:
 *       whoever sent it has to tell those who wait for it.
 *   F3  the writer's room is never used twice: ZeroMQ sends from it without a copy.
 *   F4  what waits is bounded in number, and in bytes where `maxBytes` says so: past either the lane is full. One envelope may go over the bytes, so
 *       that an empty lane takes whatever fits a frame.
 */
import { pack } from '../codec.js';
import { SIGNAL, type Hello, type Signal, type Welcome } from '../frames.js';
import type { Envelope } from '../envelope.js';
import { TelosError, type WireError } from '../errors.js';
import { Writer } from '../writer.js';

const signal = (value: Signal): Buffer => Buffer.from([value]);

export const SIGNAL_PART: Readonly<Record<keyof typeof SIGNAL, Buffer>> = {
  READY: signal(SIGNAL.READY),
  HEARTBEAT: signal(SIGNAL.HEARTBEAT),
  WORK: signal(SIGNAL.WORK),
  REFUSED: signal(SIGNAL.REFUSED),
  GOODBYE: signal(SIGNAL.GOODBYE),
};

/** The two parts of a message, without the routing id. */
export type Parts = readonly [signal: Buffer, body: Buffer];

export const readyFrame = (greeting: Hello | Welcome): Parts => [SIGNAL_PART.READY, pack(greeting)];
export const heartbeatFrame = (lastNo: number): Parts => [SIGNAL_PART.HEARTBEAT, pack([lastNo])];
export const refusedFrame = (error: WireError): Parts => [SIGNAL_PART.REFUSED, pack(error)];
export const goodbyeFrame = (): Parts => [SIGNAL_PART.GOODBYE, pack([])];

/** First in, first out, without moving what stands behind. */
class Queue {
  private items: Envelope[] = [];
  private sizes: number[] = [];
  private head = 0;
  bytes = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  push(envelope: Envelope, bytes: number): void {
    this.items.push(envelope);
    this.sizes.push(bytes);
    this.bytes += bytes;
  }

  first(): Envelope | undefined {
    return this.items[this.head];
  }

  shift(): void {
    this.bytes -= this.sizes[this.head] as number;
    if (++this.head === this.items.length) this.clear();
    else if (this.head > 4096 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.sizes = this.sizes.slice(this.head);
      this.head = 0;
    }
  }

  clear(): void {
    this.items = [];
    this.sizes = [];
    this.head = 0;
    this.bytes = 0;
  }
}

/** Room before the envelopes for the longest list header (5 bytes) and frame number (9 bytes). */
const PREFIX = 14;
const writer = new Writer();
const prefix = new Writer(4096);

/** A lane that holds this many is sent before the tick ends, so that the peer works while we still do. */
const FULL_ENVELOPES = 64;
/** A last frame of at most this many: there is little to collect, so the first envelope of a tick leaves at once. */
const FEW_ENVELOPES = 2;

/** What waits for one peer. */
export class Lane {
  private readonly control = new Queue();
  private readonly work = new Queue();
  /** Envelopes in the last frame. */
  private last = 0;
  /** F4. Infinite: nobody weighs what is queued. */
  maxBytes = Number.POSITIVE_INFINITY;

  constructor(
    private readonly limit: number,
    public maxFrameBytes: number,
    private readonly unsent: (envelope: Envelope, error: TelosError) => void,
  ) {}

  get length(): number {
    return this.control.length + this.work.length;
  }

  /** Whether to send a frame now, and not at the end of the tick. `first`: nothing was sent to this peer in this tick. */
  urgent(first: boolean): boolean {
    return (first && this.last <= FEW_ENVELOPES) || this.length >= FULL_ENVELOPES;
  }

  /** False: the lane is full, nothing was queued. */
  push(envelope: Envelope): boolean {
    if (this.work.length >= this.limit || this.work.bytes >= this.maxBytes) return false;
    this.work.push(envelope, this.maxBytes === Number.POSITIVE_INFINITY ? 0 : sizeOf(envelope));
    return true;
  }

  pushControl(envelope: Envelope): boolean {
    if (this.control.length >= this.limit) return false;
    this.control.push(envelope, 0);
    return true;
  }

  clear(): void {
    this.control.clear();
    this.work.clear();
  }

  /** The body of the next WORK frame, undefined when nothing waits. `nextNo` is called only if there is one. */
  nextFrame(nextNo: () => number): Buffer | undefined {
    writer.begin(Number.POSITIVE_INFINITY);
    writer.reserve(PREFIX);
    writer.pos += PREFIX;
    const count = this.fill(this.control, 0);
    const total = this.control.length > 0 ? count : this.fill(this.work, count);
    if (total === 0) {
      writer.abandon();
      return undefined;
    }
    this.last = total;
    return headed(total, nextNo());
  }

  private fill(queue: Queue, before: number): number {
    let count = before;
    for (let envelope = queue.first(); envelope !== undefined; envelope = queue.first()) {
      const length = writer.length;
      writer.any(envelope);
      if (writer.length <= this.maxFrameBytes) count++;
      else {
        const bytes = writer.length - length;
        writer.rollback(length);
        if (count > 0) return count;
        this.handBack(envelope, bytes);
      }
      queue.shift();
    }
    return count;
  }

  private handBack(envelope: Envelope, bytes: number): void {
    const error = new TelosError(
      'TOO_LARGE',
      `an envelope of type ${envelope[0]} takes ${bytes} bytes; link.max_frame_bytes is ${this.maxFrameBytes}`,
      { remedy: 'send less at once, or raise link.max_frame_bytes in the configuration' },
    );
    queueMicrotask(() => this.unsent(envelope, error));
  }
}

/** What keeps memory: texts and bytes, wherever they are in it. Nothing is encoded. */
function sizeOf(part: unknown): number {
  if (typeof part === 'string') return part.length;
  if (typeof part !== 'object' || part === null) return 0;
  if (part instanceof Uint8Array) return part.length;
  let bytes = 0;
  for (const inner of (Array.isArray(part) ? part : Object.values(part)) as unknown[]) bytes += sizeOf(inner);
  return bytes;
}

/** Puts the header right before the envelopes, in its shortest form. */
function headed(count: number, no: number): Buffer {
  prefix.rollback(0);
  prefix.arrayHeader(count + 1);
  prefix.number(no);
  const at = PREFIX - prefix.length;
  const frame = writer.finish();
  frame.set(prefix.bytes.subarray(prefix.start, prefix.pos), at);
  return frame.subarray(at);
}
