/**
 * The child's side of child.ts: its life line (stdin) and its reports (fd 3).
 *
 * A child does what its parent says over the line and ends in order when the line closes: the parent is gone. Signals of the terminal are for
 * whoever the user started, so they are ignored here.
 */
import { Socket } from 'node:net';
import { readJsonLines } from './lines.js';

export interface Lifeline {
  /** The first line. Never settles when the line closes before it. */
  readonly configuration: Promise<unknown>;
}

export interface LifelineHandlers {
  /** Every line after the first. */
  line?(value: unknown): void;
  /** The parent is gone. Called once. */
  closed(): void;
}

export function holdLifeline(handlers: LifelineHandlers): Lifeline {
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  keepTalkingHarmless();
  let first: ((value: unknown) => void) | null = null;
  const configuration = new Promise<unknown>((resolve) => (first = resolve));
  readJsonLines(process.stdin, (value) => {
    if (first === null) return handlers.line?.(value);
    first(value);
    first = null;
  });
  let open = true;
  const closed = (): void => {
    if (!open) return;
    open = false;
    handlers.closed();
  };
  for (const event of ['end', 'close', 'error'] as const) process.stdin.once(event, closed);
  return { configuration };
}

/** A log that can't be written (a full disk) must not end the process that writes it. */
function keepTalkingHarmless(): void {
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);
}

/** Reports that a stopped parent does not read are dropped past this many bytes. */
const MAX_WAITING_BYTES = 64 * 1024;

export interface Reports {
  send(value: unknown): void;
  /** Everything sent before is on its way. */
  flushed(): Promise<void>;
}

/** Only for a process whose parent gave it a report channel. */
export function openReports(): Reports {
  const socket = new Socket({ fd: 3, readable: false, writable: true });
  socket.on('error', () => undefined);
  socket.unref();
  return {
    send(value) {
      if (socket.writable && socket.writableLength < MAX_WAITING_BYTES) socket.write(`${JSON.stringify(value)}\n`);
    },
    flushed: () =>
      new Promise((resolve) => {
        if (!socket.writable) resolve();
        else socket.write('', () => resolve());
      }),
  };
}
