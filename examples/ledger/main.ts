/**
 * The ledger: imports 3,376 airports as objects, books 5,366 routes between them (7,009,728 flights) as turns that span objects and
 * hosts, kills a host half-way, and compares every total with the file. Exit code 1 when anything differs.
 *
 *     node dist/examples/ledger/main.js [--image DIR] [--hosts 2] [--no-kill]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Presets, SingleBar } from 'cli-progress';
import { connect, type Image } from '../../clients/library/index.js';
import { TelosError } from '../../protocol/index.js';
import {
  SUM,
  makePrototypes,
  nameOf,
  openAccount,
  openRegion,
  regionOf,
  type Account,
  type Opened,
} from './accounts.js';
import { readAirports, readRoutes, totalsOf, type Airport, type Route, type Totals } from './data.js';
import { start, verify, type Running } from './runtime.js';

/** Asks that are under way at once. */
const AT_ONCE = 256;
/** A booking waits through the death of a host; nothing here is in a hurry. */
const DEADLINE_MS = 60_000;
/** After so many bookings one turn adds up the balances of all airports, while the other bookings go on: it has to find 0. */
const AUDIT_EVERY = 1000;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

/** Runs `work` on each item, `AT_ONCE` at a time, with a progress bar. */
async function each<T>(
  title: string,
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<number> {
  const format = `${title} [{bar}] {value}/{total} {duration_formatted}`;
  const bar = new SingleBar(
    { format, noTTYOutput: true, notTTYSchedule: 5000, hideCursor: true },
    Presets.shades_classic,
  );
  bar.start(items.length, 0);
  const begun = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      await work(items[index] as T, index);
      bar.increment();
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
  } finally {
    bar.stop();
  }
  return (items.length / (performance.now() - begun)) * 1000;
}

interface Accounts {
  readonly airports: Map<string, Opened>;
  readonly regions: Map<string, Opened>;
}

async function importAirports(image: Image, airports: readonly Airport[]): Promise<Accounts> {
  const prototypes = await makePrototypes(image);
  const regions = new Map<string, Opened>();
  for (const name of new Set(airports.map(({ state }) => regionOf(state))))
    regions.set(name, await openRegion(image, prototypes.region, name));
  const accounts = new Map<string, Opened>();
  const rate = await each('airports', airports, async (airport) => {
    const { account: region } = regions.get(regionOf(airport.state)) as Opened;
    accounts.set(airport.iata, await openAccount(image, prototypes.airport, airport, region));
  });
  say(`${accounts.size} airports in ${regions.size} states imported, ${Math.round(rate)}/s`);
  const booked = [...accounts.values()].reduce((sum, { before }) => sum + before.departed, 0);
  if (booked > 0) say(`an earlier run has left ${booked} flights in these accounts: what is booked now comes on top`);
  return { airports: accounts, regions };
}

/** Kills the first host without warning. */
function killHost(running: Running): void {
  const [host] = running.hosts();
  if (host === undefined) throw new Error('telos status names no host');
  process.kill(host.pid, 'SIGKILL');
  say(`\nkilled ${host.name}, process ${host.pid}, with bookings under way`);
}

/** Books every route. Answers what went wrong. */
async function book(
  image: Image,
  accounts: Map<string, Opened>,
  routes: readonly Route[],
  onHalf: () => void,
): Promise<string[]> {
  const used = new Set(routes.flatMap(({ origin, destination }) => [origin, destination]));
  const at = (iata: string): Account => (accounts.get(iata) as Opened).account;
  const all = [...used].map(at);
  const differences: string[] = [];
  let longest = 0;
  const rate = await each('bookings', routes, async ({ origin, destination, flights }, index) => {
    if (index === Math.floor(routes.length / 2)) onHalf();
    const begun = performance.now();
    await at(origin).book(at(destination), flights);
    longest = Math.max(longest, performance.now() - begun);
    if (index % AUDIT_EVERY !== AUDIT_EVERY - 1) return;
    const sum = (await image.turn(SUM, all)) as number;
    if (sum !== 0)
      differences.push(`an audit among the bookings found balances of ${sum} in all: it saw half a booking`);
  });
  say(`${routes.length} bookings, ${Math.round(rate)}/s, the longest took ${(longest / 1000).toFixed(2)} s`);
  return differences;
}

