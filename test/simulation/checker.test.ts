/** The checker on histories made by hand: a good one passes, and each kind of broken promise is named. */
import {
  WRITE,
  type Attempt,
  type CommitBody,
  type Content,
  type Oid,
  type Reply,
  type SlotWrite,
} from '../../protocol/envelope.js';
import { checkHistory } from './checker.js';
import { emptyHistory, type AnswerFact, type History, type SlotSeen, type TurnFact } from './history.js';

type Reads = readonly (readonly [oid: string, slot: string, attempt: number])[];
type Sets = readonly (readonly [oid: string, slot: string, content: Content])[];

const SESSION = 7;

/** Two accounts of 100 made by turn 1 (attempt 1), and whatever a test adds: turns whose attempt is their seq. */
class Builder {
  readonly history: History = emptyHistory();
  #moment = 0;

  constructor() {
    this.turn(
      [],
      [
        ['#a', 'balance', 100],
        ['#b', 'balance', 100],
      ],
      { creates: ['#a', '#b'] },
    );
  }

  moment(): number {
    return ++this.#moment;
  }

  turn(
    reads: Reads,
    sets: Sets,
    more: {
      creates?: string[];
      no?: number;
      session?: number;
      tells?: number;
      consumed?: boolean;
      attempt?: number;
    } = {},
  ): TurnFact {
    const { history } = this;
    const seq = history.turns.length + 1;
    const attempt = more.attempt ?? seq;
    const body: CommitBody = [
      reads.map(([oid, slot, read]) => [oid as Oid, [slot, read as Attempt]]),
      [],
      (more.creates ?? []) as Oid[],
      sets.map(([oid, slot, content]) => [oid as Oid, [[slot, WRITE.SET, content] satisfies SlotWrite]]),
      [],
      Array.from({ length: more.tells ?? 0 }, () => ['#b' as Oid, 'x', new Uint8Array()]),
      [],
      [true, 'ok', null],
    ];
    const turn: TurnFact = {
      seq,
      attempt,
      session: more.session ?? SESSION,
      no: more.no ?? seq,
      time: seq,
      body,
      before: [],
      namesBefore: [],
      firstOutgoing: 100 * seq,
      consumed: more.consumed ?? false,
      own: '',
    };
    history.turns.push(turn);
    this.attempt(attempt, reads, { session: turn.session, no: turn.no, wrote: true });
    return turn;
  }

  attempt(attempt: number, reads: Reads, { session = SESSION, no = attempt, wrote = false } = {}): void {
    const seen = reads.map(([oid, slot, read]): SlotSeen => [oid, slot, read, this.#contentOf(oid, slot, read)]);
    this.history.attempts.set(attempt, {
      attempt,
      session,
      no,
      reads: seen,
      names: [],
      wrote,
      reply: [true, `answer ${attempt}`, null],
      fenced: false,
    });
  }

  #contentOf(oid: string, slot: string, attempt: number): Content {
    const writes = this.history.turns.find((turn) => turn.attempt === attempt)?.body[3] ?? [];
    return writes.find(([other, [write]]) => other === oid && write?.[0] === slot)?.[1][0]?.[2] ?? null;
  }

  answer(attempt: number, more: Partial<AnswerFact> = {}): void {
    const turn = this.history.turns.find((one) => one.attempt === attempt);
    const fact = this.history.attempts.get(attempt);
    const base = {
      at: this.moment(),
      life: 1,
      session: SESSION,
      no: fact?.no ?? 0,
      attempt,
      code: '',
      retryable: false,
      seq: turn?.seq ?? 0,
      reply: [true, `answer ${attempt}`, null] as Reply,
    };
    this.history.answers.push({ ...base, durable: this.history.turns.length, ...more });
  }

  /** A request that began and ended at these moments. */
  request(attempt: number, begun: number, ended: number): void {
    this.history.requests.push({
      token: `request ${attempt}`,
      begun,
      ended,
      outcome: 'answer',
      attempt,
      code: '',
      results: [],
    });
  }

  /** What a restart would read back. */
  readBack(): this {
    const latest = new Map<string, SlotSeen>();
    for (const { attempt, body } of this.history.turns) {
      for (const oid of body[2]) latest.set(`${oid} `, [oid, '', attempt, null]);
      for (const [oid, writes] of body[3]) {
        for (const [slot, , content] of writes) {
          if (!latest.has(`${oid} ${slot}`)) latest.set(`${oid} `, [oid, '', attempt, null]);
          latest.set(`${oid} ${slot}`, [oid, slot, attempt, content]);
        }
      }
    }
    this.history.finalSlots.push(...latest.values());
    return this;
  }

  rules(): string[] {
    return [...new Set(checkHistory(this.history).map(({ rule }) => rule))];
  }
}

const move: [Reads, Sets] = [
  [
    ['#a', 'balance', 1],
    ['#b', 'balance', 1],
  ],
  [
    ['#a', 'balance', 90],
    ['#b', 'balance', 110],
  ],
];

test('a good history breaks nothing', () => {
  const good = new Builder();
  good.turn(...move);
  good.answer(2);
  good.request(2, 1, 2);
  good.attempt(50, [
    ['#a', 'balance', 2],
    ['#b', 'balance', 2],
  ]);
  good.answer(50);
  good.request(50, 3, 4);
  expect(checkHistory(good.readBack().history)).toEqual([]);
});

test('a lost update', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.turn(
    [['#a', 'balance', 1]],
    [
      ['#a', 'balance', 95],
      ['#b', 'balance', 105],
    ],
  );
  expect(bad.readBack().rules()).toEqual(['serializability']);
});

