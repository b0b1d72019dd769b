/** What `telos status` shows: everything that the kernel's process knows about itself and its workers. */
import type { JournalPort } from '../../runtime/journal/index.js';
import type { Kernel } from '../../runtime/kernel/index.js';
import type { KernelLifeConfig } from './kernel-life.js';
import type { WorkerStatus } from './workers.js';

/** Counts per second over the last sample. */
export class Rates {
  #at: number;
  #turns = 0;
  #reads = 0;
  turnsPerSecond = 0;
  readsPerSecond = 0;

  constructor(now: number) {
    this.#at = now;
  }

  sample(now: number, turns: number, reads: number): void {
    const seconds = (now - this.#at) / 1000;
    if (seconds < 0.5) return;
    this.turnsPerSecond = Math.round((turns - this.#turns) / seconds);
    this.readsPerSecond = Math.round((reads - this.#reads) / seconds);
    this.#at = now;
    this.#turns = turns;
    this.#reads = reads;
  }
}

export interface StatusParts {
  readonly settings: KernelLifeConfig;
  readonly endpoint: string;
  readonly kernel: Kernel;
  readonly journal: JournalPort;
  readonly workers: readonly WorkerStatus[];
  readonly rates: Rates;
  readonly stopping: boolean;
  readonly readOnly: boolean;
  readonly startedAt: number;
}

export function describeStatus(parts: StatusParts, now: number): Record<string, unknown> {
  const { settings, kernel, journal, rates } = parts;
  const { core } = kernel;
  const { identity } = journal;
  return {
    image: settings.imageDir,
    endpoint: parts.endpoint,
    seq: core.groups.durableSeq,
    generation: identity.generation,
    imageId: identity.imageId,
    mode: parts.readOnly ? 'read-only: the disk is full' : 'serving',
    uptimeMs: Math.round(now - parts.startedAt),
    processes: processes(parts),
    queues: {
      inFlight: [...core.router.hosts.values()].reduce((sum, { messages }) => sum + messages.size, 0),
      waiting: core.router.waitingCount,
      quarantine: core.router.suspectCount,
      undurable: core.groups.acceptedSeq - core.groups.durableSeq,
    },
    turns: { accepted: core.turnsAccepted, perSecond: rates.turnsPerSecond },
    reads: { answered: core.readsAnswered, perSecond: rates.readsPerSecond },
    sessions: core.sessions.byId.size - 1,
    /** Of these, connected: one that falls silent or leaves is counted no more. */
    clients: core.sessions.connected(),
    objectsHeld: core.state.objects.size,
    journal: { ...journal.stats() },
    models: [],
  };
}

function processes({ settings, journal, workers, stopping }: StatusParts): Record<string, unknown>[] {
  const state = stopping ? 'stopping' : 'running';
  const { rss } = process.memoryUsage();
  return [
    { name: 'guardian', role: 'guardian', pid: settings.guardianPid, incarnation: 0, state: 'running', restarts: 0 },
    {
      name: 'kernel',
      role: 'kernel',
      pid: process.pid,
      incarnation: journal.identity.incarnation,
      state,
      restarts: settings.restarts,
      residentBytes: rss,
    },
    ...workers.map((worker) => ({ ...worker })),
  ];
}
