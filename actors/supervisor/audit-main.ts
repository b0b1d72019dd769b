/** Entry of the process that audits an image while its kernel serves it. Ends with its report, or with the kernel. */
import { TelosError } from '../../protocol/index.js';
import { verifyImage, type VerifyOptions } from '../../runtime/journal/index.js';
import { holdLifeline, openReports } from '../../runtime/process/index.js';
import type { AuditAnswer } from './live-audit.js';

const reports = openReports();
const lifeline = holdLifeline({ closed: () => process.exit(0) });
const { imageDir, journal } = (await lifeline.configuration) as { imageDir: string; journal: VerifyOptions };

async function answer(): Promise<AuditAnswer> {
  try {
    return { report: await verifyImage(imageDir, { ...journal, live: true }) };
  } catch (error) {
    return { error: TelosError.from(error).toWire() };
  }
}

reports.send(await answer());
await reports.flushed();
process.exit(0);
