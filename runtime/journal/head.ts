/**
 * Owns: the file `head`, which says how far the journal has reached, and gives each life of the kernel its incarnation.
 *
 *     offset 0 and 4096, one slot each, the rest of the file zero; all numbers big-endian
 *     0 'TLHD'   4 generation:4   8 stamp:8   16 seq:8   24 first:8   32 groups:8   40 incarnation:8   48 chain:32   80 CRC:4 over 0..79
 *
 *   H1  It never says more than what is durable in the journal: a group's slot is written after the group was synced.
 *   H2  Between two syncs only one slot is overwritten; the other holds what was synced last. So a torn write costs nothing.
 *   H3  The slot with the higher stamp counts. It is overwritten in place, so this works on a full disk.
 *   H4  Magic and generation never change place, so every version recognises a newer image.
 */
import { closeSync, fsync, openSync, readFileSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { TelosError, type Seq } from '../../protocol/index.js';
import { errnoOf, fileError, writeFileAtomic } from '../image/index.js';
import type { JournalEnd } from './end.js';
import { GENERATION } from './records.js';

const MAGIC = 'TLHD';
const SLOT_STRIDE = 4096;
const SLOT_BYTES = 84;
const CHAIN_OFFSET = 48;
const CRC_OFFSET = 80;

export interface HeadState extends JournalEnd {
  readonly generation: number;
  readonly incarnation: number;
}

interface Slot extends HeadState {
  readonly stamp: number;
}

function encodeSlot(slot: Slot): Buffer {
  const bytes = Buffer.alloc(SLOT_BYTES);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt32BE(slot.generation, 4);
  bytes.writeBigUInt64BE(BigInt(slot.stamp), 8);
  bytes.writeBigUInt64BE(BigInt(slot.seq), 16);
  bytes.writeBigUInt64BE(BigInt(slot.first), 24);
  bytes.writeBigUInt64BE(BigInt(slot.groups), 32);
  bytes.writeBigUInt64BE(BigInt(slot.incarnation), 40);
  slot.chain.copy(bytes, CHAIN_OFFSET);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, CRC_OFFSET)), CRC_OFFSET);
  return bytes;
}

/** Undefined when the page holds no intact slot. */
function decodeSlot(page: Buffer): Slot | undefined {
  if (page.length < SLOT_BYTES || page.toString('latin1', 0, 4) !== MAGIC) return undefined;
  if (page.readUInt32BE(CRC_OFFSET) !== crc32(page.subarray(0, CRC_OFFSET))) return undefined;
  if (page.subarray(SLOT_BYTES).some((byte) => byte !== 0)) return undefined;
  return {
    generation: page.readUInt32BE(4),
    stamp: Number(page.readBigUInt64BE(8)),
    seq: Number(page.readBigUInt64BE(16)) as Seq,
    first: Number(page.readBigUInt64BE(24)) as Seq,
    groups: Number(page.readBigUInt64BE(32)),
    incarnation: Number(page.readBigUInt64BE(40)),
    chain: Buffer.from(page.subarray(CHAIN_OFFSET, CRC_OFFSET)),
  };
}

const looksNewer = (page: Buffer): boolean =>
  page.length >= 8 && page.toString('latin1', 0, 4) === MAGIC && page.readUInt32BE(4) > GENERATION;

const newer = (path: string, generation: number): TelosError =>
  new TelosError(
    'IMAGE_NEWER',
    `${path} is of generation ${generation}, this TelOS knows generations up to ${GENERATION}`,
  );

export interface HeadContent {
  readonly state: HeadState;
  /** Slots (0, 1) that hold something else than what was written. */
  readonly damaged: number[];
}

interface Slots {
  readonly slots: readonly [Slot | undefined, Slot | undefined];
  readonly current: 0 | 1;
}

function readSlots(path: string): Slots {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw errnoOf(error) !== 'ENOENT'
      ? fileError(error, 'read', path)
      : new TelosError('DAMAGED', `${path} is missing`);
  }
  const pages = [bytes.subarray(0, SLOT_STRIDE), bytes.subarray(SLOT_STRIDE)] as const;
  const slots = [decodeSlot(pages[0]), decodeSlot(pages[1])] as const;
  if (slots[0] === undefined && slots[1] === undefined) {
    if (looksNewer(pages[0]) && looksNewer(pages[1])) throw newer(path, pages[0].readUInt32BE(4));
    throw new TelosError('DAMAGED', `${path}: both slots do not have the content that was written`);
  }
  return { slots, current: (slots[0]?.stamp ?? -1) > (slots[1]?.stamp ?? -1) ? 0 : 1 };
}

