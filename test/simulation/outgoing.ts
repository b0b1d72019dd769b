/** Outbox messages, timers and dead letters: each takes effect once or is there to be seen, and money is neither made nor lost. */
import type { History, TurnFact } from './history.js';
import { slotKey, type Replay } from './replay.js';
import { idOf, undoneBy } from './undo.js';

type Fail = (rule: string, message: string) => void;

const SETTLES = new Set(['deadLetterRetry', 'deadLetterDrop']);

export class Outgoing {
  readonly #sentBy = new Map<number, TurnFact>();
  /** Messages that an undo took back before they were sent. */
  readonly #withdrawn = new Map<number, TurnFact>();
  readonly #handledBy = new Map<number, TurnFact>();

  constructor(
    private readonly history: History,
    private readonly replay: Replay,
    private readonly fail: Fail,
  ) {}

  check(): void {
    for (const turn of this.history.turns) {
      if (turn.session === 0) this.#handledBy.set(turn.no, turn);
      for (const no of numbersOf(turn)) {
        const other = this.#sentBy.get(no);
        if (other !== undefined) this.fail('outbox', `turns ${other.seq} and ${turn.seq} both sent message ${no}`);
        this.#sentBy.set(no, turn);
      }
      const undone = this.history.turns[undoneBy(turn) - 1];
      if (undone) for (const no of numbersOf(undone)) this.#withdrawn.set(no, turn);
    }
    this.#checkDeliveries();
    for (const [no, sender] of this.#sentBy) this.#checkHandled(no, sender);
    this.#checkLetters();
    this.#checkMoney();
  }

  #checkDeliveries(): void {
    for (const delivery of this.history.deliveries) {
      const sender = this.#sentBy.get(delivery.no);
      if (sender === undefined)
        this.fail('gate', `message ${delivery.no} was delivered, and no turn in the journal sent it`);
      else if (sender.seq > delivery.durable)
        this.fail(
          'gate',
          `message ${delivery.no} of turn ${sender.seq} was delivered when only turn ${delivery.durable} was durable`,
        );
      else this.#checkDue(sender, delivery.no, delivery.time);
    }
  }

