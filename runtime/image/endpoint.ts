/** `run/endpoint.json`: where the kernel of this image listens. */
import { rmSync } from 'node:fs';
import { readJsonObject, writeFileAtomic } from './files.js';
import { imagePaths, placeOf } from './paths.js';
import { isRunning, myStartTime } from './process-times.js';

export interface Endpoint {
  /** `tcp://127.0.0.1:PORT` */
  readonly endpoint: string;
  /** Public CURVE key of the server, '' for plain text. */
  readonly serverKey: string;
  readonly pid: number;
  readonly startTime: string;
}

/** Publishes where this process listens. */
export async function writeEndpoint(dir: string, endpoint: string, serverKey: string): Promise<void> {
  const paths = imagePaths(dir);
  const content = { endpoint, serverKey, pid: process.pid, startTime: await myStartTime(), place: placeOf(dir) };
  await writeFileAtomic(paths.endpoint, `${JSON.stringify(content)}\n`, { mode: 0o644, reserve: paths.reserve });
}

/** What was published last; undefined when nothing was, or only in the image that this one is a copy of. */
export async function readEndpoint(dir: string): Promise<Endpoint | undefined> {
  const content = await readJsonObject(imagePaths(dir).endpoint);
  if (content === undefined || content['place'] !== placeOf(dir)) return undefined;
  const { endpoint, serverKey, pid, startTime } = content;
  if (
    typeof endpoint !== 'string' ||
    typeof serverKey !== 'string' ||
    typeof pid !== 'number' ||
    typeof startTime !== 'string'
  ) {
    return undefined;
  }
  return { endpoint, serverKey, pid, startTime };
}

/** What was published, if the process that did it still runs. */
export async function liveEndpoint(dir: string): Promise<Endpoint | undefined> {
  const endpoint = await readEndpoint(dir);
  return endpoint !== undefined && (await isRunning(endpoint.pid, endpoint.startTime)) ? endpoint : undefined;
}

export function removeEndpoint(dir: string): void {
  rmSync(imagePaths(dir).endpoint, { force: true });
}
