/** Requests to services. */
import { createHash } from 'node:crypto';
import type { Bytes } from '../../protocol/index.js';
import { encodePlainArgs } from './args.js';
import { plain } from './carried.js';
import type { Frame } from './frame.js';

/** Path of the send, position of the request in its frame, digest of the request: the same in every try that asks the same. */
function serviceKey(path: string, position: number, service: string, op: string, args: Bytes): string {
  const digest = createHash('sha256').update(`${service}.${op}\0`).update(args).digest('base64url').slice(0, 22);
  return `${path}:${position}:${digest}`;
}

/**
 * Asks a service for a frame, waits for its answer, and gives it as plain data with `Ref`s in it. `args`: such data too.
 * @throws what the service answered as an error
 */
export async function askService(
  frame: Frame,
  service: string,
  op: string,
  args: readonly unknown[],
): Promise<unknown> {
  const { turn } = frame;
  const { maxBodyBytes, maxValueDepth } = turn.limits;
  const bytes = encodePlainArgs(args, `arguments of ${op}`, maxBodyBytes, maxValueDepth);
  const key = serviceKey(frame.path(), frame.nextPosition(), service, op, bytes);
  const answered = turn.service({ key, service, op, args: bytes });
  // What the kernel looks up is of the moment at which its turn in the order comes.
  if (service !== 'kernel') frame.waitsForService();
  const { ok, body } = await answered;
  turn.alive();
  if (ok) return plain(body);
  throw turn.failureOf(turn.codec.wireErrorIn(body));
}
