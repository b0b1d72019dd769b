/** A list that is answered in parts: as much of it as may leave in one frame. Who wants more asks for what comes after. */
import { largestBody, pack } from '../../protocol/index.js';
import type { Config } from '../../config/index.js';

/** A part takes at most this share of a frame, so that other answers fit beside it; one entry alone may take more. */
const SHARE = 0.5;

export class AnswerPage<Entry> {
  readonly entries: Entry[] = [];
  #left: number;

  /** `most`: entries. */
  constructor(
    private readonly most: number,
    room: number,
  ) {
    this.#left = room;
  }

  get full(): boolean {
    return this.entries.length >= this.most || this.#left <= 0;
  }

  /** False: it did not fit, and no more is wanted. */
  add(entry: Entry): boolean {
    if (this.full) return false;
    this.#left -= pack(entry).length;
    if (this.#left < 0 && this.entries.length > 0) return false;
    this.entries.push(entry);
    return true;
  }
}

/** Bytes of entries that an answer may hold. */
export const roomFor = ({ link }: Config): number => largestBody(link.maxFrameBytes) * SHARE;
