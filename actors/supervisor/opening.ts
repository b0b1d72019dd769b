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
import { Incarnations } from './incarnations.js';
import type { KernelLifeConfig } from './kernel-life.js';
import { Storage } from './storage.js';

/** Numbers of workers reserved at the start beside one for each: for a quarantine host and the first restarts. */
const SPARE_INCARNATIONS = 4;

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

/** While nothing can be written, no attempt of a worker can come into the journal: its number need not be durable. */
export function reserveIncarnations(storage: Storage, { config }: KernelLifeConfig): Promise<Incarnations> {
  const { hosts, services } = config.supervisor;
  const write = (key: Buffer, value: Buffer): Promise<void> =>
    storage.journal.readOnly ? Promise.resolve() : storage.put([key, value]);
  return Incarnations.open({ read: (key) => storage.get(key), write }, hosts + services.length + SPARE_INCARNATIONS);
}
