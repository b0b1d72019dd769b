/**
 * Questions to the kernel itself, one method each; protocol/README.md describes the answers. Slot contents come in their wire form
 * (`{"$ref": oid}`, `{"$method": source, …}`, `{"$primitive": name}`), as they stand in the journal.
 */
import type { QueryOp } from '../../protocol/index.js';
import { targetFor, type Ref } from './handle.js';

export interface ProcessInfo {
  readonly name: string;
  readonly role: string;
  readonly pid: number;
  readonly incarnation: number;
  readonly state: string;
  readonly restarts: number;
  readonly residentBytes?: number;
}

/** At least these; what else the kernel tells is there too. */
export interface StatusInfo {
  readonly image: string;
  readonly endpoint: string;
  readonly seq: number;
  readonly generation: number;
  readonly processes: ProcessInfo[];
  readonly [more: string]: unknown;
}

export interface SlotInfo {
  readonly slot: string;
  readonly version: number;
  readonly attempt: number;
  readonly content: unknown;
}

export interface ObjectInfo {
  readonly oid: string;
  readonly names: string[];
  readonly slots: SlotInfo[];
  readonly parents: SlotInfo[];
}

export interface ErrorInfo {
  readonly code: string;
  readonly name: string;
  readonly message: string;
  readonly remedy: string;
}

/** One turn, as journal and history tell it. `folded`: only its number is left. */
export interface TurnInfo {
  readonly seq: number;
  readonly folded?: true;
  readonly time: number;
  readonly session: number;
  readonly no: number;
  readonly sender: string;
  readonly target: string;
  readonly selector: string;
  readonly trace: string;
  readonly writes: { oid: string; slots: string[] }[];
  readonly creates: string[];
  readonly names: string[];
  readonly outbox: number;
  readonly timers: number;
  readonly error: ErrorInfo | null;
}

export interface DeadLetterInfo {
  readonly id: number;
  readonly target: string;
  readonly selector: string;
  readonly cause: number;
  readonly sender: string;
  readonly time: number;
  readonly error: ErrorInfo;
  readonly history: [time: number, event: string][];
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly turns: number;
  readonly objects: number;
  readonly problems: { place: string; message: string }[];
}

/** A whole image is read through: this may take its time. */
const VERIFY_MS = 3_600_000;

/**
 * A list whose answers are each as long as a frame allows: asked on after its last entry until there are no more, or `most`.
 */
async function inParts<Entry>(
  most: number,
  ask: (last: Entry | undefined, left: number) => Promise<unknown>,
): Promise<Entry[]> {
  const all: Entry[] = [];
  while (all.length < most) {
    const part = (await ask(all.at(-1), most - all.length)) as Entry[];
    if (part.length === 0) break;
    for (const entry of part) all.push(entry);
  }
  return all;
}

export abstract class Questions {
  abstract query(op: QueryOp, args: unknown[], deadlineMs?: number): Promise<unknown>;

  status(): Promise<StatusInfo> {
    return this.query('status', []) as Promise<StatusInfo>;
  }

  /** All names of the image, in order, with the oids that they stand for. */
  names(): Promise<[name: string, oid: string][]> {
    const after = (last: [string, string] | undefined): Promise<unknown> => this.query('names', [last?.[0] ?? null]);
    return inParts<[string, string]>(Infinity, after);
  }

  async inspect(x: Ref): Promise<ObjectInfo> {
    const target = targetFor(x);
    const whole = (await this.query('inspect', [target])) as ObjectInfo & { more: boolean };
    for (let { more } = whole; more;) {
      const part = (await this.query('inspect', [target, whole.slots.at(-1)?.slot])) as typeof whole;
      whole.slots.push(...part.slots);
      whole.parents.push(...part.parents);
      more = part.more;
    }
    const { more: _all, ...info } = whole;
    return info;
  }

  /** Turns that wrote the object, latest first. */
  history(x: Ref, limit = 100): Promise<TurnInfo[]> {
    const target = targetFor(x);
    return inParts<TurnInfo>(limit, (last, left) => this.query('history', [target, left, last?.seq ?? 0]));
  }

  /** Durable turns in order, from the turn `from`; the last `limit` ones when absent. */
  journal(from = 0, limit = 100): Promise<TurnInfo[]> {
    const start = (last: TurnInfo | undefined): number => (last === undefined ? from : last.seq + 1);
    return inParts<TurnInfo>(limit, (last, left) => this.query('journal', [start(last), left]));
  }

  /** Restores what the turn had changed, as a new turn. @throws TelosError UNKNOWN_TURN, UNDO_REFUSED naming the later turns */
  undo(seq: number): Promise<unknown> {
    return this.query('undo', [seq]);
  }

  deadLetters(): Promise<DeadLetterInfo[]> {
    return inParts<DeadLetterInfo>(Infinity, (last) => this.query('deadLetters', [last?.id ?? null]));
  }

  /** Sends the dead letter again, under a new id. */
  retryDeadLetter(id: number): Promise<unknown> {
    return this.query('deadLetterRetry', [id]);
  }

  dropDeadLetter(id: number): Promise<unknown> {
    return this.query('deadLetterDrop', [id]);
  }

  /** Audits the running image: chain, snapshots, names, outbox. */
  verify(): Promise<VerifyReport> {
    return this.query('verify', [], VERIFY_MS) as Promise<VerifyReport>;
  }

  /** Asks the kernel to stop everything in order. */
  shutdown(): Promise<unknown> {
    return this.query('shutdown', []);
  }
}
