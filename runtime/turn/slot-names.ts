/** Which names a slot may have. */
import { isSlotName } from '../../protocol/index.js';
import type { Turn } from './turn.js';

const MAX_LENGTH = 256;
/** `then` would make every reference a promise; the others are JavaScript's own. */
const RESERVED = new Set(['then', 'constructor', '__proto__', 'prototype']);

/** @throws BAD_NAME */
export function checkSlotName(turn: Turn, slot: unknown): asserts slot is string {
  const shown = typeof slot === 'string' ? JSON.stringify(slot.slice(0, 80)) : typeof slot;
  if (typeof slot !== 'string' || slot.length > MAX_LENGTH || !isSlotName(slot))
    throw turn.failure('BAD_NAME', `${shown} is no name for a slot`);
  if (RESERVED.has(slot)) throw turn.failure('BAD_NAME', `${shown} is reserved and can not name a slot`);
}
