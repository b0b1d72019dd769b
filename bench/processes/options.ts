/** How the processes of bench/ get their options and report: JSON on standard input, one JSON line out. */
import { readFileSync } from 'node:fs';

export function options<T>(): T {
  return JSON.parse(readFileSync(0, 'utf8')) as T;
}

export function report(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

export interface Rate {
  readonly perSecond: number;
  /** Milliseconds of one round trip. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * Keeps `outstanding` operations under way for `seconds`, after a warm-up of a third of it, and counts those that end in that time.
 * `operation(i)` is called with a running number.
 */
export async function sustained(
  operation: (i: number) => Promise<unknown>,
  outstanding: number,
  seconds: number,
): Promise<Rate> {
  const start = performance.now() + (seconds * 1000) / 3;
  const end = start + seconds * 1000;
  const times: number[] = [];
  let done = 0;
  let next = 0;
  const lane = async (): Promise<void> => {
    for (;;) {
      const begun = performance.now();
      if (begun >= end) return;
      await operation(next++);
      const now = performance.now();
      if (now < start || now >= end) continue;
      done++;
      if (done % 16 === 0 || outstanding === 1) times.push(now - begun);
    }
  };
  await Promise.all(Array.from({ length: outstanding }, lane));
  times.sort((a, b) => a - b);
  const at = (q: number): number => times[Math.floor(times.length * q)] ?? NaN;
  return { perSecond: done / seconds, p50: at(0.5), p99: at(0.99) };
}

/** Items of one call of a pass, and calls under way. */
const PASS_BATCH = 256;
const PASS_LANES = 4;

/** Loads each item once, and answers items a second. */
export async function onePass<T>(items: readonly T[], load: (batch: readonly T[]) => Promise<void>): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const from = next;
      next += PASS_BATCH;
      await load(items.slice(from, from + PASS_BATCH));
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: PASS_LANES }, lane));
  return (items.length / (performance.now() - begun)) * 1000;
}
