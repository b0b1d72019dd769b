/**
 * Offline audit of an image: `node dist/ops/verify.js --image DIR [--json]`. It works without a running kernel, and needs that none runs.
 * Exit code 0: all is well. 1: something is not, the places are named. 2: wrong usage.
 */
import { parseArgs } from 'node:util';
import { loadImageConfig } from '../config/index.js';
import { TelosError } from '../protocol/index.js';
import { verifyImage, type VerifyReport } from '../runtime/journal/index.js';

const USAGE = 'usage: verify --image DIR [--json]';
const PROGRESS_INTERVAL_MS = 200;

interface Wanted {
  readonly image: string;
  readonly json: boolean;
}

function readArguments(): Wanted | undefined {
  try {
    const { values } = parseArgs({ options: { image: { type: 'string' }, json: { type: 'boolean', default: false } } });
    const image = values.image ?? process.env['TELOS_IMAGE'] ?? './image';
    return image === '' ? undefined : { image, json: values.json };
  } catch {
    return undefined;
  }
}

/** A line on the terminal that is written over and over. */
function progressLine(): (phase: string, done: number, total: number) => void {
  let last = 0;
  return (phase, done, total) => {
    const now = Date.now();
    if (!process.stderr.isTTY || now - last < PROGRESS_INTERVAL_MS) return;
    last = now;
    process.stderr.write(`\r\x1b[K${phase} ${done}${total > 0 ? ` of ${total}` : ''}`);
  };
}

function show(report: VerifyReport, json: boolean): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  if (json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  for (const { place, message } of report.problems) process.stdout.write(`${place}: ${message}\n`);
  const counts = `${report.turns} turns, ${report.objects} objects, ${report.keys} keys`;
  process.stdout.write(report.ok ? `ok: ${counts}\n` : `DAMAGED: ${report.problems.length} problems in ${counts}\n`);
}

function fail(error: TelosError, json: boolean): void {
  const [code, name, message, remedy] = error.toWire();
  if (json) process.stdout.write(`${JSON.stringify({ ok: false, error: { code, name, message, remedy } })}\n`);
  else process.stderr.write(`${error.toDisplay()}\n  ${remedy}\n`);
}

async function main(): Promise<number> {
  const wanted = readArguments();
  if (wanted === undefined) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  try {
    const { journal } = loadImageConfig(wanted.image);
    const report = await verifyImage(wanted.image, { ...journal, onProgress: progressLine() });
    show(report, wanted.json);
    return report.ok ? 0 : 1;
  } catch (error) {
    fail(TelosError.from(error), wanted.json);
    return 1;
  }
}

process.exitCode = await main();
