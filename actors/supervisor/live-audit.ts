/** The audit of the image that this kernel serves, in a process of its own: it reads for minutes, and from a view of its own. */
import { fileURLToPath } from 'node:url';
import { TelosError, type WireError } from '../../protocol/index.js';
import type { VerifyReport } from '../../runtime/journal/index.js';
import { logPath, NodeChild } from '../../runtime/process/index.js';
import { imagePaths } from '../../runtime/image/index.js';
import type { KernelLifeConfig } from './kernel-life.js';

const SCRIPT = fileURLToPath(new URL('./audit-main.js', import.meta.url));

export type AuditAnswer = { readonly report: VerifyReport } | { readonly error: WireError };

let running: Promise<VerifyReport> | null = null;

/** One at a time: whoever asks meanwhile gets the same report. */
export function auditLive(settings: KernelLifeConfig): Promise<VerifyReport> {
  running ??= audit(settings).finally(() => (running = null));
  return running;
}

function audit({ imageDir, config }: KernelLifeConfig): Promise<VerifyReport> {
  return new Promise((resolve, reject) => {
    const log = logPath(imagePaths(imageDir).logs, 'audit');
    const child = new NodeChild({
      script: SCRIPT,
      args: [imageDir],
      log,
      onReport: (value) => {
        const answer = value as AuditAnswer;
        if ('report' in answer) resolve(answer.report);
        else reject(TelosError.fromWire(answer.error));
      },
      onExit: ({ code, signal }) =>
        reject(
          new TelosError('START_FAILED', `the audit ended with ${String(signal ?? code)}`, { remedy: `see ${log}` }),
        ),
    });
    child.tell({ imageDir, journal: config.journal });
  });
}
