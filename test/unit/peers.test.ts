/** What a peer sends ends that peer's link, or at most this life of the kernel; it never says that the journal is damaged (peers.ts E1, E2). */
import { Admission, hashToken } from '../../actors/supervisor/admission.js';
import { Peers } from '../../actors/supervisor/peers.js';
import type { Workers } from '../../actors/supervisor/workers.js';
import { MAGIC, ORIGIN, pack, PROTOCOL_VERSION, T, TelosError, type Hello, type Run } from '../../protocol/index.js';
import { oid, world, type World } from './kernel/world.js';

const HOST = 'host-key';

async function served(): Promise<{ w: World; peers: Peers; broken: unknown[] }> {
  const w = await world();
  const admission = new Admission();
  admission.addClient('owner', { rights: ['author'], tokenHash: hashToken('t') });
  admission.addWorker(HOST, { life: 3, role: 'host', incarnation: 103, tokenHash: hashToken('t') });
  const broken: unknown[] = [];
  const life = { id: 3, incarnation: 103, spec: { role: 'host' } };
  const peers = new Peers({
    kernel: w.kernel,
    workers: { joined: () => life } as unknown as Workers,
    admission,
    log: () => undefined,
    welcome: () => undefined,
    broken: (error) => void broken.push(error),
  });
  const hello = (role: string, incarnation: number, key: string): Hello =>
    [MAGIC, PROTOCOL_VERSION, role, incarnation, key, 't', 0, 'test', []] as unknown as Hello;
  peers.hello(1, hello('client', 0, 'owner'), 'owner');
  peers.hello(2, hello('host', 103, HOST), HOST);
  await w.settle();
  return { w, peers, broken };
}

const ask = (no: number): unknown => [T.ASK, no, 1, 20_000, '', '#a', 'x', pack([]), ORIGIN.PROGRAM];
const code = (wanted: string): Error => expect.objectContaining({ code: wanted }) as Error;

test('a bad COMMIT is the offence of its host: nothing breaks', async () => {
  const { w, peers, broken } = await served();
  peers.work(2, [[T.LOAD, 1, ['#a'], []]]);
  await w.settle();
  peers.work(1, [ask(1)]);
  const [, session, no] = w.runs(3).at(-1) as Run;
  const patch = [oid('#a'), [['balance', 2, Buffer.from([0x90])]]];
  const reads = [oid('#a'), ['balance', w.accepted('#a', 'balance')]];
  const bytes = pack([[reads], [], [], [patch], [], [], [], [true, null, null]]);
  expect(() => peers.work(2, [[T.COMMIT, w.attempt(3), session, no, bytes]])).toThrow(code('MALFORMED'));
  expect(broken).toEqual([]);
  expect(w.value('#a', 'balance')).toBe(100);
});

test('an answer that is both a value and an error is malformed', async () => {
  const { w, peers } = await served();
  peers.work(1, [ask(1)]);
  const [, session, no] = w.runs(3).at(-1) as Run;
  for (const reply of [
    [true, 1, ['BUSY', '', '', '', null]],
    [false, 1, ['METHOD_FAILED', '', '', '', null]],
  ]) {
    const bytes = pack([[], [], [], [], [], [], [], reply]);
    expect(() => peers.work(2, [[T.COMMIT, w.attempt(3), session, no, bytes]])).toThrow(code('MALFORMED'));
  }
});

test('DAMAGED out of what a peer sent ends this life of the kernel, and is not final', async () => {
  const { w, peers, broken } = await served();
  w.kernel.fromClient = () => {
    throw new TelosError('DAMAGED', 'a patch does not fit');
  };
  peers.work(1, [ask(1)]);
  expect(broken).toEqual([code('INTERNAL')]);
  expect((broken[0] as TelosError).cause).toEqual(code('DAMAGED'));
});
