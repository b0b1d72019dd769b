/**
 * Checks a history against the promises of the design (sections 2 and 3). Pure; knows nothing of the kernel.
 *
 * Strict serializability is decided exactly, not searched for: the journal's seq is the order of all turns that wrote. Each
 * of them must have read what stood at its place, and lie after every turn that was answered before it was asked for. A turn
 * that wrote nothing must fit between two of them: at the first point, not before the points of all turns answered before
 * it was asked for, at which all that it read stood together. Taking the first such point, in the order of asking,
 * leaves the most room for the rest, so if that fails nothing fits.
 */
import {
  sameReply,
  textOfReply,
  type AnswerFact,
  type AttemptFact,
  type History,
  type RequestFact,
  type TurnFact,
  type Violation,
} from './history.js';
import { expectedResults, UNKNOWN } from './expected.js';
import { nameKey, Replay, sameContent, slotKey } from './replay.js';

/** The kernel's own word in place of a turn: an error, and nothing else. */
const isRefusal = ({ body }: TurnFact): boolean => !body[7][0] && body.slice(0, 7).every((part) => part.length === 0);

const idOf = (fact: { session: number; no: number }): string => `${fact.session}:${fact.no}`;

class Checker {
  readonly replay: Replay;
  readonly violations: Violation[] = [];

  constructor(readonly history: History) {
    this.replay = new Replay(history.turns);
    this.violations.push(...this.replay.violations);
  }

  fail(rule: string, message: string): void {
    this.violations.push({ rule, message });
  }

  run(): Violation[] {
    this.checkAttempts();
    this.checkOnce();
    this.checkAnswers();
    this.checkSameAnswer();
    this.checkRealTime();
    this.checkResults();
    this.checkOutgoing();
    this.checkNotices();
    this.checkEffects();
    this.checkMoney();
    this.checkEnd();
    return this.violations;
  }

  /** What the journal says a turn read is what its host saw, and no turn is of a host that was given up before. */
  checkAttempts(): void {
    for (const turn of this.history.turns) {
      const fact = this.history.attempts.get(turn.attempt);
      if (fact === undefined) {
        if (turn.seq > 1 && !isRefusal(turn))
          this.fail('once', `turn ${turn.seq} is of attempt ${turn.attempt}, which no host sent`);
        continue;
      }
      if (fact.fenced)
        this.fail('fencing', `turn ${turn.seq} (${idOf(turn)}) was committed by a host that had been declared dead`);
      for (const [oid, slot, attempt, content] of fact.reads) {
        const stand = this.replay.at(slotKey(oid, slot), turn.seq - 1);
        const blind = slot === '' || slot === '*';
        if (content === undefined) continue;
        if (stand.attempt === attempt && !blind && !sameContent(stand.content, content)) {
          this.fail(
            'serializability',
            `turn ${turn.seq} saw ${oid}.${slot} of attempt ${attempt} with another content than that attempt gave it`,
          );
        }
      }
    }
  }

  checkOnce(): void {
    const tokens = new Map(this.history.asks.map((ask) => [idOf(ask), ask.token]));
    const byId = new Map<string, TurnFact>();
    const byToken = new Map<string, TurnFact>();
    for (const turn of this.history.turns) {
      const twin = byId.get(idOf(turn));
      if (twin !== undefined)
        this.fail('once', `message ${idOf(turn)} took effect in turn ${twin.seq} and again in turn ${turn.seq}`);
      byId.set(idOf(turn), turn);
      const token = tokens.get(idOf(turn));
      if (token === undefined) continue;
      const first = byToken.get(token);
      if (first !== undefined)
        this.fail('once', `request ${token} took effect in turn ${first.seq} and again in turn ${turn.seq}`);
      byToken.set(token, turn);
    }
  }

  checkAnswers(): void {
    const done = new Map(this.history.turns.map((turn) => [idOf(turn), turn]));
    for (const answer of this.history.answers) {
      if (answer.attempt === 0) {
        const turn = done.get(idOf(answer));
        if (turn !== undefined && !isRefusal(turn) && !answer.retryable && answer.code !== 'EXPIRED') {
          this.fail(
            'answer',
            `message ${idOf(answer)} was answered ${answer.code} by the kernel, but turn ${turn.seq} is its effect`,
          );
        }
        continue;
      }
      const fact = this.history.attempts.get(answer.attempt);
      if (fact === undefined || idOf(fact) !== idOf(answer))
        this.fail(
          'answer',
          `message ${idOf(answer)} got the answer of attempt ${answer.attempt}, which is not its own`,
        );
      else if (!sameReply(answer.reply, fact.reply))
        this.fail(
          'answer',
          `message ${idOf(answer)} was answered ${textOfReply(answer.reply)}, where attempt ${fact.attempt} had said ${textOfReply(fact.reply)}`,
        );
      else this.#checkAnswerOf(answer, fact);
    }
  }

