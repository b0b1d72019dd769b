/** Notes what leaves the kernel for clients: what the checker calls answers and notices. */
import { unpack } from '../../protocol/codec.js';
import { T, type ToClient } from '../../protocol/envelope.js';
import { isRetryable } from '../../protocol/errors.js';
import { digestOf, digestOfError, type AnswerFact } from './history.js';
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

type Said = Pick<AnswerFact, 'no' | 'attempt' | 'code' | 'seq' | 'digest'>;

export class Witness {
  constructor(private readonly world: World) {}

  /** @param stream who is told of changes */
  toClient(life: number, session: number, stream: string, envelope: ToClient): void {
    const { history, disk } = this.world;
    if (envelope[0] === T.NOTICE) {
      const [, sub, part, seq, , changes] = envelope;
      history.notices.push({ stream: `${stream} subscription ${sub}`, part, seq, durable: disk.durable, changes });
      return;
    }
    const said = this.#said(session, envelope);
    if (said === null) return;
    history.answers.push({
      ...said,
      at: this.world.moment(),
      life,
      session,
      durable: disk.durable,
      retryable: isRetryable(said.code),
    });
    this.world.answered.set(`${session}:${said.no}`, said.attempt);
  }

  #said(session: number, envelope: ToClient): Said | null {
    const { accepted, options } = this.world;
    if (envelope[0] === T.ANSWER) {
      const [, no, body, seq] = envelope;
      const attempt = options.realHosts
        ? (accepted.get(`${session}:${no}`) ?? 0)
        : (unpack(body as Uint8Array) as [number])[0];
      return { no, attempt, code: '', seq, digest: digestOf([true, body, null]) };
    }
    if (envelope[0] !== T.ERROR) return null;
    const [, no, error] = envelope;
    const own = options.realHosts && !KERNEL_CODES.has(error[0]) ? accepted.get(`${session}:${no}`) : undefined;
    return {
      no,
      attempt: own ?? (typeof error[4] === 'number' ? error[4] : 0),
      code: error[0],
      seq: 0,
      digest: digestOfError(error),
    };
  }
}