test('a read that saw half of a turn', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.attempt(50, [
    ['#a', 'balance', 1],
    ['#b', 'balance', 2],
  ]);
  bad.answer(50);
  expect(bad.readBack().rules()).toEqual(['serializability']);
});

test('a phantom: absent, although a turn had made it', () => {
  const bad = new Builder();
  bad.turn([], [['#a', 'extra', 1]]);
  bad.turn([['#a', 'extra', 0]], [['#b', 'extra', 1]]);
  expect(bad.readBack().rules()).toEqual(['serializability']);
});

test('a content that its attempt never gave', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.history.attempts.set(2, { ...bad.history.attempts.get(2)!, reads: [['#a', 'balance', 1, 77]] });
  expect(bad.readBack().rules()).toEqual(['serializability']);
});

test('a read of the past, after a newer answer had been seen', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.answer(2);
  bad.request(2, 1, 2);
  bad.attempt(50, [['#a', 'balance', 1]]);
  bad.answer(50);
  bad.request(50, 3, 4);
  expect(bad.readBack().rules()).toEqual(['real-time']);
});

test('two reads that go back in time, one after the other', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.attempt(50, [['#a', 'balance', 2]]);
  bad.answer(50);
  bad.request(50, 1, 2);
  bad.attempt(51, [['#b', 'balance', 1]]);
  bad.answer(51);
  bad.request(51, 3, 4);
  expect(bad.readBack().rules()).toEqual(['real-time']);
});

test('concurrent reads may see either', () => {
  const good = new Builder();
  good.turn(...move);
  good.attempt(50, [['#a', 'balance', 2]]);
  good.answer(50);
  good.request(50, 1, 4);
  good.attempt(51, [['#b', 'balance', 1]]);
  good.answer(51);
  good.request(51, 2, 3);
  expect(good.readBack().rules()).toEqual([]);
});

test('an answered commit that is not in the journal', () => {
  const bad = new Builder();
  bad.attempt(50, [], { wrote: true });
  bad.answer(50, { seq: 2 });
  expect(bad.readBack().rules()).toEqual(['durability']);
});

test('an answer, and a read, that left before what they show was durable', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.answer(2, { durable: 1 });
  expect(bad.readBack().rules()).toEqual(['gate']);
  const reader = new Builder();
  reader.turn(...move);
  reader.attempt(50, [['#a', 'balance', 2]]);
  reader.answer(50, { durable: 1 });
  expect(reader.readBack().rules()).toEqual(['gate']);
});

test('one message, two effects', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.turn([['#a', 'balance', 2]], [['#a', 'hits', 1]], { no: 2 });
  expect(bad.readBack().rules()).toEqual(['once']);
});

test('one request under two ids, both of which took effect', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.turn([], [['#a', 'hits', 1]]);
  for (const no of [2, 3]) bad.history.asks.push({ session: SESSION, no, token: 'once please' });
  expect(bad.readBack().rules()).toEqual(['once']);
});

test('two answers to one message; a read run anew after a restart may differ', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.answer(2);
  bad.answer(0, { no: 2, code: 'METHOD_FAILED', reply: [false, null, ['METHOD_FAILED', '', '', '', null]] });
  expect(bad.readBack().rules()).toContain('same-answer');
  const reader = new Builder();
  reader.attempt(50, [['#a', 'balance', 1]], { no: 9 });
  reader.answer(50);
  reader.turn(...move);
  reader.attempt(51, [['#a', 'balance', 2]], { no: 9 });
  reader.answer(51, { life: 2 });
  expect(reader.readBack().rules()).toEqual([]);
  reader.history.answers[1] = { ...reader.history.answers[1]!, life: 1 };
  expect(reader.rules()).toEqual(['same-answer']);
});

