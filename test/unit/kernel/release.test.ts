/** One slow request does not stop the others, and a refused subscription is heard of: the client library against a kernel. */
import { defaultConfig } from '../../../config/index.js';
import { ClientSession, type Sink } from '../../../clients/library/session.js';
import { Watch } from '../../../clients/library/watch.js';
import { ORIGIN, pack, T, type Envelope, type FromClient, type Run, type ToClient } from '../../../protocol/index.js';
import { oid, world, type World } from './world.js';

const WINDOW = 64;

interface Pair {
  readonly w: World;
  readonly session: ClientSession;
  readonly sent: FromClient[];
  readonly errors: string[];
  answered: number;
  /** Hands over what the kernel has sent since the last time. */
  readonly deliver: () => void;
  readonly ask: (selector: string) => void;
}

async function pair(): Promise<Pair> {
  const config = { ...defaultConfig, message: { ...defaultConfig.message, window: WINDOW } };
  const w = await world({}, config);
  w.host(1);
  const id = await w.join(1);
  await w.load(1, '#a', '#b');
  const sent: FromClient[] = [];
  let heard = 0;
  const limits = {
    window: WINDOW,
    backlog: 1000,
    defaultDeadlineMs: 20_000,
    maxDeadlineMs: 20_000,
    giveUpMs: 1e9,
    graceMs: 1000,
    backoffFirstMs: 5,
    backoffMaxMs: 1000,
  };
  const send = (envelope: FromClient): boolean => {
    sent.push(envelope);
    w.kernel.fromClient(1, envelope, w.now);
    return true;
  };
  const session = new ClientSession(limits, { send, greetAnew: () => undefined }, () => 0.5);
  session.onWelcome(id, WINDOW, w.now);
  const made: Pair = {
    ...{ w, session, sent, errors: [], answered: 0 },
    deliver: () => {
      for (const [, envelope] of w.toClient.slice(heard)) {
        if (envelope[0] === T.ERROR) made.errors.push((envelope[2] as string[])[0] as string);
        session.onEnvelope(envelope as ToClient, w.now);
      }
      heard = w.toClient.length;
    },
    ask: (selector) => {
      const sink: Sink = { done: () => made.answered++, failed: (error) => void made.errors.push(error.code) };
      session.ask({ target: '#a', selector, args: pack([]), origin: ORIGIN.PROGRAM }, sink, w.now);
    },
  };
  return made;
}

const lastRun = (w: World): Run => w.runs(1).at(-1) as Run;

/** One ask that writes, from its sending to its answer. */
async function quick({ w, ask, deliver }: Pair, read: boolean): Promise<void> {
  ask('quick');
  if (read) w.commit(1, lastRun(w), { reads: [[oid('#a'), ['balance', w.accepted('#a', 'balance')]]], answer: 'read' });
  else w.add(1, lastRun(w), '#a', 1);
  w.kernel.flush(w.now);
  while (w.sync());
  deliver();
}

test.each([
  ['writes', false],
  ['reads', true],
])('three windows of quick asks (%s) beside a slow one never see BUSY (C7)', async (_what, read) => {
  const p = await pair();
  p.ask('slow');
  const slow = lastRun(p.w);
  for (let i = 0; i < 3 * WINDOW; i++) await quick(p, read);
  expect(p.errors).toEqual([]);
  expect(p.answered).toBe(3 * WINDOW);
  expect(p.w.kernel.core.sessions.byId.get(slow[1])?.replies.size).toBeLessThan(WINDOW);
  p.w.add(1, slow, '#b', 1);
  await p.w.settle();
  p.deliver();
  expect(p.answered).toBe(3 * WINDOW + 1);
});

test('a released number is refused EXPIRED and not run; after a restart the client releases again', async () => {
  const p = await pair();
  const { w } = p;
  p.ask('slow');
  for (let i = 0; i < WINDOW; i++) await quick(p, false);
  expect(p.sent.filter(([type]) => type === T.RELEASE).length).toBeGreaterThan(0);
  const runs = w.runs(1).length;
  w.ask(1, 2, '#a', 'quick');
  expect(w.runs(1).length).toBe(runs);
  expect(w.toClient.at(-1)?.[1][2]).toEqual(expect.arrayContaining(['EXPIRED']));
  const { id } = p.session;
  p.session.onLost(w.now);
  await w.restart();
  await w.join(1, id);
  const replies = (): number => w.kernel.core.sessions.byId.get(id as never)?.replies.size ?? -1;
  expect(replies()).toBe(WINDOW);
  w.host(2);
  p.session.onWelcome(id, WINDOW, w.now);
  expect(replies()).toBe(0);
  expect(w.runs(2).map((run) => run[2])).toEqual([1]);
});

test('an answer that comes after its sender has passed its number is not kept', async () => {
  const { w } = await pair();
  w.ask(1, 1, '#a', 'late');
  const late = lastRun(w);
  w.ask(1, 2, '#a', 'next', { lowest: 2 });
  w.add(1, late, '#a', 1);
  await w.settle();
  expect([...(w.kernel.core.sessions.byId.get(late[1])?.replies.keys() ?? [])]).toEqual([]);
});

test('a watch throws the refusal to who waits for its next notice, or comes later, once', async () => {
  const p = await pair();
  const connection = { session: p.session, watch: () => undefined } as unknown as ConstructorParameters<
    typeof Watch
  >[0];
  const waiting = new Watch(connection, 'no name!', 10, String);
  const next = waiting.next();
  const late = new Watch(connection, 'nor this', 10, String);
  p.deliver();
  await expect(next).rejects.toMatchObject({ code: 'BAD_NAME' });
  await expect(late.next()).rejects.toMatchObject({ code: 'BAD_NAME' });
  for (const watch of [waiting, late]) expect(await watch.next()).toEqual({ value: undefined, done: true });
});

test('a refused subscription is told, with the limit, and ends there', async () => {
  const p = await pair();
  const heard: unknown[] = [];
  const sink = { notice: () => undefined, ended: (error?: Error) => void heard.push(error) };
  p.session.subscribe('no name!', 10, sink);
  for (let i = 0; i <= defaultConfig.kernel.maxSubscriptions; i++) p.session.subscribe('#a', 10, sink);
  p.deliver();
  expect(heard).toEqual([
    expect.objectContaining({ code: 'BAD_NAME' }),
    expect.objectContaining({ code: 'BUSY', message: expect.stringContaining('kernel.max_subscriptions') as unknown }),
  ]);
  const told = p.w.toClient.filter(([, envelope]: [number, Envelope]) => envelope[0] === T.UNSUBSCRIBED);
  expect(told).toHaveLength(2);
  p.session.onWelcome(p.session.id, WINDOW, p.w.now);
  expect(p.sent.filter((envelope) => envelope[0] === T.SUBSCRIBE && envelope[2] === 'no name!')).toHaveLength(1);
});
