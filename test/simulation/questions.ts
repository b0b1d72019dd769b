/**
 * What the kernel says when it is asked (QUERY): each answer must show the image as it was at one moment, not before what had been
 * answered when the question reached the kernel, and nothing that a power cut would have taken back when the answer left.
 */
import { pack, unpack } from '../../protocol/codec.js';
import type { Content } from '../../protocol/envelope.js';
import type { History, QuestionFact, SlotSeen, ToldFact } from './history.js';
import { nameKey, slotKey, type Replay } from './replay.js';

interface Inspected {
  readonly oid: string;
  readonly names: readonly string[];
  readonly shape: number;
  readonly slots: readonly { readonly slot: string; readonly attempt: number; readonly content: unknown }[];
}

interface Listed {
  readonly seq: number;
  readonly session: number;
  readonly no: number;
}

const readable = (content: Content): unknown => (content instanceof Uint8Array ? unpack(content) : content);
const sameValue = (a: unknown, b: unknown): boolean =>
  a === b || (typeof a === 'object' && typeof b === 'object' && Buffer.compare(pack(a), pack(b)) === 0);

export class Questions {
  constructor(
    private readonly history: History,
    private readonly replay: Replay,
    private readonly fail: (rule: string, message: string) => void,
  ) {}

  /** The place of this answer in the order of the turns: the first, from `reached` on, after which it was so. */
  place(told: ToldFact, question: QuestionFact, reached: number): number {
    const what = `the answer of ${question.op} ${JSON.stringify(question.args)} (${told.session}:${told.no})`;
    if (told.error !== null) return this.#refused(told.error[0], question, told, reached, what);
    switch (question.op) {
      case 'inspect':
        return this.#inspected(told.value as Inspected, told, reached, what);
      case 'names':
        return this.#names(told.value as [string, string][], told, reached, what);
      case 'history':
        return this.#history(told.value as Listed[], question.args, told, reached, what);
      case 'journal':
        return this.#journal(told.value as Listed[], question.args, told, reached, what);
      default:
        return this.#done(told, reached, what);
    }
  }

