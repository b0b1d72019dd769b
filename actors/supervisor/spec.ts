/**
 * Supervision is data: what is known about a child before it lives. Adding a worker to TelOS is adding one of these.
 */

/** permanent: always started again. transient: unless it ended well (exit code 0). temporary: never. */
export type ChildKind = 'permanent' | 'transient' | 'temporary';

/**
 * one-for-one: only the child that died is started again. one-for-all: every sibling is stopped and started with it.
 * rest-for-one: those of the same stage that stand after it, and those of later stages, are.
 */
export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one';

export interface ChildSpec {
  /** Unique among its siblings, shown in `telos status`: `kernel`, `host-1`. */
  readonly id: string;
  readonly role: string;
  readonly kind: ChildKind;
  /** A later stage is stopped before an earlier one; children of one stage stop together. */
  readonly stage: number;
  /** Deaths that may be charged to it within `windowMs`; one more, and it is degraded. */
  readonly restarts: number;
  readonly windowMs: number;
  /** The first restart is at once, the second waits this long, each further one twice as long as the one before. */
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
  /** From spawn to ready; past it the child is killed. */
  readonly startMs: number;
  /** From the request to stop to its exit; past it the child is killed. */
  readonly shutdownMs: number;
}

export interface SupervisorSpec {
  readonly strategy: Strategy;
  readonly children: readonly ChildSpec[];
}

/** The first death in a window is free of delay: a worker that exits is restarted at once. */
export function backoffMs(spec: ChildSpec, deathsInWindow: number): number {
  if (deathsInWindow <= 1) return 0;
  return Math.min(spec.backoffMaxMs, spec.backoffFirstMs * 2 ** Math.min(deathsInWindow - 2, 30));
}
