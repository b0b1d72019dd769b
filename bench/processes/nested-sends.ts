/** The rate of sends inside a turn (`what: 'sends'`, in a locked-down process) or of nact's bare dispatch (`what: 'nact'`, in a plain one). */
import { dispatch, spawn, start } from 'nact';
import {
  encodeArgs,
  encodeContent,
  makeAttempt,
  makeSession,
  methodContent,
  pack,
  type Content,
  type ObjectState,
  type Oid,
} from '../../protocol/index.js';
import { Compiler, lockdownRealm } from '../../runtime/compartment/index.js';
import { genesisObjects } from '../../runtime/genesis/index.js';
import { CachedObject, Engine, standardPrimitives, type TurnPorts } from '../../runtime/turn/index.js';
import { options, report } from './options.js';

const SENDS = 20_000;
const ROUNDS_WARM = 3;

const two = {};
const refs = {
  place: 'bench',
  maxBytes: 1 << 20,
  maxDepth: 8,
  refOf: (value: object) => (value === two ? '#b' : undefined),
};

const objects = new Map<string, CachedObject>();
const attempt = makeAttempt(1, 1);

function put(oid: string, slots: readonly (readonly [string, Content])[]): void {
  const rows = slots.flatMap(([slot, content]) => [slot, attempt, 1, content]);
  objects.set(oid, CachedObject.of([oid, attempt, attempt, rows] as unknown as ObjectState));
}

const parent = pack({ $ref: '#traits' });
put('#a', [
  ['parent*', parent],
  ['other', encodeContent(two, refs)],
  [
    'run',
    methodContent({
      source:
        'async (self, times) => { let sum = 0; for (let i = 0; i < times; i++) sum += await self.other.next(i); return sum; }',
    }),
  ],
]);
put('#b', [
  ['parent*', parent],
  ['step', 1],
  ['next', methodContent({ source: 'async (self, n) => n + self.step' })],
]);
for (const [oid, slots] of genesisObjects()) put(oid, slots);

const { seconds, what } = options<{ seconds: number; what: 'sends' | 'nact' }>();
if (what === 'sends') lockdownRealm();
const compiler = new Compiler({ cacheEntries: 100 });
const never = (): never => {
  throw new Error('everything is loaded');
};
const ports: TurnPorts = {
  object: (oid) => objects.get(oid),
  name: never,
  load: never,
  service: never,
  waiting: never,
  compile: (source) => compiler.compile(source),
  defer: (task) => setImmediate(task),
  afterMicrotasks: (task) => queueMicrotask(() => process.nextTick(task)),
};
const limits = {
  runTimeMs: 60_000,
  fuel: 1e9,
  maxGrowBytes: 1 << 20,
  maxSends: 1e9,
  maxDepth: 256,
  maxWrites: 1e5,
  maxLoadedBytes: 1e9,
  maxBodyBytes: 1 << 20,
  maxValueDepth: 64,
};
const engine = new Engine(ports, limits, standardPrimitives);

let messages = 0;
async function nested(): Promise<void> {
  const message = {
    session: makeSession(1, 1),
    no: ++messages,
    target: '#a',
    oid: '#a' as Oid,
    nameAttempt: attempt,
    selector: 'run',
    args: Uint8Array.from(encodeArgs([SENDS], refs)),
    time: 0,
    origin: 0 as const,
    recorded: new Map(),
  };
  const outcome = await engine.newTurn(message, makeAttempt(2, messages)).run();
  if (outcome.kind !== 'reply' || !outcome.ok) throw new Error(`the turn failed: ${JSON.stringify(outcome)}`);
}

const system = start();
let actors = 0;
function bare(): Promise<void> {
  return new Promise((resolve) => {
    let left = SENDS;
    const actor = spawn(
      system,
      (state: number) => {
        if (--left === 0) resolve();
        return state + 1;
      },
      `counter${++actors}`,
      { initialState: 0 },
    );
    for (let i = 0; i < SENDS; i++) dispatch(actor, i);
  });
}

const round = what === 'sends' ? nested : bare;
for (let i = 0; i < ROUNDS_WARM; i++) await round();
const begun = performance.now();
let rounds = 0;
while (performance.now() - begun < seconds * 1000) {
  await round();
  await new Promise((resolve) => setImmediate(resolve));
  rounds++;
}
report({ perSecond: (rounds * SENDS * 1000) / (performance.now() - begun) });
