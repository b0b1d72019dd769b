/** Arguments on their way to a receiver: as they came over the wire, or as another frame carries them. */
import { decodeArgs, encodeArgs, type Bytes } from '../../protocol/index.js';
import { plain, Ref, type Carried } from './carried.js';

export interface Receiver {
  /** A fresh, mutable value of the receiver's own. */
  receive(carried: Carried): unknown;
  /** For a reference (or, from a request, a name) inside a value. */
  makeRef(id: string): unknown;
}

export interface ArgList {
  readonly count: number;
  /** A fresh list. */
  forMethod(receiver: Receiver): unknown[];
  /** For the runtime's own code: plain data with `Ref`s in it. */
  plain(resolve: (id: string) => string): unknown[];
}

export class WireArgs implements ArgList {
  constructor(private readonly bytes: Bytes) {}

  get count(): number {
    const first = this.bytes[0] as number;
    return first >= 0x90 && first <= 0x9f ? first & 0x0f : decodeArgs(this.bytes, { makeRef: () => null }).length;
  }

  forMethod(receiver: Receiver): unknown[] {
    return decodeArgs(this.bytes, receiver);
  }

  plain(resolve: (id: string) => string): unknown[] {
    return decodeArgs(this.bytes, { makeRef: (id) => new Ref(resolve(id)) });
  }
}

export class SentArgs implements ArgList {
  constructor(private readonly carried: readonly Carried[]) {}

  get count(): number {
    return this.carried.length;
  }

  forMethod(receiver: Receiver): unknown[] {
    return this.carried.map((value) => (typeof value === 'object' && value !== null ? receiver.receive(value) : value));
  }

  plain(): unknown[] {
    return this.carried.map(plain);
  }
}

const refs = (value: object): string | undefined => (value instanceof Ref ? value.id : undefined);

/** For plain values with `Ref`s in them. @throws TelosError BAD_VALUE, TOO_LARGE */
export const encodePlainArgs = (values: readonly unknown[], place: string, maxBytes: number, maxDepth: number): Bytes =>
  new Uint8Array(encodeArgs(values, { place, maxBytes, maxDepth, refOf: refs }));
