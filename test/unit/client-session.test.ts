/** Attacks the invariants C1 to C6 of clients/library/session.ts, with a clock and a network in the test's hand. */
import {
  ORIGIN,
  T,
  TelosError,
  type Content,
  type FromClient,
  type ToClient,
  type WireError,
} from '../../protocol/index.js';
import { ClientSession, type Request, type SessionLimits } from '../../clients/library/session.js';

const limits: SessionLimits = {
  window: 4,
  backlog: 6,
  defaultDeadlineMs: 1000,
  maxDeadlineMs: 100_000,
  giveUpMs: 50_000,
  graceMs: 300,
  backoffFirstMs: 10,
  backoffMaxMs: 100,
};
const ARGS = Uint8Array.of(0x90);
const busy = new TelosError('BUSY', 'full').toWire();

class World {
  now = 0;
  sent: FromClient[] = [];
  laneFull = false;
  greetings = 0;
  outcomes: (string | { error: TelosError })[] = [];
  readonly session: ClientSession;

  constructor(own: Partial<SessionLimits> = {}) {
    const port = {
      send: (envelope: FromClient): boolean => {
        if (!this.laneFull) this.sent.push(envelope);
        if (!this.laneFull && envelope[0] === T.ASK) this.record(envelope[1], envelope[6]);
        return !this.laneFull;
      },
      greetAnew: (): void => {
        this.greetings++;
      },
    };
    this.session = new ClientSession({ ...limits, ...own }, port, () => 0.5);
  }

  /** C1: what each number of each session stood for. */
  readonly meaning = new Map<string, string>();

  private record(no: number, selector: string): void {
    const id = `${this.session.id}/${no}`;
    const before = this.meaning.get(id) ?? selector;
    if (before !== selector || this.session.id === 0) throw new Error(`${id} meant ${before}, now ${selector}`);
    this.meaning.set(id, selector);
  }

  welcome(id = 7): this {
    this.session.onWelcome(id, 4096, this.now);
    return this;
  }

  ask(label = 'a', deadlineMs?: number): Request {
    const sink = {
      done: (body: Content) => void this.outcomes.push(`${label}=${String(body)}`),
      failed: (error: TelosError) => void this.outcomes.push({ error }),
      partial: (part: number, body: Content) => void this.outcomes.push(`${label}/${part}=${String(body)}`),
    };
    return this.session.ask(
      { target: 'x', selector: label, args: ARGS, origin: ORIGIN.PROGRAM, deadlineMs },
      sink,
      this.now,
    );
  }

  get(envelope: ToClient): void {
    this.session.onEnvelope(envelope, this.now);
  }

  answer(no: number, body: Content = no): void {
    this.get([T.ANSWER, no, body, 1]);
  }

  fail(no: number, error: WireError): void {
    this.get([T.ERROR, no, error]);
  }

  at(now: number): this {
    this.now = now;
    this.session.tick(now);
    return this;
  }

  lost(): this {
    this.session.onLost(this.now);
    return this;
  }

  take(): FromClient[] {
    return this.sent.splice(0);
  }

  /** [number, lowest, selector] of the asks sent since last time. */
  asks(): [number, number, string][] {
    return this.take().flatMap((e) => (e[0] === T.ASK ? [[e[1], e[2], e[6]] as [number, number, string]] : []));
  }

  codes(): string[] {
    return this.outcomes.splice(0).map((o) => (typeof o === 'string' ? o : o.error.code));
  }
}

test('an ask before the welcome waits and leaves with the first number', () => {
  const w = new World();
  w.ask('early');
  expect(w.asks()).toEqual([]);
  w.welcome();
  expect(w.asks()).toEqual([[1, 1, 'early']]);
  w.answer(1);
  expect(w.codes()).toEqual(['early=1']);
});

test('C1 a repeat after a reconnect goes under the same number with the same content', () => {
  const w = new World().welcome();
  w.ask('a');
  w.ask('b');
  const [first, second] = w.take();
  w.answer(1);
  w.lost().welcome();
  const [again, more] = w.take();
  expect(more).toBeUndefined();
  expect(again?.slice(4)).toEqual(second?.slice(4));
  expect(again?.[1]).toBe(2);
  expect(first?.[1]).toBe(1);
});

test('C2 a second answer to one number changes nothing', () => {
  const w = new World().welcome();
  w.ask();
  w.answer(1);
  w.answer(1);
  w.fail(1, busy);
  expect(w.codes()).toEqual(['a=1']);
});

test('C3 lowest follows the lowest open number only', () => {
  const w = new World().welcome();
  for (const label of ['a', 'b', 'c']) w.ask(label);
  w.answer(2);
  w.answer(3);
  w.ask('d');
  expect(w.asks().at(-1)).toEqual([4, 1, 'd']);
  w.answer(1);
  w.ask('e');
  expect(w.asks().at(-1)).toEqual([5, 4, 'e']);
});

