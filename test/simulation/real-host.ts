/**
 * The real host (runtime/host) in the simulation, with methods in place of the model's scripts: the same operations, written as the methods
 * of `traits`. Code is compiled without a compartment and runs without a meter, whose clock is not virtual.
 */
import { encodeContent } from '../../protocol/encode.js';
import { methodContent } from '../../protocol/values.js';
import {
  T,
  WRITE,
  type CommitBody,
  type Content,
  type FromHost,
  type Oid,
  type SlotWrite,
} from '../../protocol/envelope.js';
import { unpack } from '../../protocol/codec.js';
import type { Config } from '../../config/index.js';
import type { CompiledMethod } from '../../runtime/compartment/index.js';
import { genesisCommit } from '../../runtime/genesis/index.js';
import { Host } from '../../runtime/host/index.js';
import { accountOid, START_BALANCE } from './genesis.js';
import type { AttemptFact, SlotSeen } from './history.js';
import type { HostPorts } from './model-host.js';

const DOOM = '(self, kind, token) => DOOM';
const METHODS: Record<string, string> = {
  peek: '(self, slot) => self[slot]',
  bump: '(self, slot, by) => { self[slot] = (self[slot] ?? 0) + by; return self[slot]; }',
  put: '(self, slot, value) => { self[slot] = value; }',
  edit: '(self, at, value) => { const text = self.text ?? new Uint8Array(1100); text[at] = value; self.text = text; }',
  doom: DOOM,
  script: `async (self, token, ops) => {
    const out = [];
    const at = (who) => image.ref(who);
    for (const [kind, a, b, c, d] of ops) {
      if (kind === 'get' || kind === 'look') out.push((await at(a).peek(b)) ?? null);
      else if (kind === 'add') out.push(await at(a).bump(b, c));
      else if (kind === 'move') {
        await at(a).bump('balance', -c);
        await at(b).bump('balance', c);
      } else if (kind === 'pay') {
        await at(a).bump('balance', -c);
        if (d > 0) await image.after(d, at(b), 'script', token + '>', [['add', b, 'balance', c]]);
        else await image.tell(at(b), 'script', token + '>', [['add', b, 'balance', c]]);
      } else if (kind === 'set') await at(a).put(b, c);
      else if (kind === 'edit') await at(a).edit(b, c);
      else if (kind === 'remove') await at(a).removeSlot(b);
      else if (kind === 'list') out.push((await at(a).slots()).slice());
      else if (kind === 'parent') await at(a).setSlot('parent*', at(b));
      else if (kind === 'create') await at(b).clone({ name: a, own: 1 });
      else if (kind === 'forget') await at('lobby').removeSlot(a);
      else if (kind === 'tell') await image.tell(at(a), 'script', token + '>', b);
      else if (kind === 'after') await image.after(a, at(b), 'script', token + '>', c);
      else if (kind === 'throw') throw new Error(a);
      else if (kind === 'poison' || kind === 'hang') await self.doom(kind, token);
      else if (kind === 'serve') {
        const asked = b === 'mind' ? at('pllm').infer_(a) : at('memory').search(a);
        out.push(await asked.catch(() => 'unavailable'));
      }
    }
    return out;
  }`,
};

const content = (value: unknown): Content =>
  encodeContent(value, { place: 'simulation', refOf: () => undefined, maxBytes: 1 << 20, maxDepth: 16 });
/** A reference to this oid, as a slot holds it. */
const reference = (oid: string): Content => {
  const handle = {};
  return encodeContent(handle, {
    place: 'simulation',
    refOf: (value) => (value === handle ? oid : undefined),
    maxBytes: 1024,
    maxDepth: 4,
  });
};
const set = (slot: string, value: Content): SlotWrite => [slot, WRITE.SET, value];

/** Genesis as it is shipped, with the methods above in `traits`, and the accounts of the model. */
export function realGenesis(accounts: number): CommitBody {
  const [, , creates, writes, names] = genesisCommit();
  const oids: Oid[] = ['#p' as Oid, ...Array.from({ length: accounts }, (_, i) => accountOid(i))];
  const methods = Object.entries(METHODS).map(([slot, source]) => set(slot, methodContent({ source })));
  const account = (): SlotWrite[] => [
    set('parent*', reference('#p')),
    set('balance', START_BALANCE),
    set('hits', 0),
    set('text', content(new Uint8Array(1500))),
  ];
  return [
    [],
    [],
    [...creates, ...oids],
    [
      ...writes.map(([oid, list]): [Oid, SlotWrite[]] => [oid, oid === '#traits' ? [...list, ...methods] : list]),
      ...oids.map((oid): [Oid, SlotWrite[]] => [
        oid,
        oid === '#p' ? [set('parent*', reference('#traits')), set('shared', 1), set('hits', 0)] : account(),
      ]),
    ],
    [...names, ...oids.map((oid): [string, Oid] => [oid.slice(1), oid])],
    [],
    [],
    [true, null, null],
  ];
}

function compiler(doom: HostPorts['doom'], chance: () => boolean): (source: string) => CompiledMethod {
  return (source) => {
    if (source === DOOM)
      return () => (_self, kind, token) =>
        kind === 'poison' || chance()
          ? (doom(kind as 'poison' | 'hang', String(token)), new Promise(() => undefined))
          : undefined;
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- what the compartment does, without the compartment
    const factory = new Function('image', 'Date', 'Math', `return (${source})`) as (
      ...powers: unknown[]
    ) => (...args: unknown[]) => unknown;
    return (context) => factory(context.image, context.Date, context.Math);
  };
}

/** What a commit says that its turn has seen; the content is not in it. */
function factOf([, attempt, session, no, bytes]: Extract<
  FromHost,
  readonly [type: typeof T.COMMIT, ...rest: unknown[]]
>): AttemptFact {
  const body = unpack(bytes) as CommitBody;
  const reads: SlotSeen[] = [];
  for (const [oid, list] of body[0])
    for (let i = 0; i < list.length; i += 2) reads.push([oid, list[i] as string, list[i + 1] as number, undefined]);
  const wrote = body[2].length + body[3].length + body[4].length + body[5].length + body[6].length > 0;
  return {
    attempt,
    session,
    no,
    reads,
    names: body[1].map(([name, read]) => [name, read, null]),
    wrote,
    reply: body[7],
    fenced: false,
  };
}

export interface RealHost {
  receive: Host['receive'];
}

/** `touched` is called whenever code of the host is about to run, so that what it leaves to the event loop is waited for. */
export function realHost(
  config: Config,
  incarnation: number,
  ports: HostPorts,
  touched: () => void,
  now: () => number,
): RealHost {
  const guarded = (task: () => void) => (): void => {
    touched();
    task();
  };
  const host = new Host(config, incarnation, {
    send: (envelope) => {
      touched();
      if (envelope[0] === T.COMMIT) ports.note(factOf(envelope));
      ports.send(envelope);
    },
    compile: compiler(
      (kind, token) => ports.doom(kind, token),
      () => ports.random.chance(0.5),
    ),
    clock: now,
    random: ports.random.unit,
    defer: (task) => {
      touched();
      ports.after(0, guarded(task));
    },
    afterMicrotasks: (task) => queueMicrotask(() => process.nextTick(task)),
    later: (ms, task) => ports.after(ms, guarded(task)),
    log: () => undefined,
  });
  return {
    receive: (envelope) => {
      touched();
      host.receive(envelope);
    },
  };
}
