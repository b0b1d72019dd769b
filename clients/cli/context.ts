/** What every command shares: where the image is, how to print, and one way to fail. */
import { TelosError, toJson, type ErrorCode } from '../../protocol/index.js';
import { connect, imageDirectory, type Image } from '../library/index.js';
import { errorJson, paintFor, showError, type NameOf, type Paint } from '../terminal/index.js';

export interface CommonOptions {
  readonly image?: string;
  readonly json?: boolean;
}

export class Context {
  readonly dir: string;
  readonly json: boolean;
  readonly paint: Paint;

  constructor(options: CommonOptions) {
    this.dir = imageDirectory(options.image);
    this.json = options.json === true;
    this.paint = paintFor(process.stdout);
  }

  print(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Text for people, data under `--json`. */
  show(text: () => string, data: unknown): void {
    this.print(this.json ? JSON.stringify(toJson(data)) : text());
  }

  /** Something to say beside the answers. */
  note(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  /** Connects, works, and closes whatever happens. */
  async withImage<R>(work: (image: Image) => Promise<R>): Promise<R> {
    const image = await connect({ image: this.dir, agent: `telos pid ${process.pid}` });
    try {
      return await work(image);
    } finally {
      await image.close();
    }
  }
}

/** Oids to names, as far as there are any. An image with too many for one answer goes without. */
export async function namesOf(image: Image): Promise<NameOf> {
  const names = new Map<string, string>();
  try {
    for (const [name, oid] of await image.names()) if (!names.has(oid)) names.set(oid, name);
  } catch (error) {
    if (TelosError.from(error).code !== 'TOO_LARGE') throw error;
  }
  return (oid) => names.get(oid) ?? oid;
}

const OF_SYSTEM: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'NO_PERMISSION',
  EPERM: 'NO_PERMISSION',
  EROFS: 'NO_PERMISSION',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EIO: 'STORAGE_FAILED',
};

/** What went wrong, with a code and a remedy whatever threw it. */
export function known(thrown: unknown): TelosError {
  const cause = thrown instanceof Error && 'code' in thrown ? OF_SYSTEM[String(thrown.code)] : undefined;
  if (cause === undefined || thrown instanceof TelosError) return TelosError.from(thrown);
  return new TelosError(cause, (thrown as Error).message, { cause: thrown });
}

/** Shows the error and sets the exit code: 2 for wrong usage, 1 for everything else. */
export function fail(thrown: unknown, json: boolean): void {
  const error = known(thrown);
  process.exitCode = error.code === 'USAGE' ? 2 : 1;
  if (json) process.stdout.write(`${JSON.stringify(errorJson(error))}\n`);
  else process.stderr.write(`${showError(error, paintFor(process.stderr))}\n`);
}