test('C4 past the window asks wait, past the backlog they are refused', () => {
  const w = new World().welcome();
  for (let i = 0; i < 11; i++) w.ask(`m${i}`);
  expect(w.asks()).toHaveLength(4);
  expect(w.codes()).toEqual(['BUSY']);
  w.answer(2);
  expect(w.asks()).toEqual([[5, 1, 'm4']]);
  expect(w.session.outstanding).toBe(9);
});

test('C4 the kernel may narrow the window', () => {
  const w = new World();
  w.session.onWelcome(7, 2, 0);
  for (let i = 0; i < 4; i++) w.ask(`m${i}`);
  expect(w.asks()).toHaveLength(2);
});

test('C5 in a new session what was sent fails EXPIRED, what was not moves on with a new number', () => {
  const w = new World({ window: 1 }).welcome(7);
  w.ask('sent');
  w.ask('unsent');
  w.take();
  w.lost().welcome(8);
  expect(w.codes()).toEqual(['EXPIRED']);
  expect(w.asks()).toEqual([[1, 1, 'unsent']]);
  expect(w.session.id).toBe(8);
});

test('C5 a kernel that refuses the session is greeted again without one', () => {
  const w = new World().welcome(7);
  w.ask();
  w.lost();
  w.session.onRefused(new TelosError('EXPIRED', 'gone'), 10);
  expect(w.codes()).toEqual(['EXPIRED']);
  expect(w.greetings).toBe(1);
  expect(w.session.id).toBe(0);
});

test('C5 an EXPIRED answer to an open number ends the session', () => {
  const w = new World().welcome(7);
  w.ask('a');
  w.ask('b');
  w.fail(1, new TelosError('EXPIRED', 'gone').toWire());
  expect(w.codes()).toEqual(['EXPIRED', 'EXPIRED']);
  expect(w.greetings).toBe(1);
  w.ask('c');
  w.take();
  w.welcome(9);
  expect(w.asks()).toEqual([[1, 1, 'c']]);
});

test('C6 BUSY is retried under the same number with back-off and thrown only at the deadline', () => {
  const w = new World().welcome();
  w.ask();
  w.take();
  w.fail(1, busy);
  w.at(5);
  expect(w.asks()).toEqual([]);
  w.at(20);
  expect(w.asks()).toEqual([[1, 1, 'a']]);
  w.fail(1, busy);
  w.at(999);
  expect(w.asks()).toEqual([[1, 1, 'a']]);
  w.fail(1, busy);
  expect(w.codes()).toEqual([]);
  w.at(1000);
  expect(w.codes()).toEqual(['BUSY']);
});

test('C6 a connected kernel says DEADLINE itself; a mute one is OUTCOME_UNKNOWN after the grace', () => {
  const w = new World().welcome();
  w.ask('a');
  w.ask('b');
  w.at(1100);
  expect(w.codes()).toEqual([]);
  w.fail(1, new TelosError('DEADLINE', 'over').toWire());
  w.at(1300);
  expect(w.codes()).toEqual(['DEADLINE', 'OUTCOME_UNKNOWN']);
});

test('C6 without a link the deadline means OUTCOME_UNKNOWN, sent or not', () => {
  const w = new World().welcome();
  w.ask('sent');
  w.lost();
  w.ask('unsent', 2000);
  w.at(999);
  expect(w.codes()).toEqual([]);
  w.at(1000);
  expect(w.codes()).toEqual(['OUTCOME_UNKNOWN']);
  w.at(2000);
  expect(w.codes()).toEqual(['OUTCOME_UNKNOWN']);
  expect(w.session.busy).toBe(false);
});

test('C6 a link lost after the deadline ends the wait at the next tick', () => {
  const w = new World().welcome();
  w.ask();
  w.at(1100);
  w.lost().at(1101);
  expect(w.codes()).toEqual(['OUTCOME_UNKNOWN']);
});

test('C6 after giveUpMs without the kernel the session is given up', () => {
  const w = new World({ maxDeadlineMs: 1e9 }).welcome(7);
  w.ask('sent', 1e9);
  w.at(100).lost();
  w.ask('unsent', 1e9);
  w.at(50_099);
  expect(w.codes()).toEqual([]);
  w.at(50_100);
  expect(w.codes()).toEqual(['OUTCOME_UNKNOWN']);
  expect(w.session.id).toBe(0);
  w.take();
  w.welcome(8);
  expect(w.asks()).toEqual([[1, 1, 'unsent']]);
});

