/**
 * What every benchmark shares: numbers, the table, child processes that report one line of JSON.
 *
 * A claim is a ratio against a baseline measured in the same run on the same machine; absolute rates stand beside it for the reader.
 * Nothing here asserts a speed: the table says `met` or `not met`, the exit code is 0 either way.
 */
import { spawn } from 'node:child_process';
import { cpus, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';

export interface Row {
  /** What the issue claims, in words. */
  readonly claim: string;
  readonly measured: string;
  readonly baseline: string;
  readonly ratio: number;
  /** How `ratio` has to stand to `bound`; null: shown for information. */
  readonly bound: { readonly at: 'least' | 'most'; readonly value: number } | null;
}

export interface Settings {
  /** Seconds of measuring per figure and round; warm-up is a third of it. */
  readonly seconds: number;
  /** Sizes of the images that are compared, ascending. */
  readonly sizes: readonly number[];
  /** Where generated images are kept between runs. */
  readonly cache: string;
  readonly say: (line: string) => void;
}

/** Each figure is measured so often, with its baseline, one after the other; the median counts. */
export const ROUNDS = 3;

/** The one whose figure is the median. */
export function medianBy<T>(rounds: readonly T[], figure: (round: T) => number): T {
  const sorted = [...rounds].sort((a, b) => figure(a) - figure(b));
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new Error('nothing was measured');
  return middle;
}

export const perSecond = (rate: number): string => `${Math.round(rate).toLocaleString('en')}/s`;
export const milliseconds = (ms: number): string => `${ms.toFixed(2)} ms`;
export const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`;

/** Runs bench/processes/NAME.js with `options` on its standard input, and answers the JSON of its last line. */
export function measure<T>(name: string, options: object): Promise<T> {
  const script = fileURLToPath(new URL(`./processes/${name}.js`, import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(JSON.stringify(options));
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(out.trim().split('\n').at(-1) ?? '') as T);
      else reject(new Error(`${name} ended with ${code ?? 'a signal'}`));
    });
  });
}

function verdict({ ratio, bound }: Row): string {
  if (bound === null) return '';
  const met = bound.at === 'least' ? ratio >= bound.value : ratio <= bound.value;
  return `at ${bound.at} ${bound.value}: ${met ? 'met' : 'not met'}`;
}

export function table(rows: readonly Row[]): string {
  const result = new Table({
    head: ['claim', 'measured', 'baseline', 'ratio', 'asked'],
    style: { head: [], border: [] },
  });
  for (const row of rows) result.push([row.claim, row.measured, row.baseline, row.ratio.toFixed(2), verdict(row)]);
  return result.toString();
}

export function machine(): string {
  const list = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return `${list.length} × ${list[0]?.model.trim() ?? 'unknown processor'}, ${memory} GB, ${type()} ${release()}, Node ${process.versions.node}`;
}
