/**
 * A thread of the pool: prepared while it waits, one draft, then nothing more. It never answers the pool, which ends it when its word has come
 * over the port.
 */
import type { MessagePort } from 'node:worker_threads';
import type { GuestSetting, GuestTask } from './guest.js';
import { Sandbox } from './sandbox.js';
import type { SandboxLimits } from './types.js';

/** What a thread is told when it starts, as JSON in its environment: the pool's own way would load the pool into each thread. */
const SETTING = 'TELOS_SANDBOX';

export interface ThreadSetting {
  readonly limits: SandboxLimits;
  readonly setting: GuestSetting;
}

export interface ThreadTask {
  readonly task: GuestTask;
  readonly source: string;
  readonly port: MessagePort;
}

const { limits, setting } = JSON.parse(process.env[SETTING] ?? '{}') as ThreadSetting;
const sandbox = await Sandbox.prepare(limits, setting);

export default async function thread({ task, source, port }: ThreadTask): Promise<never> {
  port.postMessage('begun');
  port.postMessage(sandbox.try(task, source));
  return new Promise<never>(() => undefined);
}
