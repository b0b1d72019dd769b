/** Opens a session on an image: on a terminal, or on the lines of standard input where that is none. */
import { loadImageConfig } from '../../config/index.js';
import { ORIGIN } from '../../protocol/index.js';
import { imageDirectory } from '../library/index.js';
import { runLines } from './lines.js';
import { ReplSession } from './session.js';
import { Terminal } from './terminal.js';

export interface ReplOptions {
  readonly image?: string;
  /** This process has started the image and will stop it. */
  readonly owned?: boolean;
  /** Settles when the image ends without being asked. */
  readonly until?: Promise<unknown>;
}

export async function runRepl({ image, owned = false, until }: ReplOptions): Promise<void> {
  const imageDir = imageDirectory(image);
  let terminal: Terminal | null = null;
  const onTerminal = process.stdin.isTTY && process.stdout.isTTY;
  const session = await ReplSession.open({
    image: imageDir,
    origin: onTerminal ? ORIGIN.REPL : ORIGIN.PROGRAM,
    onState: (state, why) => terminal?.state(state, why),
    onPart: (part) => terminal?.part(part),
  });
  try {
    if (onTerminal) {
      const { historyLines } = loadImageConfig(imageDir).repl;
      terminal = new Terminal(session, { imageDir, historyLines, owned, ...(until && { until }) });
      await terminal.run();
    } else {
      const lines = runLines(session, { input: process.stdin, output: process.stdout, errors: process.stderr });
      await (until === undefined ? lines : Promise.race([lines, until]));
    }
  } finally {
    terminal = null;
    await session.close();
  }
}