  #checkAnswerOf(answer: AnswerFact, fact: AttemptFact): void {
    const turn = this.replay.turnOf.get(answer.attempt);
    if (turn !== undefined) {
      if (turn.seq > answer.durable)
        this.fail(
          'gate',
          `the answer of turn ${turn.seq} (${idOf(answer)}) left when only turn ${answer.durable} was durable`,
        );
      if (answer.code === '' && answer.seq !== turn.seq)
        this.fail('answer', `the answer of turn ${turn.seq} says it was turn ${answer.seq}`);
      return;
    }
    if (fact.wrote && answer.code === '') {
      this.fail(
        'durability',
        `the commit of ${idOf(answer)} was answered (turn ${answer.seq}, durable ${answer.durable}) and is not in the journal`,
      );
      return;
    }
    const point = this.replay.firstPoint(fact.reads, fact.names, 0);
    if (point === Infinity)
      this.fail(
        'serializability',
        `what attempt ${fact.attempt} (${idOf(fact)}) read never stood together: ${this.describeReads(fact)}`,
      );
    else if (point > answer.durable)
      this.fail(
        'gate',
        `the answer of ${idOf(answer)} shows what turn ${point} left, when only turn ${answer.durable} was durable`,
      );
  }

  describeReads(fact: AttemptFact): string {
    const slots = fact.reads.map(
      ([oid, slot, attempt]) => `${oid}.${slot}@${attempt}(turn ${this.replay.turnOf.get(attempt)?.seq ?? '-'})`,
    );
    return [...slots, ...fact.names.map(([name, attempt]) => `=${name}@${attempt}`)].join(' ');
  }

  /** A repeat gets the same answer; only one that wrote nothing may be run anew, by a later life of the kernel. */
  checkSameAnswer(): void {
    const last = new Map<string, AnswerFact>();
    for (const answer of this.history.answers) {
      if (answer.retryable || answer.code === 'EXPIRED') continue;
      const earlier = last.get(idOf(answer));
      last.set(idOf(answer), answer);
      if (earlier === undefined || sameReply(earlier.reply, answer.reply)) continue;
      const readOnly = earlier.code === '' && !(this.history.attempts.get(earlier.attempt)?.wrote ?? true);
      if (!readOnly || earlier.life === answer.life) {
        this.fail(
          'same-answer',
          `message ${idOf(answer)} was answered ${textOfReply(earlier.reply)} and then ${textOfReply(answer.reply)}`,
        );
      }
    }
  }

  checkRealTime(): void {
    type Moment = [at: number, request: RequestFact, ends: boolean];
    const moments: Moment[] = [];
    for (const request of this.history.requests) {
      moments.push([request.begun, request, false]);
      if (request.attempt !== 0) moments.push([request.ended, request, true]);
    }
    moments.sort((a, b) => a[0] - b[0]);
    const points = new Map<RequestFact, number>();
    let reached = 0;
    for (const [, request, ends] of moments) {
      if (ends) reached = Math.max(reached, points.get(request) ?? 0);
      else if (request.attempt !== 0) points.set(request, this.#pointOf(request, reached));
    }
  }

  #pointOf(request: RequestFact, reached: number): number {
    const turn = this.replay.turnOf.get(request.attempt);
    if (turn !== undefined) {
      if (turn.seq <= reached)
        this.fail(
          'real-time',
          `${request.token} was asked when turn ${reached} had been seen, and became turn ${turn.seq}`,
        );
      return turn.seq;
    }
    const fact = this.history.attempts.get(request.attempt);
    if (fact === undefined || fact.wrote) return reached;
    const point = this.replay.firstPoint(fact.reads, fact.names, reached);
    if (point !== Infinity) return point;
    this.fail(
      'real-time',
      `${request.token} was asked when turn ${reached} had been seen, and read what stood before: ${this.describeReads(fact)}`,
    );
    return reached;
  }

  /** Every answer is what the same operations give when they are carried out alone, at the turn's place in the order. */
  checkResults(): void {
    for (const { token, attempt, results } of this.history.requests) {
      const ops = this.history.scripts.get(token);
      const fact = this.history.attempts.get(attempt);
      if (ops === undefined || fact === undefined || results.length === 0) continue;
      const turn = this.replay.turnOf.get(attempt);
      const point = turn ? turn.seq - 1 : this.replay.firstPoint(fact.reads, fact.names, 0);
      if (point === Infinity) continue;
      const wanted = expectedResults(this.replay, ops, point);
      wanted.forEach((value, i) => {
        if (value !== UNKNOWN && value !== results[i])
          this.fail(
            'result',
            `${token} (turn ${turn?.seq ?? `after ${point}`}) was answered ${JSON.stringify(results)}; by the order it is ${String(value)} at place ${i}`,
          );
      });
    }
  }

  /** Outbox messages and timers: sent by a durable turn, handled by exactly one, or a dead letter. */
  checkOutgoing(): void {
    const sentBy = new Map<number, TurnFact>();
    for (const turn of this.history.turns) {
      const count = turn.body[5].length + turn.body[6].length;
      for (let i = 0; i < count; i++) {
        const no = turn.firstOutgoing + i;
        const other = sentBy.get(no);
        if (other !== undefined) this.fail('outbox', `turns ${other.seq} and ${turn.seq} both sent message ${no}`);
        sentBy.set(no, turn);
      }
    }
    for (const delivery of this.history.deliveries) {
      const sender = sentBy.get(delivery.no);
      if (sender === undefined)
        this.fail('gate', `message ${delivery.no} was delivered, and no turn in the journal sent it`);
      else if (sender.seq > delivery.durable)
        this.fail(
          'gate',
          `message ${delivery.no} of turn ${sender.seq} was delivered when only turn ${delivery.durable} was durable`,
        );
      else this.#checkDue(sender, delivery.no, delivery.time);
    }
    for (const [no, sender] of sentBy) this.#checkHandled(no, sender);
  }

  #checkDue(sender: TurnFact, no: number, time: number): void {
    const timer = sender.body[6][no - sender.firstOutgoing - sender.body[5].length];
    if (timer !== undefined && time < sender.time + timer[0])
      this.fail('timer', `timer ${no} of turn ${sender.seq} fired ${sender.time + timer[0] - time} ms early`);
  }

  #checkHandled(no: number, sender: TurnFact): void {
    const handled = this.history.turns.filter((turn) => turn.session === 0 && turn.no === no);
    const dead = this.history.deadLetters.has(`0:${no}`);
    const pending = this.history.pending.has(no);
    const [turn] = handled;
    if (turn !== undefined) {
      if (!turn.consumed) this.fail('outbox', `turn ${turn.seq} handled message ${no} and left it in the journal`);
      if (turn.seq <= sender.seq)
        this.fail('outbox', `message ${no} was handled in turn ${turn.seq}, before turn ${sender.seq} had sent it`);
      if (pending) this.fail('outbox', `message ${no} was handled in turn ${turn.seq} and is still to be delivered`);
      if (turn.body[7][0] === dead)
        this.fail(
          'outbox',
          `message ${no} ended ${turn.body[7][0] ? 'well' : 'in an error'} and there is ${dead ? 'a' : 'no'} dead letter`,
        );
    } else if (!dead && !pending) this.fail('outbox', `message ${no} of turn ${sender.seq} is lost`);
    else if (pending && this.history.stuck === '')
      this.fail('liveness', `message ${no} of turn ${sender.seq} was never delivered`);
  }

  /** Notices: durable when they left, in order, without holes, and exactly what the turn changed. */
  checkNotices(): void {
    const turns = new Map(this.history.turns.map((turn) => [turn.seq, turn]));
    const reached = new Map<string, { part: number; seq: number }>();
    for (const notice of this.history.notices) {
      const last = reached.get(notice.stream);
      reached.set(notice.stream, notice);
      const turn = turns.get(notice.seq);
      if (notice.seq > notice.durable || turn === undefined) {
        this.fail(
          'gate',
          `${notice.stream} was told of turn ${notice.seq} when only turn ${notice.durable} was durable`,
        );
        continue;
      }
      if (last === undefined) continue;
      if (notice.part !== last.part + 1)
        this.fail('notice', `${notice.stream} got part ${notice.part} after part ${last.part}`);
      if (notice.seq <= last.seq)
        this.fail('notice', `${notice.stream} was told of turn ${notice.seq} after turn ${last.seq}`);
      for (let seq = last.seq + 1; seq < notice.seq; seq++) {
        if ((turns.get(seq)?.body[3].length ?? 0) > 0)
          this.fail('notice', `${notice.stream} was not told of turn ${seq}, between ${last.seq} and ${notice.seq}`);
      }
      this.#checkNoticeContent(notice.stream, turn, notice.changes);
    }
  }

  #checkNoticeContent(stream: string, turn: TurnFact, changes: readonly (string | readonly string[])[]): void {
    const told = new Set<string>();
    for (let i = 0; i < changes.length; i += 2)
      for (const slot of changes[i + 1] as readonly string[]) told.add(slotKey(changes[i] as string, slot));
    for (const [oid, writes] of turn.body[3]) {
      for (const [slot] of writes)
        if (!told.has(slotKey(oid, slot)))
          this.fail('notice', `${stream} was not told that turn ${turn.seq} changed ${oid}.${slot}`);
    }
  }

  /** A service's answer is recorded: no two runs of a message in one life of the kernel see two, and a durable one is seen by the next life. */
  checkEffects(): void {
    const seen = new Map<string, string>();
    for (const { life, message, body } of this.history.effects) {
      const key = `${life} ${message}`;
      const first = seen.get(key);
      if (first !== undefined && first !== body)
        this.fail('recorded', `${message} got ${first} from the service, and ${body} when it was run again`);
      seen.set(key, first ?? body);
    }
  }

  /** Transfers neither make nor lose money; what is on its way in the outbox counts. */
  checkMoney(): void {
    let total = 0;
    for (const key of this.replay.keys())
      if (key.endsWith(' balance')) total += Number(this.replay.latest(key).content ?? 0);
    let expected = 0;
    for (const { body } of this.history.turns) {
      for (const [oid, writes] of body[3])
        for (const [slot, , payload] of writes)
          if (slot === 'balance' && body[2].includes(oid)) expected += Number(payload);
    }
    for (const no of this.history.pending) total += this.history.moneyIn.get(no) ?? 0;
    for (const letter of this.history.deadLetters) total += this.history.moneyIn.get(Number(letter.slice(2))) ?? 0;
    if (total !== expected) this.fail('money', `${expected} was put in and ${total} is there`);
  }

  /** After faults have stopped everything is answered, and what is read back is what the journal says. */
  checkEnd(): void {
    if (this.history.stuck !== '') this.fail('liveness', this.history.stuck);
    for (const request of this.history.requests) {
      if (request.outcome === 'open') this.fail('liveness', `${request.token} was never answered`);
      else if (request.code === 'EXPIRED' || request.code === 'INTERNAL' || request.code === 'MALFORMED')
        this.fail('answer', `${request.token} ended in ${request.code}`);
    }
    this.#checkReadBack();
  }

  #checkReadBack(): void {
    const { finalSlots, finalNames } = this.history;
    const seen = new Set([
      ...finalSlots.map(([oid, slot]) => slotKey(oid, slot)),
      ...finalNames.map(([name]) => nameKey(name)),
    ]);
    for (const key of this.replay.keys()) {
      if (this.replay.latest(key).attempt !== 0 && !seen.has(key))
        this.fail(
          'recovery',
          `after the last restart ${key} is not there; turn ${this.replay.latest(key).seq} had left it`,
        );
    }
    for (const [oid, slot, attempt, content] of finalSlots) {
      const stand = this.replay.latest(slotKey(oid, slot));
      if (stand.attempt !== attempt || !sameContent(stand.content, content)) {
        this.fail(
          'recovery',
          `after the last restart ${oid}.${slot} is of attempt ${attempt}; by the journal it is of attempt ${stand.attempt} (turn ${stand.seq})`,
        );
      }
    }
    for (const [name, attempt, oid] of finalNames) {
      const stand = this.replay.latest(nameKey(name));
      if (stand.attempt !== attempt || stand.content !== oid)
        this.fail(
          'recovery',
          `after the last restart the name ${name} is ${String(oid)}@${attempt}; by the journal ${String(stand.content)}@${stand.attempt}`,
        );
    }
  }
}

/** All that this history breaks, in the order of the rules; empty when it is good. */
export const checkHistory = (history: History): Violation[] => new Checker(history).run();
