/** What a worker process (host, quarantine, services) is told on the first line of its life line. */
import type { Config } from '../../config/index.js';
import type { Role } from '../../protocol/index.js';

export type WorkerRole = Exclude<Role, 'client'>;

export interface WorkerConfig {
  readonly role: WorkerRole;
  /** As in `telos status`: `host-1`. */
  readonly name: string;
  /** Unique among all lives of all workers of the image; to be given in Hello. */
  readonly incarnation: number;
  /** Of the kernel: `tcp://127.0.0.1:PORT`. */
  readonly endpoint: string;
  /** Public CURVE key of the kernel; '' for plain text. */
  readonly serverKey: string;
  /** Key pair and token made for this one life. */
  readonly publicKey: string;
  readonly secretKey: string;
  readonly token: string;
  readonly imageDir: string;
  readonly config: Config;
}