  /** What the kernel did itself is a turn like any other. */
  #done(told: ToldFact, reached: number, what: string): number {
    const turn = this.history.turns.find(({ session, no }) => session === told.session && no === told.no);
    if (turn === undefined) {
      if (told.seq > 0)
        this.fail('durability', `${what} says that it was turn ${told.seq}, which is not in the journal`);
      return reached;
    }
    this.#early(what, turn.seq, told);
    if (turn.seq <= reached)
      this.fail('real-time', `${what} was asked for when turn ${reached} had been seen, and became turn ${turn.seq}`);
    return turn.seq;
  }

  #early(what: string, seq: number, { durable }: ToldFact): void {
    if (seq > durable)
      this.fail('question', `${what} shows what turn ${seq} left, when only turn ${durable} was durable`);
  }

  #refused(code: string, { args }: QuestionFact, told: ToldFact, reached: number, what: string): number {
    if (code !== 'UNKNOWN_NAME') return reached;
    const key = nameKey(String(args[0]));
    for (const point of this.#points(reached, told.durable))
      if (this.replay.at(key, point).content === null) return point;
    this.fail('question', `${what} was that there is no such name, and there was one from turn ${reached} on`);
    return reached;
  }

  /** `from`, and the turns up to `to` that gave or took a name. */
  #points(from: number, to: number): number[] {
    return [from, ...this.replay.nameChanges().filter((seq) => seq > from && seq <= to)];
  }

  #inspected({ oid, names, shape, slots }: Inspected, told: ToldFact, reached: number, what: string): number {
    const reads: SlotSeen[] = [[oid, '', shape, null]];
    for (const { slot, attempt } of slots) reads.push([oid, slot, attempt, null]);
    for (const [, slot, attempt] of reads) {
      const turn = this.replay.turnOf.get(attempt);
      if (turn === undefined)
        this.fail('question', `${what} shows attempt ${attempt} in ${oid}.${slot}, which is no turn of the journal`);
      else this.#early(what, turn.seq, told);
    }
    const place = this.replay.firstPoint(reads, [], reached);
    if (place === Infinity) {
      this.fail('question', `${what} never stood so from turn ${reached} on: ${JSON.stringify([shape, slots])}`);
      return reached;
    }
    for (const { slot, content } of slots) {
      if (!sameValue(readable(this.replay.at(slotKey(oid, slot), place).content), content))
        this.fail('question', `${what} shows another ${oid}.${slot} than turn ${place} left`);
    }
    this.#checkNamesOf(oid, names, told, reached, what);
    return place;
  }

  /** They are looked up a little later than the slots. */
  #checkNamesOf(oid: string, names: readonly string[], told: ToldFact, reached: number, what: string): void {
    const points = this.#points(reached, told.durable);
    const stood = (name: string, point: number): boolean => this.replay.at(nameKey(name), point).content === oid;
    for (const name of names)
      if (!points.some((point) => stood(name, point)))
        this.fail('question', `${what} says that ${oid} is named ${name}, which it was not, or not durably`);
    for (const [name, named] of this.replay.namesAt(reached))
      if (named === oid && !names.includes(name) && points.every((point) => stood(name, point)))
        this.fail('question', `${what} does not say that ${oid} is named ${name}`);
  }

  #names(value: readonly [string, string][], told: ToldFact, reached: number, what: string): number {
    const shown = JSON.stringify(value);
    const sorted = (point: number): string =>
      JSON.stringify([...this.replay.namesAt(point)].sort(([a], [b]) => (a < b ? -1 : 1)));
    const place = this.#points(reached, Infinity).find((point) => sorted(point) === shown);
    if (place !== undefined) this.#early(what, place, told);
    else this.fail('question', `${what} never were the names from turn ${reached} on: ${shown}`);
    return place ?? reached;
  }

  #checkListed(listed: readonly Listed[], told: ToldFact, what: string): void {
    for (const { seq, session, no } of listed) {
      const turn = this.history.turns[seq - 1];
      if (turn === undefined || turn.session !== session || turn.no !== no)
        this.fail('question', `${what} shows turn ${seq} as that of message ${session}:${no}, which it is not`);
      this.#early(what, seq, told);
    }
  }

  #history(
    listed: readonly Listed[],
    [target, limit]: readonly unknown[],
    told: ToldFact,
    reached: number,
    what: string,
  ): number {
    this.#checkListed(listed, told, what);
    const place = Math.max(reached, listed[0]?.seq ?? 0);
    const oid = String(target).startsWith('#') ? String(target) : `#${String(target)}`;
    const wanted = this.history.turns
      .filter(
        ({ seq, body }) =>
          seq <= place && (body[2].some((made) => made === oid) || body[3].some(([one]) => one === oid)),
      )
      .map(({ seq }) => seq)
      .reverse()
      .slice(0, Number(limit));
    const shown = listed.map(({ seq }) => seq);
    if (shown.join(' ') !== wanted.join(' '))
      this.fail('question', `${what} names the turns ${shown.join(' ')}; those that wrote it are ${wanted.join(' ')}`);
    return place;
  }

  #journal(
    listed: readonly Listed[],
    [from, limit]: readonly unknown[],
    told: ToldFact,
    reached: number,
    what: string,
  ): number {
    this.#checkListed(listed, told, what);
    const first = Number(from) > 0 ? Number(from) : (listed[0]?.seq ?? 1);
    const holes = listed.some(({ seq }, i) => seq !== first + i);
    const wanted = Math.min(Number(limit), Number(from) > 0 ? reached - first + 1 : 1);
    if (holes || listed.length < wanted)
      this.fail(
        'question',
        `${what} has a hole or ends early: ${listed.map(({ seq }) => seq).join(' ')}; turn ${reached} had been seen`,
      );
    const last = listed.at(-1)?.seq ?? 0;
    if (!(Number(from) > 0) && last < reached)
      this.fail('question', `${what} ends with turn ${last}, though turn ${reached} had been seen`);
    return Math.max(reached, last);
  }
}
