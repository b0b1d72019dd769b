/** Notes what leaves the kernel for clients: what the checker calls answers and notices. */
import { unpack } from '../../protocol/codec.js';
import { T, type ToClient } from '../../protocol/envelope.js';
import { isRetryable } from '../../protocol/errors.js';
import type { AnswerFact } from './history.js';
import type { World } from './world.js';

/** Errors that are the kernel's own word, never that of a turn. */
const KERNEL_CODES = new Set([
  'BUSY',
  'CONFLICT',
  'DEADLINE',
  'CANCELLED',
  'DEAD_LETTER',
  'EXPIRED',
  'TOO_LARGE',
  'DISK_FULL',
  'FORBIDDEN',
]);

type Said = Pick<AnswerFact, 'no' | 'attempt' | 'code' | 'seq' | 'reply'>;

export class Witness {
  constructor(private readonly world: World) {}

  toClient(life: number, peer: number, session: number, envelope: ToClient): void {
    const { history, disk, answered, options } = this.world;
    if (envelope[0] === T.NOTICE) {
      const [, sub, part, seq, , changes] = envelope;
      history.notices.push({
        stream: `life ${life} peer ${peer} subscription ${sub}`,
        part,
        seq,
        durable: disk.durable,
        changes,
      });
      return;
    }
    const said = this.#said(session, envelope);
    if (said === null) return;
    const { no, attempt, code, seq, reply } = said;
    const retryable = code !== '' && isRetryable(code);
    history.answers.push({
      at: this.world.moment(),
      life,
      session,
      no,
      attempt,
      code,
      retryable,
      seq,
      reply,
      durable: disk.durable,
    });
    if (options.realHosts) answered.set(`${session}:${no}`, attempt);
  }

  #said(session: number, envelope: ToClient): Said | null {
    const { accepted, options } = this.world;
    if (envelope[0] === T.ANSWER) {
      const [, no, body, seq] = envelope;
      const attempt = options.realHosts
        ? (accepted.get(`${session}:${no}`) ?? 0)
        : (unpack(body as Uint8Array) as [number])[0];
      return { no, attempt, code: '', seq, reply: [true, body, null] };
    }
    if (envelope[0] !== T.ERROR) return null;
    const [, no, error] = envelope;
    const own = options.realHosts && !KERNEL_CODES.has(error[0]) ? accepted.get(`${session}:${no}`) : undefined;
    return {
      no,
      attempt: own ?? (typeof error[4] === 'number' ? error[4] : 0),
      code: error[0],
      seq: 0,
      reply: [false, null, error],
    };
  }
}
