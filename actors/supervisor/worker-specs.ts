/** The workers of a kernel, as data. Adding one is adding a line here; its script speaks the worker's side of the protocol. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../config/index.js';
import { hostFlags, type WorkerRole } from '../../runtime/process/index.js';
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

const host = (config: Config, id: string, role: 'host' | 'quarantine'): WorkerSpec => ({
  ...common(config),
  id,
  role,
  stage: STAGE.HOST,
  script: HOST_SCRIPT,
  nodeFlags: hostFlags(config.turn.residentBytes),
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