/** Every account against the file, without what earlier runs have booked. Answers what differs. */
async function compare(accounts: Map<string, Opened>, expected: Map<string, Totals>): Promise<string[]> {
  const differences: string[] = [];
  const sums = { departed: 0, arrived: 0, routes: 0, balance: 0 };
  await each('checking', [...expected], async ([iata, wanted]) => {
    const { account, before } = accounts.get(iata) as Opened;
    const found = await account.totals();
    for (const field of ['departed', 'arrived', 'routes'] as const) {
      const booked = found[field] - before[field];
      if (booked !== wanted[field])
        differences.push(`${nameOf(iata)}.${field} grew by ${booked}, the file says ${wanted[field]}`);
      sums[field] += booked;
    }
    sums.balance += found.balance;
  });
  if (sums.balance !== 0) differences.push(`the balances add up to ${sums.balance}, not to 0`);
  say(`departed ${sums.departed}, arrived ${sums.arrived}, routes ${sums.routes}, sum of balances ${sums.balance}`);
  return differences;
}

/** The accounts of the states: three objects wide was each booking, so these have to agree as well. */
async function compareRegions(
  regions: Map<string, Opened>,
  airports: readonly Airport[],
  expected: Map<string, Totals>,
): Promise<string[]> {
  const differences: string[] = [];
  for (const [name, { account, before }] of regions) {
    const own = airports
      .filter(({ state }) => regionOf(state) === name)
      .map(({ iata }) => expected.get(iata) as Totals);
    const wanted = own.reduce((sum, { departed }) => sum + departed, 0);
    const booked = (await account.departed()) - before.departed;
    if (booked !== wanted) differences.push(`${name}.departed grew by ${booked}, the file says ${wanted}`);
  }
  return differences;
}

async function run(dir: string, hosts: number, kill: boolean): Promise<string[]> {
  const airports = readAirports();
  const routes = readRoutes();
  const running = await start(dir, hosts);
  const image = (await connect({ image: dir })).with({ deadlineMs: DEADLINE_MS });
  try {
    const accounts = await importAirports(image, airports);
    const expected = totalsOf(airports, routes);
    const differences = [
      ...(await book(image, accounts.airports, routes, () => kill && killHost(running))),
      ...(await compare(accounts.airports, expected)),
      ...(await compareRegions(accounts.regions, airports, expected)),
    ];
    const restarts = running.hosts().reduce((sum, host) => sum + host.restarts, 0);
    say(`restarts of hosts: ${restarts}`);
    if (kill && restarts === 0) differences.push('a host was killed, and status counts no restart');
    return differences;
  } finally {
    await image.close();
    await running.stop();
  }
}

const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    hosts: { type: 'string', default: '2' },
    'no-kill': { type: 'boolean', default: false },
  },
});
const dir = values.image ?? mkdtempSync(join(tmpdir(), 'telos-ledger-'));

async function main(): Promise<number> {
  const differences = await run(dir, Number(values.hosts), !values['no-kill']);
  const audit = verify(dir);
  say(`telos verify: ${audit.text.split('\n').at(-1) ?? ''}`);
  if (!audit.ok) differences.push('telos verify found damage');
  for (const line of differences.slice(0, 20)) say(`MISMATCH ${line}`);
  say(differences.length === 0 ? 'the ledger agrees with the file' : `${differences.length} differences`);
  return differences.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const known = error instanceof TelosError;
  process.stderr.write(known ? `${error.toDisplay()}\n  ${error.remedy}\n` : `${String(error)}\n`);
  process.exitCode = 1;
} finally {
  if (values.image === undefined) rmSync(dir, { recursive: true, force: true });
}
