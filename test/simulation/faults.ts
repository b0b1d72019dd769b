/** The faults of a schedule. */
import { accountOid } from './genesis.js';
import type { SimProcess, Wire } from './process.js';
import type { Random } from './random.js';
import type { Op } from './script.js';
import type { SimClient } from './sim-client.js';
import type { World } from './world.js';

const WEIGHTS = {
  killHost: 10,
  stopHost: 6,
  killKernel: 6,
  stopKernel: 4,
  killClient: 3,
  leave: 2,
  stopClient: 4,
  powerCut: 4,
  cutWire: 8,
  drop: 10,
  repeat: 8,
  stall: 10,
  slowDisk: 8,
  failSync: 4,
  poison: 2,
  hang: 3,
  poisonTell: 1,
  gang: 2,
  loseOracle: 2,
  greetTwice: 4,
  diskFull: 2,
  killGuardian: 2,
  setClock: 3,
  cancel: 4,
};

const HOUR_MS = 3_600_000;

const kill = (process: SimProcess | null | undefined): void => process?.die();

function pause(world: World, process: SimProcess | null | undefined, longest: number): void {
  if (!process || process.mode !== 'running') return;
  process.stop();
  world.clock.after(world.random.between(1, longest), () => process.goOn());
}

/** A message that ends its host, often after it has waited for a service, or was told at once that there is none. */
function killer(random: Random, victim: string, kind: 'poison' | 'hang'): Op[] {
  const waits: Op[] = random.chance(0.5) ? [['serve', 'before the end', random.chance(0.6) ? 'memory' : 'mind']] : [];
  return [...waits, ['add', victim, 'hits', 1], [kind]];
}

/** A killer among innocents that wait for services, all on one host: together they come into quarantine. */
function gang(world: World, client: SimClient, victim: string, index: number): void {
  const { random } = world;
  const innocent = (): Op[] => [
    ['serve', 'innocent', random.chance(0.6) ? 'mind' : 'memory'],
    ['add', victim, 'hits', 1],
  ];
  const scripts = [innocent(), killer(random, victim, random.chance(0.7) ? 'poison' : 'hang'), innocent()];
  client.do(() => scripts.forEach((ops, i) => client.ask(`r${index}.g${i}`, victim, ops, 30_000)));
}

/** Clients greet twice: at once, or when the next kernel has come up, where both greetings find the session unread. */
function greetTwice(world: World): void {
  const { random } = world;
  const restart = random.chance(0.4);
  for (const client of world.clients)
    if (random.chance(0.6)) client.do(() => client.greetTwice(random.chance(0.6) ? 'self' : 'stranger', !restart));
  if (restart) kill(world.kernel);
}

export function injectFault(world: World, index: number): void {
  const { random, disk, clock } = world;
  const kind = random.weighted(WEIGHTS);
  world.trace(() => `fault ${kind}`);
  const host = world.hosts().length > 0 ? random.pick(world.hosts()) : undefined;
  const client = random.pick(world.clients);
  const victim = `a${random.below(world.plan.accounts)}`;
  const wire = random.pick<Wire | undefined>([...(world.kernel?.wires ?? [])]);
  switch (kind) {
    case 'killHost':
      return kill(host);
    case 'stopHost':
      return pause(world, host, 1500);
    case 'killKernel':
      return kill(world.kernel);
    case 'stopKernel':
      return pause(world, world.kernel, 900);
    case 'killClient':
      kill(client);
      return world.replaceClient(client);
    case 'leave':
      client.leave();
      return world.replaceClient(client);
    case 'stopClient':
      return pause(world, client, 1500);
    case 'powerCut':
      disk.powerCut();
      for (const process of world.hosts()) process.die(false);
      world.kernel?.die(false);
      return;
    case 'cutWire':
      return wire?.end();
    case 'drop':
    case 'repeat':
      return wire?.disturb(kind, 0);
    case 'stall':
      return wire?.disturb(kind, random.between(1, 900));
    case 'slowDisk':
      disk.slowUntil = clock.now + random.between(50, 1000);
      return;
    case 'failSync':
      disk.failNext = random.chance(0.5) ? 'written' : 'unwritten';
      return;
    case 'poison':
      return client.do(() => client.ask(`r${index}.p`, victim, killer(random, victim, 'poison'), 30_000));
    case 'hang':
      return client.do(() => client.ask(`r${index}.h`, victim, killer(random, victim, 'hang'), 30_000));
    case 'poisonTell':
      return client.do(() =>
        client.ask(`r${index}.t`, victim, [['tell', accountOid(0), killer(random, victim, 'poison')]], 30_000),
      );
    case 'gang':
      return gang(world, client, victim, index);
    case 'diskFull':
      disk.fullUntil = clock.now + random.between(50, 1500);
      return;
    case 'killGuardian':
      return world.guardian.die();
    case 'setClock':
      return world.setClock(random.between(-HOUR_MS, HOUR_MS));
    case 'greetTwice':
      return greetTwice(world);
    case 'loseOracle':
      return world.kernel?.loseOracle();
    case 'cancel':
      return client.do(() => client.cancelOne());
  }
}
