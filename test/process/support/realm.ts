/** A process under lockdown (test/fixtures/compartment.mjs) that compiles and calls methods one after another. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { defaultConfig } from '../../../config/index.js';
import { hostFlags } from '../../../runtime/process/host-flags.js';

export interface Outcome {
  readonly ok: boolean;
  /** JSON of the answer. */
  readonly value?: string;
  readonly values: string[];
  readonly error?: { readonly code?: string; readonly name?: string; readonly message: string };
  readonly ms: number;
}

export interface CallOptions {
  readonly args?: unknown[];
  readonly limits?: { readonly fuel?: number; readonly runTimeMs?: number; readonly maxGrowBytes?: number };
  readonly calls?: number;
}

const fixture = fileURLToPath(new URL('../../fixtures/compartment.mjs', import.meta.url));

export class Realm {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, { resolve: (o: Outcome) => void; reject: (e: Error) => void }>();
  private counter = 0;

  constructor() {
    this.child = spawn(process.execPath, [...hostFlags(defaultConfig.turn.residentBytes), fixture], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const output = this.child.stdout;
    if (output === null) throw new Error('no output');
    createInterface({ input: output }).on('line', (line) => {
      const answer = JSON.parse(line) as Outcome & { id: number };
      this.waiting.get(answer.id)?.resolve(answer);
      this.waiting.delete(answer.id);
    });
    this.child.on('exit', (code, signal) => {
      for (const { reject } of this.waiting.values()) reject(new Error(`the process died: ${String(code ?? signal)}`));
      this.waiting.clear();
    });
  }

  get alive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Rejects when the process dies of it. A call that never ends is found by the deadline of the test. */
  call(source: string, options: CallOptions = {}): Promise<Outcome> {
    const id = ++this.counter;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.child.stdin?.write(`${JSON.stringify({ id, source, ...options })}\n`);
    });
  }

  stop(): Promise<void> {
    if (!this.alive) return Promise.resolve();
    return new Promise((resolve) => {
      this.child.on('exit', () => resolve());
      this.child.kill('SIGKILL');
    });
  }
}
