/**
 * The output gate of a running kernel, seen from outside: what a client was answered had been synced before. RocksDB counts its syncs, the kernel
 * tells them in its status; answers and status come over one link, in the order in which the kernel let them go.
 */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { tool } from './support/journal-tool.js';
import { Running, cleanUp, temporary } from './support/processes.js';

let running: Running;
let raw: Driver;
const image = join(temporary(), 'image');

beforeAll(async () => {
  running = await Running.up(image, ['--hosts', '1']);
  const driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    const counter = await it.actor('genesis').clone({ name: 'counter', count: 0 });
    await counter.setMethod('add', 'async (self) => { self.count = self.count + 1; return self.count }');
    return null;
  });
  await driver.close();
  raw = await Driver.raw(image);
});
afterAll(cleanUp);

/** What came, in order: an answer with the turn that made it, or a status with the last durable turn and the syncs so far. */
type Heard = { readonly turn: number } | { readonly durable: number; readonly syncs: number; readonly appends: number };

/**
 * `asks` increments, `width` at a time, with a look at the status after each frame that is sent.
 * Numbers of asks are odd, of looks even.
 */
const listen = (asks: number, width: number): Promise<Heard[]> =>
  raw.run<Heard[]>(
    async (peer: RemoteImage, count: number, most: number) => {
      interface State {
        seq: number;
        journal: { syncs: number; appends: number };
      }
      await peer.greet();
      const heard: Heard[] = [];
      const open = new Set<number>();
      const take = ([signal, body]: [number, unknown[]]): void => {
        if (signal !== 3) return;
        for (const [type, no, answer, seq] of body.slice(1) as [number, number, unknown, number][]) {
          if (type !== 16) throw new Error(`an answer was expected, came ${JSON.stringify([type, no, answer])}`);
          open.delete(no);
          if (no % 2 === 1) heard.push({ turn: seq });
          else {
            const { seq: durable, journal } = peer.unpack(Uint8Array.from(answer as Uint8Array)) as State;
            heard.push({ durable, syncs: journal.syncs, appends: journal.appends });
          }
        }
      };
      let no = 0;
      const asksOpen = (): number => [...open].filter((one) => one % 2 === 1).length;
      const lowest = (): number => Math.min(...open);
      const look = async (): Promise<void> => {
        open.add((no += 2 - (no % 2)));
        await peer.work([6, no, lowest(), 20_000, 'status', peer.pack([])]);
      };
      const ask = async (): Promise<void> => {
        open.add((no += 1 + (no % 2)));
        await peer.work([1, no, lowest(), 20_000, 't', 'counter', 'add', peer.pack([]), 0]);
      };
      const hear = async (): Promise<void> => {
        for (const frame of peer.inbox.splice(0)) take(frame);
        await new Promise((resolve) => setImmediate(resolve));
      };
      for (let asked = 0; asked < count || asksOpen() > 0; await hear()) {
        if (open.size === asksOpen()) await look();
        if (asked === count || asksOpen() >= most) continue;
        await ask();
        asked++;
      }
      await look();
      while (open.size > 0) await hear();
      return heard;
    },
    asks,
    width,
  );

type Look = Extract<Heard, { syncs: number }>;

const isLook = (one: Heard): one is Look => 'syncs' in one;

/**
 * Holds what came against the groups of the journal. At each look, as many syncs must have been counted since the first one (nothing was under way
 * then) as there are groups of which an answer had come.
 */
function uncovered(heard: readonly Heard[], firsts: readonly number[]): { wrong: string[]; looks: number } {
  const start = heard.find(isLook) as Look;
  const groupOf = (turn: number): number => firsts.findLast((first) => first <= turn) as number;
  const [wrong, groups, turns]: [string[], Set<number>, number[]] = [[], new Set(), []];
  let looks = 0;
  for (const one of heard) {
    if (!isLook(one)) {
      turns.push(one.turn);
      groups.add(groupOf(one.turn));
      continue;
    }
    const early = turns.filter((turn) => turn > one.durable);
    if (early.length > 0)
      wrong.push(`turns ${early.join(', ')} were answered when ${one.durable} was the last durable one`);
    if (one.syncs - start.syncs < groups.size)
      wrong.push(`${groups.size} groups had answered after ${one.syncs - start.syncs} syncs`);
    if (turns.length > 0) looks++;
    turns.length = 0;
  }
  return { wrong, looks };
}

test('syncs-against-answered-groups: one at a time and many at once, no answer leaves before the sync that covers it', async () => {
  const runs = [await listen(100, 1), await listen(2000, 64)];
  await raw.close();
  await running.down();
  const { firsts, wrong: disorder } = tool('serialOrder', image) as { firsts: number[]; wrong: string[] };
  expect(disorder).toEqual([]);
  for (const heard of runs) {
    const { wrong, looks } = uncovered(heard, firsts);
    expect(wrong).toEqual([]);
    expect(looks).toBeGreaterThan(50);
  }
  const [single, many] = runs.map((heard) => {
    const looks = heard.filter(isLook);
    const [first, last] = [looks.at(0) as Look, looks.at(-1) as Look];
    const groups = firsts.filter((seq) => seq > first.durable && seq <= last.durable).length;
    return {
      turns: heard.length - looks.length,
      groups,
      syncs: last.syncs - first.syncs,
      appends: last.appends - first.appends,
    };
  });
  expect(single).toMatchObject({ turns: 100, groups: 100 });
  expect(many).toMatchObject({ turns: 2000 });
  for (const { groups, syncs, appends } of [single, many] as { groups: number; syncs: number; appends: number }[]) {
    expect(syncs).toBe(appends);
    expect(syncs).toBeGreaterThanOrEqual(groups);
    // Snapshots of a quiet moment are written without a turn: they are few, so that they can hide nothing.
    expect(syncs - groups).toBeLessThan(groups / 4);
  }
  expect(many?.groups).toBeLessThan(1000);
});
