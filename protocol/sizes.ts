/**
 * What things take in a frame, at most: known before they are written, so that what is put together fits. Texts that are short are counted at
 * three bytes a character, which is cheaper than to look.
 */
import type { Content, SlotChange } from './envelope.js';

/** Type and length of a text or byte string, or a number with its type. */
const HEADER = 5;
const NUMBER = 9;
const SHORT_TEXT = 64;

export const textBytes = (text: string): number =>
  HEADER + (text.length <= SHORT_TEXT ? text.length * 3 : Buffer.byteLength(text));

export function contentBytes(content: Content): number {
  if (typeof content === 'string') return textBytes(content);
  return content instanceof Uint8Array ? HEADER + content.length : NUMBER;
}

/** [slot, attempt, version, content] */
export const slotBytes = (slot: string, content: Content): number =>
  textBytes(slot) + 2 * NUMBER + contentBytes(content);

/** What an object takes beside its slots. */
export const OBJECT_BYTES = 256;

/** [slot, attempt, version, removed, content] */
export const changeBytes = ([slot, , , , content]: SlotChange): number => slotBytes(slot, content) + 2;

const MOST_ROOM = 64 * 1024;

/** The largest body that surely fits into a frame with all the rest of its envelope. */
export const largestBody = (maxFrameBytes: number): number => maxFrameBytes - Math.min(MOST_ROOM, maxFrameBytes / 8);
