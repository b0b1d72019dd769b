/**
 * Strictness: what was asked after an answer had been seen lies behind it in the order of the turns. The places of turns are
 * their seqs; that of a reader or a question is the first that fits, which leaves the most room for the rest.
 */
import type { AttemptFact, History, RequestFact } from './history.js';
import { Questions } from './questions.js';
import type { Replay } from './replay.js';

type Fail = (rule: string, message: string) => void;

/** From the asking to the answer; `place`: where in the order, when turn `reached` had been seen at the asking. */
interface Span {
  readonly begun: number;
  readonly ended: number;
  readonly place: (reached: number) => number;
}

export function describeReads(replay: Replay, fact: AttemptFact): string {
  const slots = fact.reads.map(
    ([oid, slot, attempt]) => `${oid}.${slot}@${attempt}(turn ${replay.turnOf.get(attempt)?.seq ?? '-'})`,
  );
  return [...slots, ...fact.names.map(([name, attempt]) => `=${name}@${attempt}`)].join(' ');
}

export function checkRealTime(history: History, replay: Replay, fail: Fail): void {
  const questions = new Questions(history, replay, fail);
  const spans: Span[] = history.requests
    .filter(({ attempt }) => attempt !== 0)
    .map((request) => ({
      begun: request.begun,
      ended: request.ended,
      place: (reached) => placeOf(request, reached, history, replay, fail),
    }));
  for (const told of history.told) {
    const question = history.questions.get(`${told.session}:${told.no}`);
    if (question === undefined) continue;
    const place = (reached: number): number => questions.place(told, question, reached);
    spans.push({ begun: question.at, ended: told.ended, place });
  }
  sweep(spans);
}

function sweep(spans: readonly Span[]): void {
  const moments = spans.flatMap((span): [at: number, span: Span, ends: boolean][] => [
    [span.begun, span, false],
    [span.ended, span, true],
  ]);
  moments.sort((a, b) => a[0] - b[0]);
  const places = new Map<Span, number>();
  let reached = 0;
  for (const [, span, ends] of moments) {
    if (ends) reached = Math.max(reached, places.get(span) ?? 0);
    else places.set(span, span.place(reached));
  }
}

function placeOf(request: RequestFact, reached: number, history: History, replay: Replay, fail: Fail): number {
  const turn = replay.turnOf.get(request.attempt);
  if (turn !== undefined) {
    if (turn.seq <= reached)
      fail('real-time', `${request.token} was asked when turn ${reached} had been seen, and became turn ${turn.seq}`);
    return turn.seq;
  }
  const fact = history.attempts.get(request.attempt);
  if (fact === undefined || fact.wrote) return reached;
  const point = replay.firstPoint(fact.reads, fact.names, reached);
  if (point !== Infinity) return point;
  fail(
    'real-time',
    `${request.token} was asked when turn ${reached} had been seen, and read what stood before: ${describeReads(replay, fact)}`,
  );
  return reached;
}
