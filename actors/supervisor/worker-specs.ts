/** The workers of a kernel, as data. Adding one is adding a line here; its script speaks the worker's side of the protocol. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/index.js';
import type { WorkerRole } from '../../runtime/process/index.js';
import type { ChildSpec } from './spec.js';

export interface WorkerSpec extends ChildSpec {
  readonly role: WorkerRole;
  readonly script: string;
  readonly nodeFlags: readonly string[];
  /** Resident memory past which it is killed; Infinity: not watched. */
  readonly residentBytes: number;
}

const HOST_SCRIPT = fileURLToPath(new URL('../../runtime/host/host-main.js', import.meta.url));
/** Services end after the hosts, whose last turns may still need them. */
const STAGE = { SERVICE: 1, HOST: 2 } as const;

export const QUARANTINE = 'quarantine';

const common = ({ supervisor }: Config): Omit<ChildSpec, 'id' | 'role' | 'stage'> => ({
  kind: 'permanent',
  restarts: supervisor.restarts,
  windowMs: supervisor.restartWindowMs,
  backoffFirstMs: supervisor.backoffFirstMs,
  backoffMaxMs: supervisor.backoffMaxMs,
  startMs: supervisor.startMs,
  shutdownMs: supervisor.shutdownMs,
});

const MiB = 1024 * 1024;

/**
 * A regular expression that backtracks without end is handed to V8's linear engine; recursion without end meets V8's limit before the
 * system's; the heap ends before the resident bound does.
 */
const hostFlags = ({ turn }: Config): string[] => [
  '--enable-experimental-regexp-engine-on-excessive-backtracks',
  '--stack-size=900',
  // Turns on their way die young, but not before a young generation of the default size is full: then each is copied, and marked later.
  '--max-semi-space-size=64',
  `--max-old-space-size=${Math.max(64, Math.floor((turn.residentBytes * 0.75) / MiB))}`,
];

const host = (config: Config, id: string, role: 'host' | 'quarantine'): WorkerSpec => ({
  ...common(config),
  id,
  role,
  stage: STAGE.HOST,
  script: HOST_SCRIPT,
  nodeFlags: hostFlags(config),
  residentBytes: config.turn.residentBytes,
});

export const quarantineSpec = (config: Config): WorkerSpec => host(config, QUARANTINE, 'quarantine');

/** All that live as long as the kernel. */
export function workerSpecs(config: Config): WorkerSpec[] {
  const { hosts, services } = config.supervisor;
  const workers = Array.from({ length: hosts }, (_, i) => host(config, `host-${i + 1}`, 'host'));
  for (const { role, module } of services) {
    workers.push({
      ...common(config),
      id: role,
      role,
      stage: STAGE.SERVICE,
      script: resolve(module),
      nodeFlags: [],
      residentBytes: Infinity,
    });
  }
  return workers;
}
