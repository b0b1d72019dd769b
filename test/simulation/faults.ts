/** The faults of a schedule. */
import { accountOid } from './genesis.js';
import type { SimProcess, Wire } from './process.js';
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
  cancel: 4,
};

const kill = (process: SimProcess | null | undefined): void => process?.die();

function pause(world: World, process: SimProcess | null | undefined, longest: number): void {
  if (!process || process.mode !== 'running') return;
  process.stop();
  world.clock.after(world.random.between(1, longest), () => process.goOn());
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
      return client.do(() => client.ask(`r${index}.p`, victim, [['add', victim, 'hits', 1], ['poison']], 30_000));
    case 'hang':
      return client.do(() => client.ask(`r${index}.h`, victim, [['add', victim, 'hits', 1], ['hang']], 30_000));
    case 'poisonTell':
      return client.do(() => client.ask(`r${index}.t`, victim, [['tell', accountOid(0), [['poison']]]], 30_000));
    case 'cancel':
      return client.do(() => client.cancelOne());
  }
}
