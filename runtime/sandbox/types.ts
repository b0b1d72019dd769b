/** What goes into a sandbox and what comes out: JSON data in both directions, in the forms of protocol/json.ts. */

/** An answer that a send gets: the first one left over whose target and selector agree. */
export interface Recording {
  /** Name or oid, as the draft writes it or as it stands in the slot. */
  readonly to: string;
  readonly selector: string;
  readonly reply?: unknown;
  readonly error?: Failure;
}

export interface SandboxTask {
  /** One function expression. */
  readonly source: string;
  /** Slots that `self.x` reads: data as JSON. */
  readonly self: Readonly<Record<string, unknown>>;
  readonly args: readonly unknown[];
  readonly recordings: readonly Recording[];
  /** What `Date.now()` answers, ms since 1970. */
  readonly time: number;
  /** Seed of `Math.random()`, a 32-bit integer. */
  readonly seed: number;
}

export interface SandboxLimits {
  /** Running time of the draft in ms, asked for between instructions of QuickJS and at the end. */
  readonly runTimeMs: number;
  /** WebAssembly memory of the thread's QuickJS: the hard bound of all that a draft can hold. At least 16 MiB. */
  readonly memoryBytes: number;
  /** Stack of QuickJS. */
  readonly stackBytes: number;
  /** Characters of the report. */
  readonly reportChars: number;
  /** Entries of each list of effects. */
  readonly effects: number;
}

/** A message that the draft wanted to send. */
export interface TriedSend {
  readonly to: string;
  readonly selector: string;
  readonly args: readonly unknown[];
}

export interface TriedTimer extends TriedSend {
  readonly ms: number;
}

/** What the draft did and would have done. Nothing of it has happened. */
export interface Effects {
  /** Slots by name, as they were left, also those whose value was changed inside; those that were removed are in `removed`. */
  readonly writes: Readonly<Record<string, unknown>>;
  readonly removed: readonly string[];
  readonly reads: readonly string[];
  readonly sends: readonly TriedSend[];
  readonly tells: readonly TriedSend[];
  readonly timers: readonly TriedTimer[];
  /** Slots of objects that it created. */
  readonly creates: readonly Readonly<Record<string, unknown>>[];
  readonly logs: readonly string[];
}

export interface Failure {
  readonly name: string;
  readonly message: string;
}

/**
 * answered: the draft came to its end with `value`. failed: it threw `error`. stalled: it waits for what can't come.
 * refused: it can't be tried here (`error` says why). killed: it would not end or took too much; `error` says which bound.
 */
export type Verdict = 'answered' | 'failed' | 'stalled' | 'refused' | 'killed';

export interface SandboxReport {
  readonly verdict: Verdict;
  readonly value: unknown;
  readonly error: Failure | null;
  readonly effects: Effects;
  /** Time in the thread, from the start of QuickJS to the report. */
  readonly ms: number;
  /** WebAssembly memory at the end. */
  readonly memoryBytes: number;
}
