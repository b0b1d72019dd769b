/** The keys of an image: its server's and its owner's, readable by the owner of the files only. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { TelosError } from '../../protocol/index.js';
import { readJsonObject, writeFileAtomic } from './files.js';
import { imagePaths } from './paths.js';

export interface KeyPair {
  /** Z85, 40 characters. */
  readonly publicKey: string;
  readonly secretKey: string;
}

export interface OwnerKeys extends KeyPair {
  /** Secret that is admitted with the key, hex. */
  readonly token: string;
}

export interface ImageKeys {
  readonly server: KeyPair;
  readonly owner: OwnerKeys;
}

const TOKEN_BYTES = 32;

async function readPair(path: string): Promise<OwnerKeys | undefined> {
  const content = await readJsonObject(path);
  if (content === undefined) return undefined;
  const { publicKey, secretKey, token } = content;
  if (typeof publicKey !== 'string' || typeof secretKey !== 'string') {
    throw new TelosError('DAMAGED', `${path} holds no key pair`, {
      remedy: `delete ${path} and start again: new keys are made`,
    });
  }
  return { publicKey, secretKey, token: typeof token === 'string' ? token : '' };
}

/** The keys of the image; undefined when one of the files is missing. @throws TelosError NO_PERMISSION, DAMAGED */
export async function readKeys(dir: string): Promise<ImageKeys | undefined> {
  const paths = imagePaths(dir);
  const server = await readPair(paths.serverKeys);
  const owner = await readPair(paths.ownerKeys);
  return server === undefined || owner === undefined ? undefined : { server, owner };
}

/** File modes mean nothing on Windows: inherited rights are taken away instead. */
async function protect(path: string): Promise<void> {
  if (process.platform !== 'win32') return;
  await promisify(execFile)('icacls', [path, '/inheritance:r', '/grant:r', `${userInfo().username}:F`], {
    windowsHide: true,
  });
}

/** The keys of the image, made where they are missing. `make`: a fresh CURVE key pair. */
export async function createKeys(dir: string, make: () => KeyPair): Promise<ImageKeys> {
  const paths = imagePaths(dir);
  const server = (await readPair(paths.serverKeys)) ?? (await writePair(paths.serverKeys, make(), paths.reserve));
  const owner =
    (await readPair(paths.ownerKeys)) ??
    (await writePair(paths.ownerKeys, { ...make(), token: randomBytes(TOKEN_BYTES).toString('hex') }, paths.reserve));
  return { server, owner };
}

async function writePair<P extends KeyPair>(path: string, pair: P, reserve: string): Promise<P & { token: string }> {
  await writeFileAtomic(path, `${JSON.stringify(pair, null, 2)}\n`, { mode: 0o600, reserve });
  await protect(path);
  return { token: '', ...pair };
}
