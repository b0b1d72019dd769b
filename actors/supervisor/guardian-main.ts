/**
 * The process that the user starts (`telos up` runs it): the guardian of one image.
 *
 *     node guardian-main.js --image DIR [--port N] [--hosts N] [--lifeline]
 *
 * `--lifeline`: standard input is a pipe from whoever started it; when that closes, everything stops in order. So it does on SIGINT, SIGTERM
 * and SIGHUP; a second signal, a second later, leaves nobody time. Prints one line on standard output when the image is served;
 * errors go to standard error as `CODE: message` and the remedy. Exit codes: 0 stopped, 1 failed, 2 wrong usage.
 */
import { parseArgs } from 'node:util';
import { loadImageConfig, type Config } from '../../config/index.js';
import { TelosError } from '../../protocol/index.js';
import { imagePaths } from '../../runtime/image/index.js';
import { Guardian } from './guardian.js';
import { readyLine } from './ready-line.js';

const IMPATIENCE_MS = 1000;

interface Options {
  readonly image: string;
  readonly port: number;
  readonly hosts: number | undefined;
  readonly lifeline: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      image: { type: 'string' },
      port: { type: 'string' },
      hosts: { type: 'string' },
      lifeline: { type: 'boolean' },
    },
  });
  const image = values.image ?? (process.env['TELOS_IMAGE'] || 'image');
  const hosts = values.hosts === undefined ? undefined : whole('--hosts', values.hosts, 1, 30);
  return {
    image,
    port: values.port === undefined ? 0 : whole('--port', values.port, 0, 65_535),
    hosts,
    lifeline: values.lifeline === true,
  };
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new TelosError('USAGE', `${name} ${JSON.stringify(text)} is no whole number from ${min} to ${max}`);
}

function withHosts(config: Config, hosts: number | undefined): Config {
  return hosts === undefined ? config : { ...config, supervisor: { ...config.supervisor, hosts } };
}

/** All that may stop it. */
function listen(guardian: Guardian, lifeline: boolean): void {
  let firstSignal: number | null = null;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const now = performance.now();
      if (firstSignal !== null && now - firstSignal > IMPATIENCE_MS) guardian.killAll();
      firstSignal ??= now;
      guardian.stop(signal);
    });
  }
  if (!lifeline) return;
  for (const event of ['end', 'close', 'error'] as const)
    process.stdin.once(event, () => guardian.stop('the life line closed'));
  process.stdin.resume();
}

function explain(error: unknown): void {
  const { code, remedy, ...rest } = TelosError.from(error);
  const shown = TelosError.from(error).toDisplay();
  process.stderr.write(
    `${shown}\n  ${remedy}\n${code === 'INTERNAL' && rest.stack !== undefined ? `${rest.stack}\n` : ''}`,
  );
}

async function main(): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    const options = readOptions();
    const { root } = imagePaths(options.image);
    const config = withHosts(loadImageConfig(root), options.hosts);
    const ready = (endpoint: string): void => void process.stdout.write(`${readyLine(root, endpoint, process.pid)}\n`);
    await Guardian.run({ imageDir: options.image, port: options.port, config, ready }, (guardian) =>
      listen(guardian, options.lifeline),
    );
    return 0;
  } catch (error) {
    const usage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
    explain(usage ? new TelosError('USAGE', error.message) : error);
    return usage || (error instanceof TelosError && error.code === 'USAGE') ? 2 : 1;
  }
}

process.exitCode = await main();
process.stdin.destroy();