  #checkDue(sender: TurnFact, no: number, time: number): void {
    const timer = sender.body[6][no - sender.firstOutgoing - sender.body[5].length];
    if (timer !== undefined && time < sender.time + timer[0])
      this.fail('timer', `timer ${no} of turn ${sender.seq} fired ${sender.time + timer[0] - time} ms early`);
  }

  #checkHandled(no: number, sender: TurnFact): void {
    const turn = this.#handledBy.get(no);
    const dead = this.#isDead(`0:${no}`);
    const pending = this.history.pending.has(no);
    const undo = this.#withdrawn.get(no);
    if (undo !== undefined) {
      if (turn !== undefined || dead || pending)
        this.fail('undo', `turn ${undo.seq} took turn ${sender.seq} back, whose message ${no} goes on all the same`);
    } else if (turn !== undefined) this.#checkHandledIn(turn, no, sender, dead, pending);
    else if (!dead && !pending) this.fail('outbox', `message ${no} of turn ${sender.seq} is lost`);
    else if (pending && this.history.stuck === '')
      this.fail('liveness', `message ${no} of turn ${sender.seq} was never delivered`);
  }

  #checkHandledIn(turn: TurnFact, no: number, sender: TurnFact, dead: boolean, pending: boolean): void {
    if (!turn.consumed) this.fail('outbox', `turn ${turn.seq} handled message ${no} and left it in the journal`);
    if (turn.seq <= sender.seq)
      this.fail('outbox', `message ${no} was handled in turn ${turn.seq}, before turn ${sender.seq} had sent it`);
    if (pending) this.fail('outbox', `message ${no} was handled in turn ${turn.seq} and is still to be delivered`);
    if (turn.body[7][0] === dead)
      this.fail(
        'outbox',
        `message ${no} ended ${turn.body[7][0] ? 'well' : 'in an error'} and there is ${dead ? 'a' : 'no'} dead letter`,
      );
  }

  // ---- dead letters ----------------------------------------------------------------------------------------------------------

  /** There is, or was, a letter for this message. */
  #isDead(id: string): boolean {
    if (this.history.deadLetters.has(id)) return true;
    for (const letter of this.history.letters.values()) if (letter.of === id) return true;
    return false;
  }

  /** By letter: the turn that retried or dropped it. */
  #settled(): Map<number, TurnFact> {
    const settled = new Map<number, TurnFact>();
    for (const turn of this.history.turns) {
      if (!SETTLES.has(turn.own) || !turn.body[7][0]) continue;
      const letter = Number(this.history.questions.get(idOf(turn))?.args[0]);
      const other = settled.get(letter);
      if (other !== undefined)
        this.fail('letter', `turns ${other.seq} (${other.own}) and ${turn.seq} (${turn.own}) settled letter ${letter}`);
      if (turn.body[5].length !== (turn.own === 'deadLetterRetry' ? 1 : 0))
        this.fail('letter', `turn ${turn.seq} (${turn.own} ${letter}) sent ${turn.body[5].length} messages`);
      settled.set(letter, turn);
    }
    return settled;
  }

  #checkLetters(): void {
    const settled = this.#settled();
    for (const [letter, turn] of settled)
      if (!this.history.letters.has(letter))
        this.fail('letter', `turn ${turn.seq} settled letter ${letter}, which never was`);
    for (const [letter, { of, left }] of this.history.letters) {
      const turn = settled.get(letter);
      if (left && turn !== undefined)
        this.fail('letter', `letter ${letter} (message ${of}) is still there after turn ${turn.seq} (${turn.own})`);
      if (!left && turn === undefined)
        this.fail('letter', `letter ${letter} (message ${of}) is gone, and nobody settled it`);
    }
    for (const told of this.history.told) {
      if (this.history.questions.get(idOf(told))?.op !== 'deadLetters' || told.error !== null) continue;
      for (const { id } of told.value as { id: number }[])
        if (!this.history.letters.has(id))
          this.fail('question', `${idOf(told)} shows letter ${id}, which never was durable`);
    }
  }

  // ---- money -----------------------------------------------------------------------------------------------------------------

  /**
   * Transfers neither make nor lose money. What is on its way counts as there: in the outbox, in a letter, also one that was dropped, or in
   * a message that an undo withdrew. What an undo puts back is what it changes: that it changes the right thing is another rule.
   */
  #checkMoney(): void {
    let total = 0;
    for (const key of this.replay.keys())
      if (key.endsWith(' balance')) total += Number(this.replay.latest(key).content ?? 0);
    for (const no of [...this.history.pending, ...this.#withdrawn.keys()]) total += this.history.moneyIn.get(no) ?? 0;
    const settled = this.#settledQuietly();
    for (const [letter, { money }] of this.history.letters)
      if (settled.get(letter)?.own !== 'deadLetterRetry') total += money;
    let expected = 0;
    for (const turn of this.history.turns) expected += undoneBy(turn) > 0 ? this.#change(turn) : putIn(turn);
    if (total !== expected) this.fail('money', `${expected} was put in and ${total} is there`);
  }

  #settledQuietly(): Map<number, TurnFact> {
    const quiet = new Outgoing(this.history, this.replay, () => undefined);
    return quiet.#settled();
  }

  /** What the turn does to all balances together. */
  #change({ seq, body }: TurnFact): number {
    let change = 0;
    for (const [oid, writes] of body[3]) {
      for (const [slot] of writes) {
        if (slot !== 'balance') continue;
        const key = slotKey(oid, slot);
        change += Number(this.replay.at(key, seq).content ?? 0) - Number(this.replay.at(key, seq - 1).content ?? 0);
      }
    }
    return change;
  }
}

const numbersOf = ({ body, firstOutgoing }: TurnFact): number[] =>
  Array.from({ length: body[5].length + body[6].length }, (_, i) => firstOutgoing + i);

/** Balances of objects that the turn makes. */
function putIn({ body }: TurnFact): number {
  let sum = 0;
  for (const [oid, writes] of body[3])
    for (const [slot, , payload] of writes) if (slot === 'balance' && body[2].includes(oid)) sum += Number(payload);
  return sum;
}
