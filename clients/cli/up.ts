/** `telos up` in its three forms, and `telos down`. */
import { loadImageConfig } from '../../config/index.js';
import { TelosError } from '../../protocol/index.js';
import { guardianOf, isAlive, isServed, notServed, readAddress } from '../library/index.js';
import { runRepl } from '../repl/index.js';
import { fail, type Context } from './context.js';
import { OwnGuardian, readyFields, startDetached, STOP_SIGNALS, type UpOptions } from './guardian.js';

export interface UpFlags {
  readonly port?: number;
  readonly hosts?: number;
  readonly detach?: boolean;
  readonly repl?: boolean;
}

export async function up(context: Context, flags: UpFlags): Promise<void> {
  const options: UpOptions = { image: context.dir, port: flags.port, hosts: flags.hosts };
  if (flags.repl === true) return upWithRepl(context, options);
  if (flags.detach !== true) return inForeground(context, options);
  announce(context, await startDetached(options, loadImageConfig(context.dir).client.startMs));
}

/** What the guardian says on stdout; of its lines only the ready line has a form. */
function announce(context: Context, line: string): void {
  context.print(context.json && line.startsWith('telos ready ') ? JSON.stringify(readyFields(line)) : line);
}

/** Until the guardian ends, or somebody asks us to. */
async function inForeground(context: Context, options: UpOptions): Promise<void> {
  const passOn = context.json ? undefined : (text: string): unknown => process.stderr.write(text);
  const guardian = OwnGuardian.start(options, (line) => announce(context, line), passOn);
  const stop = (): void => void guardian.stop();
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  guardian.ready().catch(() => undefined);
  const code = await guardian.exited;
  if (code !== 0 && context.json) fail(guardian.failure(code), true);
  process.exitCode = code;
}

/** A session on the image, which is started for it if nobody serves it yet, and then stopped at its end. */
async function upWithRepl(context: Context, options: UpOptions): Promise<void> {
  if (isServed(context.dir)) return session(context);
  const guardian = OwnGuardian.start(options, (line) => {
    if (line.startsWith('telos ready ')) announce(context, line);
  });
  let interrupted = false;
  const stop = (): void => {
    interrupted = true;
    void guardian.stop();
  };
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  if (!process.stdin.isTTY) process.on('SIGINT', stop);
  await guardian.ready();
  let ended = false;
  const until = guardian.exited.then(() => {
    ended = true;
  });
  let code = 0;
  try {
    await runRepl({ image: context.dir, owned: true, until, json: context.json });
  } finally {
    // An image that has ended before its session did not end as it should, even if it did so in order.
    if (ended && !interrupted) {
      code = 1;
      fail(
        new TelosError('NOT_RUNNING', `the image ${context.dir} was stopped before the session had ended`),
        context.json,
      );
    }
    code = (await guardian.stop()) || code;
  }
  await leave(interrupted ? 130 : code);
}

/** A session on an image that others serve. */
export async function session(context: Context): Promise<void> {
  await runRepl({ image: context.dir, json: context.json });
  await leave(0);
}

/** Ends this process, whatever timers and sockets the user's lines have left open. */
async function leave(code: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => void stream.write('', () => resolve()));
  }
  process.exit(code);
}

const DOWN_MS = 30_000;
const POLL_MS = 25;
/** The kernel answers before it stops anything; past this it will not. */
const ASK_MS = 5000;

/** Ordered stop: by message to the kernel, and by signal to the guardian where no kernel hears it. */
export async function down(context: Context): Promise<void> {
  const { dir } = context;
  if (!isServed(dir)) throw notServed(dir);
  const guardian = guardianOf(dir);
  const pids = [guardian, readAddress(dir)?.pid].filter((pid): pid is number => pid !== undefined);
  const gone = allGone(pids, DOWN_MS);
  const asked = context.withImage((image) => Promise.race([image.query('shutdown', [], ASK_MS), gone]));
  await Promise.race([asked.catch((error: unknown) => stopBySignal(guardian, error)), gone]);
  asked.catch(() => undefined);
  await gone;
  context.show(() => `stopped ${dir}`, { stopped: dir });
}

const processes = (pids: number[]): string => `${pids.length === 1 ? 'process' : 'processes'} ${pids.join(', ')}`;

/** @throws TelosError STOP_FAILED naming those that are left after `ms` */
export async function allGone(pids: number[], ms: number): Promise<void> {
  const end = Date.now() + ms;
  for (let left = pids; left.length > 0; left = left.filter(isAlive)) {
    if (Date.now() > end)
      throw new TelosError('STOP_FAILED', `${processes(left)} did not end within ${ms / 1000} s`, {
        remedy: `end what is left with \`kill -9 ${left.join(' ')}\`; the image is not harmed, the next start goes on from its journal`,
      });
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS);
    });
  }
}

/** A refusal is final; every other error means that the kernel is not there to hear it. */
function stopBySignal(guardian: number | undefined, error: unknown): void {
  const { code } = TelosError.from(error);
  if (code === 'FORBIDDEN' || code === 'UNAUTHORIZED' || guardian === undefined) throw error;
  if (isAlive(guardian)) process.kill(guardian, 'SIGTERM');
}