test('a refusal of the kernel whose message took effect', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.answer(0, { no: 2, code: 'DEADLINE', reply: [false, null, ['DEADLINE', '', '', '', null]] });
  expect(bad.readBack().rules()).toEqual(['answer']);
});

test('the answer of somebody else', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.answer(2, { no: 3 });
  expect(bad.readBack().rules()).toEqual(['answer']);
});

test('a commit of a host that had been given up', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.history.attempts.get(2)!.fenced = true;
  expect(bad.readBack().rules()).toEqual(['fencing']);
});

test('money that is made or lost', () => {
  const bad = new Builder();
  bad.turn([['#a', 'balance', 1]], [['#a', 'balance', 50]]);
  expect(bad.readBack().rules()).toEqual(['money']);
});

describe('an outbox message', () => {
  const sent = (): Builder => {
    const builder = new Builder();
    builder.turn([], [['#a', 'hits', 1]], { tells: 1 });
    return builder;
  };

  test('handled once is well', () => {
    const good = sent();
    good.history.deliveries.push({ at: 1, no: 200, time: 3, durable: 2 });
    good.turn([], [['#b', 'hits', 1]], { session: 0, no: 200, consumed: true });
    expect(good.readBack().rules()).toEqual([]);
  });

  test('lost', () => {
    expect(sent().readBack().rules()).toEqual(['outbox']);
  });

  test('handled twice', () => {
    const bad = sent();
    for (const hits of [1, 2]) bad.turn([], [['#b', 'hits', hits]], { session: 0, no: 200, consumed: true });
    expect(bad.readBack().rules()).toEqual(['once']);
  });

  test('still waiting at the end', () => {
    const bad = sent();
    bad.history.pending.add(200);
    expect(bad.readBack().rules()).toEqual(['liveness']);
  });

  test('delivered before its turn was durable, or with no turn at all', () => {
    const bad = sent();
    bad.history.deadLetters.add('0:200');
    bad.history.deliveries.push({ at: 1, no: 200, time: 3, durable: 1 });
    expect(bad.readBack().rules()).toEqual(['gate']);
    bad.history.deliveries[0] = { at: 1, no: 300, time: 3, durable: 2 };
    expect(bad.rules()).toEqual(['gate']);
  });
});

test('notices: early, with a hole, out of order', () => {
  const notice = (part: number, seq: number, durable = 3) => ({
    stream: 's',
    part,
    seq,
    durable,
    changes: ['#a', ['balance', 'hits'], '#b', ['balance', 'hits']],
  });
  const make = (): Builder => {
    const builder = new Builder();
    builder.turn(...move);
    builder.turn([], [['#a', 'hits', 1]]);
    return builder.readBack();
  };
  const good = make();
  good.history.notices.push(notice(1, 1), notice(2, 2), notice(3, 3));
  expect(good.rules()).toEqual([]);
  const early = make();
  early.history.notices.push(notice(1, 2, 1));
  expect(early.rules()).toEqual(['gate']);
  const hole = make();
  hole.history.notices.push(notice(1, 1), notice(2, 3));
  expect(hole.rules()).toEqual(['notice']);
  const backwards = make();
  backwards.history.notices.push(notice(1, 2), notice(2, 1));
  expect(backwards.rules()).toEqual(['notice']);
});

test('a service that answers one message in two ways', () => {
  const bad = new Builder().readBack();
  bad.history.effects.push({ life: 1, message: 'm', body: 'yes' }, { life: 1, message: 'm', body: 'no' });
  expect(bad.rules()).toEqual(['recorded']);
});

test('a state that a restart does not bring back', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.readBack();
  bad.history.finalSlots.splice(1, 1);
  expect(bad.rules()).toEqual(['recovery']);
});

test('a journal with a hole', () => {
  const bad = new Builder();
  bad.turn(...move);
  bad.history.turns[1] = { ...bad.history.turns[1]!, seq: 3 };
  expect(bad.readBack().rules()).toContain('order');
});

test('a request that is never answered', () => {
  const bad = new Builder().readBack();
  bad.history.requests.push({
    token: 'waiting',
    begun: 1,
    ended: Infinity,
    outcome: 'open',
    attempt: 0,
    code: '',
    results: [],
  });
  expect(bad.rules()).toEqual(['liveness']);
});
