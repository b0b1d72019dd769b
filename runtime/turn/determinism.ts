/**
 * Chance and fresh ids as a function of the message alone, so that a retry sees what the first try saw.
 * Chance: sfc32 (Chris Doty-Humphrey, PractRand), seeded from session and number by splitmix32.
 */
import type { Oid, SessionId } from '../../protocol/index.js';

const TWO_32 = 2 ** 32;

function splitmix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

/** Numbers in [0, 1), 32 bits each. */
export function seededRandom(session: number, no: number): () => number {
  const mix = splitmix32(
    (session % TWO_32) ^ Math.imul(Math.floor(session / TWO_32), 0x85ebca6b) ^ Math.imul(no, 0xc2b2ae35),
  );
  let [a, b, c, d] = [mix(), mix(), mix() ^ Math.floor(no / TWO_32), 1];
  const next = (): number => {
    const sum = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / TWO_32;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** Ids of what a message creates: the same in every try, and in no other message. */
export class IdSource {
  #counter = 0;
  readonly #stem: string;

  constructor(session: SessionId, no: number) {
    this.#stem = `${session.toString(36)}.${no.toString(36)}.`;
  }

  /** Letters, digits and dots. */
  next(): string {
    return this.#stem + (this.#counter++).toString(36);
  }

  nextOid(): Oid {
    return `#${this.next()}` as Oid;
  }
}
