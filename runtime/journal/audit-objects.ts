/**
 * Replays all turns and compares the objects with their snapshots and histories. In parts, each of the objects whose hash falls to it, so
 * that memory is bounded by the part and not by the image; each part reads the records again.
 */
import { setImmediate as nextTick } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import type { CommitBody, Oid } from '../../protocol/index.js';
import { historyOf, rangeOf, textOf } from './keys.js';
import type { Key } from './port.js';
import { decodeRecord, type GroupRecord, type HistoryRecord, type ObjectRecord, type TurnRecord } from './records.js';
import { applyTurnTo, blankObject, bodyOf, difference, objectFrom, touchedBy, type ReplayedObject } from './replay.js';
import type { Database } from './rocksdb.js';
import { describeKey, openValue } from './seal.js';
import type { Report } from './verify.js';

/** Bytes of journal for each part. */
const PART_BYTES = 256 * 1024 * 1024;
const PAGE_ROWS = 500;

export interface AuditOptions {
  readonly bytes: number;
  /** Turns before it are in the snapshots. */
  readonly mark: number;
  readonly report: Report;
  readonly onTurns: (done: number) => void;
}

interface Audited {
  replayed: ReplayedObject;
  /** Bytes of the snapshot until it was compared. */
  snapshot: Buffer | null;
  snapshotSeq: number;
  readonly touched: number[];
  readonly history: number[];
}

const newAudited = (): Audited => ({
  replayed: blankObject(),
  snapshot: null,
  snapshotSeq: 0,
  touched: [],
  history: [],
});

export async function auditObjects(db: Database, options: AuditOptions): Promise<void> {
  const parts = Math.max(1, Math.ceil(options.bytes / PART_BYTES));
  for (let part = 0; part < parts; part++) await new PartAudit(db, options, part, parts).run();
}

/** A wrong CRC was reported by the first reading. */
function valueIfIntact(key: Key, stored: Buffer): Buffer | undefined {
  try {
    return openValue(key, stored);
  } catch {
    return undefined;
  }
}

class PartAudit {
  readonly #objects = new Map<Oid, Audited>();

  constructor(
    private readonly db: Database,
    private readonly options: AuditOptions,
    private readonly part: number,
    private readonly parts: number,
  ) {}

  async run(): Promise<void> {
    await this.#each('o', (key, value) => this.#snapshot(key, value));
    await this.#each('x', (key, value) => this.#history(key, value));
    await this.#each('j', (key, value) => this.#record(key, value));
    for (const [oid, object] of this.#objects) this.#finish(oid, object);
  }

  async #each(letter: string, step: (key: Key, value: Buffer) => void): Promise<void> {
    const { gte, lt } = rangeOf(letter);
    let range: { gte?: Key; gt?: Key; lt: Key } = { gte, lt };
    for (;;) {
      const rows = await this.db.page(range, PAGE_ROWS);
      for (const [key, stored] of rows) this.#row(key, stored, step);
      const last = rows[rows.length - 1];
      if (last === undefined) return;
      range = { gt: last[0], lt };
      await nextTick();
    }
  }

  #row(key: Key, stored: Buffer, step: (key: Key, value: Buffer) => void): void {
    const value = valueIfIntact(key, stored);
    if (value === undefined) return;
    try {
      step(key, value);
    } catch (error) {
      this.options.report(describeKey(key), error instanceof Error ? error.message : String(error));
    }
  }

  #mine(oid: Oid): boolean {
    return this.parts === 1 || crc32(oid) % this.parts === this.part;
  }

  #object(oid: Oid): Audited {
    let object = this.#objects.get(oid);
    if (object === undefined) this.#objects.set(oid, (object = newAudited()));
    return object;
  }

  #snapshot(key: Key, value: Buffer): void {
    const oid = textOf(key) as Oid;
    if (!this.#mine(oid)) return;
    const object = this.#object(oid);
    object.snapshot = value;
    object.snapshotSeq = decodeRecord<ObjectRecord>(value, describeKey(key))[0];
  }

  #history(key: Key, value: Buffer): void {
    const [oid, upTo] = historyOf(key);
    if (!this.#mine(oid as Oid)) return;
    const { history } = this.#object(oid as Oid);
    for (const seq of decodeRecord<HistoryRecord>(value, describeKey(key))) {
      if (seq > upTo || seq <= (history.at(-1) ?? 0))
        this.options.report(describeKey(key), `it names turn ${seq} out of order`);
      history.push(seq);
    }
  }

  #record(key: Key, value: Buffer): void {
    const [, first, , turns] = decodeRecord<GroupRecord>(value, describeKey(key));
    turns.forEach((turn, i) => this.#turn(turn, first + i));
    this.options.onTurns(first + turns.length - 1);
  }

  #turn(turn: TurnRecord, seq: number): void {
    const body = bodyOf(turn);
    for (const oid of touchedBy(turn, body)) {
      if (!this.#mine(oid)) continue;
      const object = this.#object(oid);
      if (object.snapshot !== null && seq > object.snapshotSeq) this.#compare(oid, object);
      this.#apply(object, oid, turn, body, seq);
    }
  }

  #apply(object: Audited, oid: Oid, turn: TurnRecord, body: CommitBody, seq: number): void {
    object.touched.push(seq);
    const seen = new Set<string>();
    for (const [written, slot, attempt, version] of turn[10]) {
      if (written !== oid || seen.has(slot)) continue;
      seen.add(slot);
      const old = object.replayed.slots.get(slot);
      if ((old?.attempt ?? 0) !== attempt || (old?.version ?? 0) !== version) {
        this.options.report(
          `turn ${seq}`,
          `it says that ${oid}.${slot} had version ${version} before; the turns before it made version ${old?.version ?? 0}`,
        );
      }
    }
    try {
      applyTurnTo(object.replayed, oid, turn, body);
    } catch (error) {
      this.options.report(`turn ${seq}`, `its writes to ${oid} can not be applied: ${String(error)}`);
    }
  }

  #compare(oid: Oid, object: Audited): void {
    if (object.snapshot === null) return;
    const place = `object ${oid}`;
    const snapshot = objectFrom(decodeRecord<ObjectRecord>(object.snapshot, place));
    object.snapshot = null;
    const found = difference(snapshot, object.replayed);
    if (found !== undefined)
      this.options.report(place, `its snapshot of turn ${object.snapshotSeq} is not what the turns made: ${found}`);
  }

  #finish(oid: Oid, object: Audited): void {
    const { report, mark } = this.options;
    this.#compare(oid, object);
    const last = object.touched.at(-1);
    if (last === undefined) return report(`object ${oid}`, 'no turn made it');
    const missing = object.touched.find((seq) => seq > object.snapshotSeq && seq < mark);
    if (missing !== undefined)
      report(`object ${oid}`, `turn ${missing} is not in its snapshot, though the replay begins at ${mark}`);
    const written = object.touched.filter((seq) => seq <= object.snapshotSeq);
    const wrong = written.findIndex((seq, i) => object.history[i] !== seq);
    if (wrong >= 0 || object.history.length !== written.length) {
      report(
        `history of ${oid}`,
        `it says ${object.history.join(', ') || 'nothing'}; the turns that wrote it up to ${object.snapshotSeq} are ${written.join(', ') || 'none'}`,
      );
    }
  }
}
