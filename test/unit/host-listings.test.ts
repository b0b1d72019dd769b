/** What a turn lists on a host that has itself just added to it: another host's addition may be on its way. Invariants: Q (commits.ts). */
import { defaultConfig } from '../../config/index.js';
import {
  checkCommitBody,
  makeAttempt,
  makeSession,
  ORIGIN,
  SHAPE,
  T,
  unpack,
  VERDICT,
  type Attempt,
  type Commit,
  type CommitBody,
  type FromHost,
  type ObjectState,
  type Oid,
  type SlotRow,
} from '../../protocol/index.js';
import { genesisObjects } from '../../runtime/genesis/index.js';
import { Host } from '../../runtime/host/index.js';
import { compileOpen, decode, encode, encodeList, ref } from '../support/world.js';

const A = '#a' as Oid;
const BEFORE = makeAttempt(1, 1);
const OTHERS = makeAttempt(7, 1);
const SESSION = makeSession(1, 1);
const OWN_INCARNATION = 5;

/** A host whose kernel is the test. */
class Alone {
  readonly sent: FromHost[] = [];
  readonly objects = new Map<string, [shape: Attempt, parents: Attempt, rows: SlotRow[]]>();
  #messages = 0;
  readonly host = new Host(defaultConfig, OWN_INCARNATION, {
    send: (envelope) => this.#from(envelope),
    compile: compileOpen,
    clock: () => 0,
    random: () => 0,
    defer: (task) => void setImmediate(task),
    afterMicrotasks: (task) => queueMicrotask(() => process.nextTick(task)),
    later: (_ms, task) => void setImmediate(task),
    log: () => undefined,
  });

  constructor() {
    for (const [oid, slots] of genesisObjects())
      this.objects.set(oid, [BEFORE, BEFORE, slots.flatMap(([slot, content]) => [slot, BEFORE, 1, content])]);
    this.objects.set(A, [BEFORE, BEFORE, ['parent*', BEFORE, 1, encode(ref('#traits'))]]);
  }

  #from(envelope: FromHost): void {
    this.sent.push(envelope);
    if (envelope[0] !== T.LOAD) return;
    const states = envelope[2].map((oid): ObjectState => {
      const [shape, parents, rows] = this.objects.get(oid) ?? [0 as Attempt, 0 as Attempt, null];
      return [oid, shape, parents, rows];
    });
    setImmediate(() => this.host.receive([T.LOADED, envelope[1], states, [], []]));
  }

  /** Another host's turn has put it there. */
  added(slot: string): void {
    const rows: SlotRow[] = [slot, OTHERS, 1, 1];
    const [, parents, before] = this.objects.get(A) as [Attempt, Attempt, SlotRow[]];
    this.objects.set(A, [OTHERS, parents, [...before, ...rows]]);
    this.host.receive([T.CHANGED, A, OTHERS, parents, [[slot, OTHERS, 1, false, 1]]]);
  }

  /** The kernel accepts what this host has added as `slot`. */
  accept(attempt: Attempt, slot: string): void {
    const [, parents, before] = this.objects.get(A) as [Attempt, Attempt, SlotRow[]];
    this.objects.set(A, [attempt, parents, [...before, slot, attempt, 1, 1]]);
    this.host.receive([T.VERDICT, attempt, VERDICT.ACCEPTED, []]);
  }

  async send(to: Oid | null, selector: string, ...args: unknown[]): Promise<void> {
    const [no, none] = [++this.#messages, 0 as Attempt];
    this.host.receive([
      T.RUN,
      SESSION,
      no,
      to ?? '',
      to,
      none,
      selector,
      encodeList(args),
      1,
      1000,
      ORIGIN.PROGRAM,
      '',
      null,
    ]);
    await rounds();
  }

  get commits(): [attempt: Attempt, body: CommitBody][] {
    return this.sent
      .filter((envelope): envelope is Commit => envelope[0] === T.COMMIT)
      .map(([, attempt, , , bytes]) => [attempt, checkCommitBody(unpack(bytes))]);
  }
}

const rounds = async (): Promise<void> => {
  for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve));
};
const listed = ([, body]: [Attempt, CommitBody]): unknown => decode(body[7][1]);

test('a listing waits for the verdict on what this host has added, and has what another host added before it', async () => {
  const w = new Alone();
  await w.send(A, 'setSlot', 'mine', 1);
  await w.send(A, 'slots');
  expect(w.commits).toHaveLength(1);
  const [[own]] = w.commits as [[Attempt, CommitBody]];
  w.added('theirs');
  w.accept(own, 'mine');
  await rounds();
  expect(w.commits).toHaveLength(2);
  expect(listed(w.commits[1] as [Attempt, CommitBody])).toEqual(['mine', 'parent*', 'theirs']);
});

test('nothing came before it: the listing is not run again', async () => {
  const w = new Alone();
  await w.send(A, 'setSlot', 'mine', 1);
  await w.send(A, 'slots');
  const [[own]] = w.commits as [[Attempt, CommitBody]];
  w.accept(own, 'mine');
  await rounds();
  const [, listing] = w.commits as [unknown, [Attempt, CommitBody]];
  expect(listed(listing)).toEqual(['mine', 'parent*']);
  expect(listing[1][0]).toContainEqual([A, expect.arrayContaining([SHAPE, own])]);
  expect(w.host.stats()['conflicts']).toBe(0);
});

test('a listing whose object was loaded anew meanwhile is run again, though the shape is the same', async () => {
  const w = new Alone();
  await w.send(A, 'setSlot', 'mine', 1);
  await w.send(A, 'slots');
  const [[own]] = w.commits as [[Attempt, CommitBody]];
  w.added('theirs');
  await w.send(null, 'turn', 'async () => image.ref("#a").mine()');
  w.accept(own, 'mine');
  await rounds();
  expect(w.commits.map(listed)).toContainEqual(['mine', 'parent*', 'theirs']);
  expect(w.commits.map(listed)).not.toContainEqual(['mine', 'parent*']);
});

test('what this host has made itself is listed at once: no other host can have been before it', async () => {
  const w = new Alone();
  await w.send(A, 'clone', { n: 1 });
  const [[, body]] = w.commits as [[Attempt, CommitBody]];
  const made = body[2][0] as Oid;
  await w.send(made, 'slots');
  expect(w.commits.map(listed)).toContainEqual(['n', 'parent*']);
});
