/** Notes what leaves the kernel for clients: what the checker calls answers and notices. */
import { unpack } from '../../protocol/codec.js';
import { T, type Answer, type ErrorAnswer, type Query, type ToClient } from '../../protocol/envelope.js';
import { isRetryable } from '../../protocol/errors.js';
import type { AnswerFact, ToldFact } from './history.js';
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
  /** What was told last under an id: what its client gets next. */
  readonly #told = new Map<string, ToldFact>();

  constructor(private readonly world: World) {}

  /** A question has reached the kernel. */
  asked(session: number, [, no, , , op, args]: Query): void {
    const { questions } = this.world.history;
    const id = `${session}:${no}`;
    if (!questions.has(id)) questions.set(id, { at: this.world.moment(), op, args: unpack(args) as unknown[] });
  }

  /** The answer to a question has reached its client. */
  heard(session: number, no: number): void {
    const told = this.#told.get(`${session}:${no}`);
    if (told !== undefined) told.ended = this.world.moment();
  }

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
    if (envelope[0] === T.PARTIAL || envelope[0] === T.UNSUBSCRIBED) return;
    if (this.world.history.questions.has(`${session}:${envelope[1]}`)) {
      this.#noteTold(life, session, envelope);
      if (envelope[0] === T.ANSWER) return;
    }
    const said = this.#said(session, envelope);
    if (said === null) return;
    const { no, attempt, code, seq, reply } = said;
    // A full disk keeps no answers: whoever asks again after it may get another.
    const retryable = code !== '' && (isRetryable(code) || this.world.kernel?.readOnly === true);
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

  #noteTold(life: number, session: number, envelope: Answer | ErrorAnswer): void {
    const [type, no, body] = envelope;
    const answer = type === T.ANSWER;
    const told: ToldFact = {
      session,
      no,
      life,
      seq: answer ? envelope[3] : 0,
      value: answer && body instanceof Uint8Array ? unpack(body) : body,
      error: answer ? null : envelope[2],
      durable: this.world.disk.durable,
      ended: Infinity,
    };
    this.world.history.told.push(told);
    this.#told.set(`${session}:${no}`, told);
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
