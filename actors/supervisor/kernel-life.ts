/** What guardian and kernel say to each other: JSON lines on the kernel's stdin, and on its fd 3. */
import type { Config } from '../../config/index.js';
import type { WireError } from '../../protocol/index.js';

/** First line on the kernel's stdin. */
export interface KernelLifeConfig {
  readonly imageDir: string;
  /** To listen on; 0: any free one. The same again after a restart, so that clients find it. */
  readonly port: number;
  readonly config: Config;
  readonly guardianPid: number;
  /** How often the guardian has started the kernel again. */
  readonly restarts: number;
}

/** Every later line. */
export interface KernelOrder {
  readonly type: 'stop';
}

export type KernelReport =
  /** Its event loop turns. */
  | { readonly type: 'beat' }
  /** It has recovered and listens; its hosts are coming. */
  | { readonly type: 'open' }
  /** It serves. */
  | { readonly type: 'ready'; readonly endpoint: string; readonly port: number }
  /** It can't serve, and ends. */
  | { readonly type: 'failed'; readonly error: WireError }
  /** It ends to be started anew. `planned`: not a fault, there is room on the disk again. */
  | { readonly type: 'ending'; readonly cause: string; readonly planned: boolean };

/** Of the kernel process. 0: stopped in order. */
export const EXIT = { FAILED: 1, INTERNAL: 70, REOPEN: 75 } as const;

const REPORTS: ReadonlySet<unknown> = new Set(['beat', 'open', 'ready', 'failed', 'ending']);

export const isReport = (value: unknown): value is KernelReport =>
  typeof value === 'object' && value !== null && REPORTS.has((value as { type?: unknown }).type);
