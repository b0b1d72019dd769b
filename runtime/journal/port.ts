/**
 * The journal's port: an ordered, synced key-value store with a hash chain over commit records. Everything above it (kernel,
 * verify, history) knows only this file; nothing outside an adapter knows RocksDB. One acceptance suite runs on every adapter.
 *
 * Invariants of every adapter:
 *   J1  `append` is atomic and durable: when it resolves, all of the group survives a power cut; when it rejects, either all or
 *       nothing of it is found at the next open, never a part.
 *   J2  groups are appended in order of `firstSeq`, without gaps; at most one append is under way.
 *   J3  every value read back is checked against its CRC; a mismatch is DAMAGED and names the key, never a wrong value.
 *   J4  the chain hash covers every record; a journal that ends before its `head` file says is DAMAGED and not served.
 *   J5  `identity.incarnation` was raised by a synced write before `open` resolved; it is unique among all lives of the image.
 */
import type { Seq } from '../../protocol/index.js';

export interface ImageIdentity {
  readonly imageId: string;
  readonly generation: number;
  /** Incarnation of the kernel that has it open now. */
  readonly incarnation: number;
  /** Last turn in the journal, 0 if none. */
  readonly endSeq: Seq;
  /** SHA-256 chain hash at endSeq. */
  readonly chain: Uint8Array;
}

export type Key = Buffer;
export type Put = readonly [key: Key, value: Uint8Array];

export interface GroupWrite {
  /** Commit record (records.ts) of the turns firstSeq..lastSeq, or null when only keys are written (lastSeq = firstSeq - 1). */
  readonly record: Uint8Array | null;
  readonly firstSeq: Seq;
  readonly lastSeq: Seq;
  readonly puts: readonly Put[];
  readonly deletes: readonly Key[];
}

export interface KeyRange {
  readonly gte?: Key;
  readonly gt?: Key;
  readonly lt?: Key;
  readonly lte?: Key;
  readonly reverse?: boolean;
}

export interface JournalStats {
  readonly appends: number;
  /** Syncs that the store itself counted (for RocksDB the ticker behind 'Cumulative WAL'), or -1 if it can not tell. */
  readonly syncs: number;
  readonly bytes: number;
}

export interface JournalPort {
  /** As it was when the journal was opened. */
  readonly identity: ImageIdentity;
  /** True: there was no room to open it for writing (or only reading was asked for). Every append rejects, nothing is lost. */
  readonly readOnly: boolean;
  /** @throws TelosError DISK_FULL, STORAGE_FAILED, READ_ONLY (opened for reading only); after a rejection the journal must be closed and opened anew. */
  append(group: GroupWrite): Promise<void>;
  /** Values in the order of `keys`, undefined where there is none. @throws TelosError DAMAGED, STORAGE_FAILED */
  getMany(keys: readonly Key[]): Promise<(Buffer | undefined)[]>;
  /** At most `limit` entries of the range, in order. Call again with `gt` the last key for the next page. */
  page(range: KeyRange, limit: number): Promise<(readonly [Key, Buffer])[]>;
  /**
   * Begins the life of a worker process: raises the incarnation in `head` by a synced write and gives the new one. The kernel's own
   * (`identity.incarnation`) was raised by `open`. Works on a full disk, since `head` is overwritten in place.
   */
  raiseIncarnation(): Promise<number>;
  stats(): JournalStats;
  close(): Promise<void>;
}
