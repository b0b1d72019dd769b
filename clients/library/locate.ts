/**
 * Where an image is and where its kernel listens. Reads what the kernel and its guardian publish in the image directory:
 *
 *     run/endpoint.json             {endpoint, serverKey, pid, startTime, place}
 *     run/processes/PID_…_NAME      one empty file for each process
 *     keys/owner.json               {publicKey, secretKey, token}
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TelosError } from '../../protocol/index.js';

export interface ClientKeys {
  /** CURVE, Z85. */
  readonly publicKey: string;
  readonly secretKey: string;
  /** The secret that was admitted with the key. */
  readonly token: string;
}

export interface Address {
  readonly endpoint: string;
  /** Public CURVE key of the server; '' for plain text. */
  readonly serverKey: string;
}

export interface Published extends Address {
  readonly pid: number;
}

/** The image directory: what is given, else `$TELOS_IMAGE`, else `./image`. */
export function imageDirectory(given?: string, env: NodeJS.ProcessEnv = process.env): string {
  return resolve(given ?? (env['TELOS_IMAGE'] || 'image'));
}

/** Where the kernel of this image listened last. Undefined when it never did, or was stopped in order, or for a copy of the image. */
export function readAddress(dir: string): Published | undefined {
  const content = readJson(join(dir, 'run', 'endpoint.json'));
  if (content === undefined) return undefined;
  const { endpoint, serverKey, pid, place } = content;
  if (typeof endpoint !== 'string' || typeof serverKey !== 'string' || typeof pid !== 'number') return undefined;
  return place === undefined || place === placeOf(dir) ? { endpoint, serverKey, pid } : undefined;
}

/** Is there a process that serves this image, or one that is about to bring the kernel back? */
export function isServed(dir: string): boolean {
  const published = readAddress(dir);
  if (published !== undefined && isAlive(published.pid)) return true;
  return guardianOf(dir) !== undefined;
}

/** Pid of the guardian of this image, if it runs. */
export function guardianOf(dir: string): number | undefined {
  const place = existsSync(dir) ? placeOf(dir) : '';
  for (const file of listing(join(dir, 'run', 'processes'))) {
    const [pid, , where, name] = file.split('_');
    if (name === 'guardian' && where === place && isAlive(Number(pid))) return Number(pid);
  }
  return undefined;
}

/** @throws TelosError NO_IMAGE, NOT_RUNNING */
export function notServed(dir: string): TelosError {
  if (!existsSync(join(dir, 'keys')) && !existsSync(join(dir, 'journal'))) {
    return new TelosError('NO_IMAGE', `${dir} holds no image`, {
      remedy: `start one there with \`telos up --image ${dir}\``,
    });
  }
  return new TelosError('NOT_RUNNING', `nothing serves the image ${dir}`, {
    remedy: `start it with \`telos up --image ${dir}\``,
  });
}

/** The owner's key of the image. @throws TelosError NO_IMAGE, NO_PERMISSION, UNAUTHORIZED */
export function readOwnerKeys(dir: string): ClientKeys {
  const path = join(dir, 'keys', 'owner.json');
  const content = readJson(path);
  if (content === undefined) throw notServed(dir);
  const { publicKey, secretKey, token } = content;
  if (typeof publicKey !== 'string' || typeof secretKey !== 'string') {
    throw new TelosError('UNAUTHORIZED', `${path} holds no key pair`, {
      remedy: `delete ${path} and start the image again: new keys are made`,
    });
  }
  return { publicKey, secretKey, token: typeof token === 'string' ? token : '' };
}

/** Does the process run (or stand still)? One that has ended and that nobody has waited for yet does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return process.platform !== 'linux' || !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    return /^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Names the directory itself, so that what was published in an image does not count in a copy of it. */
function placeOf(dir: string): string {
  const { dev, ino } = statSync(dir, { bigint: true });
  return `${dev}-${ino}`;
}

function listing(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

/** Undefined when there is no such file, or one that is just being replaced. */
function readJson(path: string): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EBUSY') return undefined;
    throw new TelosError('NO_PERMISSION', `${path} can not be read: ${code ?? String(error)}`, { cause: error });
  }
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
