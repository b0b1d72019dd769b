/**
 * Entry of the kernel's process. Beats from the first moment on, so that the guardian sees its event loop turn also while it opens a long
 * journal. What it may do is in kernel-process.ts.
 */
import { TelosError } from '../../protocol/index.js';
import { createLog, holdLifeline, openReports } from '../../runtime/process/index.js';
import { EXIT, type KernelLifeConfig, type KernelOrder } from './kernel-life.js';
import { KernelProcess } from './kernel-process.js';

const reports = openReports();
const log = createLog('kernel');
const beat = (): void => reports.send({ type: 'beat' });
let kernel: KernelProcess | null = null;

function stop(why: string): void {
  if (kernel === null) process.exit(0);
  kernel.stop(why);
}

function crash(error: unknown): void {
  log('error', 'crash', { error });
  reports.send({ type: 'ending', cause: String(error), planned: false });
  process.exit(EXIT.INTERNAL);
}

process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);
process.on('SIGTERM', () => stop('SIGTERM'));

const lifeline = holdLifeline({
  line: (order) => (order as KernelOrder).type === 'stop' && stop('the guardian asked for it'),
  closed: () => stop('the guardian is gone'),
});
beat();
const settings = (await lifeline.configuration) as KernelLifeConfig;
setInterval(beat, settings.config.link.heartbeatIntervalMs);
kernel = new KernelProcess(settings, log, reports);
try {
  await kernel.start();
} catch (error) {
  await kernel.abandon(TelosError.from(error));
}
