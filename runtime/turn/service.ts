/** Keys under which the answers of services are recorded. */
import { createHash } from 'node:crypto';
import type { Bytes } from '../../protocol/index.js';

/** Path of the send, position of the request in its frame, digest of the request: the same in every try that asks the same. */
export function serviceKey(path: string, position: number, service: string, op: string, args: Bytes): string {
  const digest = createHash('sha256').update(`${service}.${op}\0`).update(args).digest('base64url').slice(0, 22);
  return `${path}:${position}:${digest}`;
}
