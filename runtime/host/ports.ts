/** What a host needs from outside. */
import type { FromHost } from '../../protocol/index.js';
import type { CompiledMethod } from '../compartment/index.js';

export interface HostPorts {
  send(envelope: FromHost): void;
  /** @throws TelosError BAD_SOURCE */
  compile(source: string): CompiledMethod;
  /** Monotonic, ms. */
  clock(): number;
  /** From 0 to 1. */
  random(): number;
  /** In a later turn of the event loop. */
  defer(task: () => void): void;
  /** When all microtasks have run, before anything else does. */
  afterMicrotasks(task: () => void): void;
  /** In `ms` milliseconds. */
  later(ms: number, task: () => void): void;
  log(level: 'info' | 'warn' | 'error', event: string, data: Record<string, unknown>): void;
}