/** @throws TelosError DAMAGED when there is no head or neither slot is intact, IMAGE_NEWER */
export function readHead(path: string): HeadContent {
  const { slots, current } = readSlots(path);
  const state = slots[current] as Slot;
  if (state.generation > GENERATION) throw newer(path, state.generation);
  return { state, damaged: [0, 1].filter((index) => slots[index] === undefined) };
}

/** Makes the file with both slots alike but for the stamp; this is what completes a new image. */
export async function createHead(path: string, state: HeadState): Promise<void> {
  const bytes = Buffer.alloc(2 * SLOT_STRIDE);
  encodeSlot({ ...state, stamp: 1 }).copy(bytes, 0);
  encodeSlot({ ...state, stamp: 2 }).copy(bytes, SLOT_STRIDE);
  await writeFileAtomic(path, bytes);
}

/** The head of an image that is open for writing. */
export class HeadFile {
  readonly #fd: number;
  readonly #path: string;
  #state: HeadState;
  #stamp: number;
  /** The slot that is overwritten until the next sync; the other one was synced. */
  #slot: 0 | 1;
  /** Slots whose whole page this life has written: damage beside the slot is healed. */
  readonly #whole = new Set<number>();
  #dirty = false;
  #pending = false;
  #syncing: Promise<void> | null = null;

  /** @throws TelosError as readHead, NO_PERMISSION */
  static async open(path: string): Promise<HeadFile> {
    const { slots, current } = readSlots(path);
    const head = new HeadFile(path, slots[current] as Slot, current);
    head.#dirty = true; // the newest slot may be of a life that was killed before it synced (H2)
    try {
      await head.sync();
    } catch (error) {
      closeSync(head.#fd);
      throw error;
    }
    return head;
  }

  private constructor(path: string, newest: Slot, slot: 0 | 1) {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'r+');
    } catch (error) {
      throw fileError(error, 'open', path);
    }
    this.#state = newest;
    this.#stamp = newest.stamp;
    this.#slot = slot;
  }

  get state(): HeadState {
    return this.#state;
  }

  /** Says how far the journal reaches now. Not synced: `sync` is called from time to time. */
  write(end: JournalEnd): void {
    this.#state = { ...this.#state, ...end };
    if (this.#syncing !== null) this.#pending = true;
    else this.#put();
  }

  #put(): void {
    this.#pending = false;
    this.#dirty = true;
    try {
      const slot = encodeSlot({ ...this.#state, stamp: ++this.#stamp });
      const bytes = this.#whole.has(this.#slot) ? slot : Buffer.concat([slot], SLOT_STRIDE);
      this.#whole.add(this.#slot);
      writeSync(this.#fd, bytes, 0, bytes.length, this.#slot * SLOT_STRIDE);
    } catch (error) {
      throw fileError(error, 'write', this.#path);
    }
  }

  /** Makes what was written durable. While it runs, writes wait for its end (H2). */
  sync(): Promise<void> {
    if (this.#syncing === null && !this.#dirty) return Promise.resolve();
    return (this.#syncing ??= this.#sync());
  }

  async #sync(): Promise<void> {
    this.#dirty = false;
    try {
      await new Promise<void>((resolve, reject) => fsync(this.#fd, (error) => (error ? reject(error) : resolve())));
    } catch (error) {
      this.#dirty = true;
      throw fileError(error, 'sync', this.#path);
    } finally {
      this.#syncing = null;
    }
    this.#slot = this.#slot === 0 ? 1 : 0;
    if (this.#pending) this.#put();
  }

  /** Begins a new life of a process: its incarnation is durable when this resolves. */
  async raiseIncarnation(): Promise<number> {
    const incarnation = this.#state.incarnation + 1;
    this.#state = { ...this.#state, generation: GENERATION, incarnation };
    if (this.#syncing === null) this.#put();
    else this.#pending = true;
    if (this.#pending) await this.#syncing;
    await this.sync();
    return incarnation;
  }

  async close(): Promise<void> {
    try {
      await this.sync();
      await this.sync();
    } finally {
      closeSync(this.#fd);
    }
  }
}