test('each partial answer renews the deadline', () => {
  const w = new World().welcome();
  w.ask();
  w.at(900);
  w.get([T.PARTIAL, 1, 1, 'x']);
  w.at(1800);
  w.lost().at(1899);
  expect(w.codes()).toEqual(['a/1=x']);
  w.at(1900);
  expect(w.codes()).toEqual(['OUTCOME_UNKNOWN']);
});

test('repeated parts are dropped, part 1 begins the stream anew', () => {
  const w = new World().welcome();
  w.ask();
  for (const part of [1, 2, 2, 1, 2]) w.get([T.PARTIAL, 1, part, 'x']);
  expect(w.codes()).toEqual(['a/1=x', 'a/2=x', 'a/1=x', 'a/2=x']);
});

test('cancel: unsent at once, in flight by the kernel, in back-off at once, lost with the repeat', () => {
  const w = new World({ window: 3 }).welcome();
  const [a, b, c, d] = [w.ask('a'), w.ask('b'), w.ask('c'), w.ask('d')];
  w.take();
  w.session.cancel(d, 0);
  expect(w.codes()).toEqual(['CANCELLED']);
  w.session.cancel(a, 0);
  w.session.cancel(a, 0);
  expect(w.take()).toEqual([[T.CANCEL, 1]]);
  w.fail(1, new TelosError('CANCELLED', 'done').toWire());
  w.fail(2, busy);
  w.session.cancel(b, 0);
  expect(w.codes()).toEqual(['CANCELLED', 'CANCELLED']);
  w.lost();
  w.session.cancel(c, 0);
  w.welcome();
  expect(w.take().map(([type, no]) => [type, no])).toEqual([
    [T.ASK, 3],
    [T.CANCEL, 3],
  ]);
});

test('a full lane loses nothing and gives no number away', () => {
  const w = new World().welcome();
  w.laneFull = true;
  w.ask('a');
  w.ask('b');
  w.at(10);
  w.laneFull = false;
  w.at(20);
  expect(w.asks()).toEqual([
    [1, 1, 'a'],
    [2, 1, 'b'],
  ]);
});

test('close fails what is open, once', () => {
  const w = new World({ window: 1 }).welcome();
  w.ask('a');
  w.ask('b');
  w.session.close();
  w.ask('c');
  w.answer(1);
  expect(w.codes()).toEqual(['CLOSED', 'CLOSED', 'CLOSED']);
  expect(w.session.busy).toBe(false);
});

test('S1, S2 subscriptions come back after a reconnect, gaps are told, credit is given back by halves', () => {
  const w = new World().welcome();
  const heard: string[] = [];
  const sub = w.session.subscribe('acct', 4, {
    notice: (seq) => void heard.push(`n${seq}`),
    gap: () => void heard.push('gap'),
  });
  w.get([T.NOTICE, 1, 1, 10, 0, []]);
  w.get([T.NOTICE, 1, 3, 12, 0, []]);
  expect(heard).toEqual(['n10', 'gap', 'n12']);
  sub.taken(1);
  sub.taken(1);
  w.lost().welcome();
  w.get([T.NOTICE, 1, 1, 20, 0, []]);
  expect(heard.slice(3)).toEqual(['gap', 'n20']);
  sub.end();
  expect(w.take()).toEqual([
    [T.SUBSCRIBE, 1, 'acct', 4],
    [T.CREDIT, 1, 2],
    [T.SUBSCRIBE, 1, 'acct', 4],
    [T.UNSUBSCRIBE, 1],
  ]);
});

test('random schedules: every request is settled exactly once and no number means two requests', () => {
  for (let seed = 1; seed <= 200; seed++) schedule(seed);
});

function schedule(seed: number): void {
  let state = seed;
  const random = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
  const w = new World({ backlog: 50 });
  let session = 0;
  let asked = 0;
  for (let step = 0; step < 300; step++) {
    const open = w.sent.filter((e) => e[0] === T.ASK);
    const pick = open[random(open.length)]?.[1];
    switch (random(8)) {
      case 0:
      case 1:
        w.ask(`m${asked++}`, 1 + random(3000));
        break;
      case 2:
      case 3:
        if (pick !== undefined) w.answer(pick);
        break;
      case 4:
        if (pick !== undefined) w.fail(pick, random(4) === 0 ? new TelosError('EXPIRED', 'gone').toWire() : busy);
        break;
      case 5:
        w.lost();
        break;
      case 6:
        w.welcome((session = w.session.id !== 0 && random(5) > 0 ? w.session.id : session + 1));
        break;
      default:
        w.at(w.now + random(400));
    }
  }
  w.lost().at(w.now + 10_000);
  expect([seed, w.outcomes.length]).toEqual([seed, asked]);
  expect(w.session.outstanding).toBe(0);
}
