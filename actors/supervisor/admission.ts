/**
 * Owns: who is let in, by CURVE key. Clients by the list in the image, each with its rights; workers by the key that was made for the
 * one life that was just started, for the role and incarnation of that life and no other.
 *
 *   N1  A key admits one kind of peer: a client that announces itself as a worker is FORBIDDEN, and the other way round.
 *   N2  The key in Hello counts only when the link has proved it; without CURVE the token alone stands for it.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { MAGIC, PROTOCOL_VERSION, TelosError, type Hello } from '../../protocol/index.js';

export interface AdmittedClient {
  readonly rights: readonly string[];
  /** SHA-256 of the token, hex. */
  readonly tokenHash: string;
}

export interface AdmittedWorker {
  readonly life: number;
  readonly role: string;
  readonly incarnation: number;
  readonly tokenHash: string;
}

export type Judgement =
  | { readonly kind: 'client'; readonly key: string; readonly rights: readonly string[] }
  | { readonly kind: 'worker'; readonly life: number };

export const hashToken = (token: string): string => createHash('sha256').update(token).digest('hex');

const sameHash = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

export class Admission {
  readonly #clients = new Map<string, AdmittedClient>();
  readonly #workers = new Map<string, AdmittedWorker>();

  addClient(key: string, client: AdmittedClient): void {
    this.#clients.set(key, client);
  }

  addWorker(key: string, worker: AdmittedWorker): void {
    this.#workers.set(key, worker);
  }

  removeWorker(key: string): void {
    this.#workers.delete(key);
  }

  /** For the door itself: may this key connect at all? */
  admits(key: string): boolean {
    return this.#clients.has(key) || this.#workers.has(key);
  }

  /** @param proved key that the link has proved, '' without CURVE. @throws TelosError UNAUTHORIZED, FORBIDDEN, VERSION_MISMATCH */
  judge(hello: Hello, proved: string): Judgement {
    const [magic, version, role, incarnation, key, token] = hello;
    if (magic !== MAGIC || version !== PROTOCOL_VERSION) {
      throw new TelosError(
        'VERSION_MISMATCH',
        `the peer speaks version ${version}, this kernel version ${PROTOCOL_VERSION}`,
      );
    }
    if (proved !== '' && proved !== key)
      throw new TelosError('UNAUTHORIZED', `the peer names the key ${key} and has proved another`);
    const client = this.#clients.get(key);
    const worker = this.#workers.get(key);
    const known = client ?? worker;
    if (known === undefined || !sameHash(known.tokenHash, hashToken(token))) {
      throw new TelosError(
        'UNAUTHORIZED',
        known === undefined ? `the key ${key} is not admitted` : `the token of key ${key} is wrong`,
      );
    }
    if (client) {
      if (role !== 'client') throw new TelosError('FORBIDDEN', `the key ${key} admits a client, no ${role}`);
      return { kind: 'client', key, rights: client.rights };
    }
    const { role: mine, incarnation: life } = worker as AdmittedWorker;
    if (role !== mine || incarnation !== life) {
      throw new TelosError(
        'FORBIDDEN',
        `the key ${key} admits the ${mine} of incarnation ${life}, no ${role} of incarnation ${incarnation}`,
      );
    }
    return { kind: 'worker', life: (worker as AdmittedWorker).life };
  }
}
