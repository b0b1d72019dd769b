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
  type TurnFact,
  type Violation,
} from './history.js';
import { expectedResults, sameResult, UNKNOWN } from './expected.js';
import { checkLeftovers } from './leftovers.js';
import { Outgoing } from './outgoing.js';
import { checkRealTime, describeReads } from './real-time.js';
import { checkStrikes } from './strikes.js';
import { idOf, Undos } from './undo.js';
import { nameKey, Replay, sameContent, slotKey } from './replay.js';

/** The kernel's own word in place of a turn: an error, and nothing else. */
const isRefusal = ({ body }: TurnFact): boolean => !body[7][0] && body.slice(0, 7).every((part) => part.length === 0);

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
    const fail = (rule: string, message: string): void => this.fail(rule, message);
    this.checkAttempts();
    this.checkOnce();
    this.checkAnswers();
    this.checkSameAnswer();
    checkRealTime(this.history, this.replay, fail);
    checkStrikes(this.history, fail);
    this.checkResults();
    new Outgoing(this.history, this.replay, fail).check();
    new Undos(this.history, this.replay, fail).check();
    checkLeftovers(this.history, fail);
    this.checkNotices();
    this.checkEffects();
    this.checkEnd();
    return this.violations;
  }

  /** What the journal says a turn read is what its host saw, and no turn is of a host that was given up before. */
  checkAttempts(): void {
    for (const turn of this.history.turns) {
      const fact = this.history.attempts.get(turn.attempt);
      if (fact === undefined) {
        if (turn.seq > 1 && !isRefusal(turn) && turn.own === '')
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
        `what attempt ${fact.attempt} (${idOf(fact)}) read never stood together: ${describeReads(this.replay, fact)}`,
      );
    else if (point > answer.durable)
      this.fail(
        'gate',
        `the answer of ${idOf(answer)} shows what turn ${point} left, when only turn ${answer.durable} was durable`,
      );
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
        if (value !== UNKNOWN && !sameResult(value, results[i]))
          this.fail(
            'result',
            `${token} (turn ${turn?.seq ?? `after ${point}`}) was answered ${JSON.stringify(results)}; by the order it is ${String(value)} at place ${i}`,
          );
      });
    }
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

  /** After faults have stopped everything is answered, and what is read back is what the journal says. */
  checkEnd(): void {
    if (this.history.stuck !== '') this.fail('liveness', this.history.stuck);
    for (const request of this.history.requests) {
      if (request.outcome === 'open') this.fail('liveness', `${request.token} was never answered`);
      else if (request.code === 'MUTE')
        this.fail('liveness', `${request.token} was given up, though a kernel was there`);
      else if (request.code === 'EARLY') this.fail('deadline', `${request.token} was given up before its deadline`);
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
