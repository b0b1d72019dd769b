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
  /** Lines in, one line of JSON out for each. */
  readonly json?: boolean;
}

/**
 * Who types decides: lines that come from no terminal are answered without a prompt. A terminal whose answers go elsewhere (`| tee`), or are
 * wanted as JSON, has its prompt on standard error.
 */
export async function runRepl({ image, owned = false, until, json = false }: ReplOptions): Promise<void> {
  const imageDir = imageDirectory(image);
  let terminal: Terminal | null = null;
  const { stdin, stdout, stderr } = process;
  const onTerminal = stdin.isTTY && stdout.isTTY && !json;
  const opening = ReplSession.open({
    image: imageDir,
    origin: stdin.isTTY ? ORIGIN.REPL : ORIGIN.PROGRAM,
    onState: (state, why) => terminal?.state(state, why),
    onPart: (part) => terminal?.part(part),
    onHint: (text) => (terminal === null ? process.stderr.write(`${text}\n`) : terminal.hint(text)),
  });
  const session = await (until === undefined ? opening : Promise.race([opening, until.then(() => null)]));
  // The image was stopped before the session had begun: what the kernel was asked is not waited for.
  if (session === null) return void opening.catch(() => undefined);
  try {
    if (onTerminal) {
      const { historyLines } = loadImageConfig(imageDir).repl;
      terminal = new Terminal(session, { imageDir, historyLines, owned, ...(until && { until }) });
      await terminal.run();
    } else {
      const streams = { input: stdin, output: stdout, errors: stderr, json, prompts: stdin.isTTY };
      const lines = runLines(session, streams);
      await (until === undefined ? lines : Promise.race([lines, until]));
    }
  } finally {
    terminal = null;
    await session.close();
  }
}
