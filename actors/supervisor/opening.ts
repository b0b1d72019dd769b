/** The steps by which a kernel's process takes an image into service, before anybody is let in. */
import type { TelosError } from '../../protocol/index.js';
import type { ImageKeys } from '../../runtime/image/index.js';
import {
  createImage,
  decodeRecord,
  imageExists,
  openJournal,
  rangeOf,
  textOf,
  type ClientRecord,
} from '../../runtime/journal/index.js';
import type { Log } from '../../runtime/process/index.js';
import { hashToken, type Admission } from './admission.js';
import type { KernelLifeConfig } from './kernel-life.js';
import { Storage } from './storage.js';

/** Makes the image where there is none. @throws TelosError as openJournal and createImage do */
export async function openStorage(
  { imageDir, config }: KernelLifeConfig,
  log: Log,
  onDamage: (error: TelosError) => void,
): Promise<Storage> {
  if (!imageExists(imageDir)) await createImage(imageDir, config.journal);
  const { headSyncMs } = config.kernel;
  return new Storage(await openJournal(imageDir, { ...config.journal, headSyncMs, log, onDamage }));
}

/** The owner, who is an author, and the clients that were admitted besides. */
export async function admitClients(admission: Admission, { owner }: ImageKeys, storage: Storage): Promise<void> {
  admission.addClient(owner.publicKey, { rights: ['author'], tokenHash: hashToken(owner.token) });
  for (const [key, value] of await storage.all(rangeOf('k'))) {
    const [, rights, tokenHash] = decodeRecord<ClientRecord>(value, `client ${textOf(key)}`);
    admission.addClient(textOf(key), { rights, tokenHash });
  }
}
