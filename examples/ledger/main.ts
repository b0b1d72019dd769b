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
import { SUM, makePrototypes, nameOf, openAccount, regionOf, type Account } from './accounts.js';
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
  readonly airports: Map<string, Account>;
  readonly regions: Map<string, Account>;
}

async function importAirports(image: Image, airports: readonly Airport[]): Promise<Accounts> {
  const prototypes = await makePrototypes(image);
  const regions = new Map<string, Account>();
  for (const name of new Set(airports.map(({ state }) => regionOf(state)))) {
    regions.set(name, await prototypes.region.clone({ name, departed: 0, bookings: 0 }));
  }
  const accounts = new Map<string, Account>();
  const rate = await each('airports', airports, async (airport) => {
    const region = regions.get(regionOf(airport.state)) as Account;
    accounts.set(airport.iata, await openAccount(prototypes.airport, airport, region));
  });
  say(`${accounts.size} airports in ${regions.size} states imported, ${Math.round(rate)}/s`);
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
  accounts: Map<string, Account>,
  routes: readonly Route[],
  onHalf: () => void,
): Promise<string[]> {
  const used = new Set(routes.flatMap(({ origin, destination }) => [origin, destination]));
  const all = [...used].map((iata) => accounts.get(iata));
  const differences: string[] = [];
  let longest = 0;
  const rate = await each('bookings', routes, async ({ origin, destination, flights }, index) => {
    if (index === Math.floor(routes.length / 2)) onHalf();
    const begun = performance.now();
    await (accounts.get(origin) as Account).book(accounts.get(destination) as Account, flights);
    longest = Math.max(longest, performance.now() - begun);
    if (index % AUDIT_EVERY !== AUDIT_EVERY - 1) return;
    const sum = (await image.turn(SUM, all)) as number;
    if (sum !== 0)
      differences.push(`an audit among the bookings found balances of ${sum} in all: it saw half a booking`);
  });
  say(`${routes.length} bookings, ${Math.round(rate)}/s, the longest took ${(longest / 1000).toFixed(2)} s`);
  return differences;
}

/** Every account against the file. Answers what differs. */
async function compare(accounts: Map<string, Account>, expected: Map<string, Totals>): Promise<string[]> {
  const differences: string[] = [];
  const sums = { departed: 0, arrived: 0, routes: 0, balance: 0 };
  await each('checking', [...expected], async ([iata, wanted]) => {
    const found = await (accounts.get(iata) as Account).totals();
    for (const field of ['departed', 'arrived', 'routes'] as const) {
      if (found[field] !== wanted[field])
        differences.push(`${nameOf(iata)}.${field} is ${found[field]}, the file says ${wanted[field]}`);
      sums[field] += found[field];
    }
    sums.balance += found.balance;
  });
  if (sums.balance !== 0) differences.push(`the balances add up to ${sums.balance}, not to 0`);
  say(`departed ${sums.departed}, arrived ${sums.arrived}, routes ${sums.routes}, sum of balances ${sums.balance}`);
  return differences;
}

/** The accounts of the states: three objects wide was each booking, so these have to agree as well. */
async function compareRegions(
  regions: Map<string, Account>,
  airports: readonly Airport[],
  expected: Map<string, Totals>,
): Promise<string[]> {
  const differences: string[] = [];
  for (const [name, region] of regions) {
    const own = airports
      .filter(({ state }) => regionOf(state) === name)
      .map(({ iata }) => expected.get(iata) as Totals);
    const wanted = own.reduce((sum, { departed }) => sum + departed, 0);
    const found = await region.departed();
    if (found !== wanted) differences.push(`${name}.departed is ${found}, the file says ${wanted}`);
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
const differences = await run(dir, Number(values.hosts), !values['no-kill']);
const audit = verify(dir);
say(`telos verify: ${audit.text.split('\n').at(-1) ?? ''}`);
if (!audit.ok) differences.push('telos verify found damage');
for (const line of differences.slice(0, 20)) say(`MISMATCH ${line}`);
say(differences.length === 0 ? 'the ledger agrees with the file' : `${differences.length} differences`);
if (values.image === undefined) rmSync(dir, { recursive: true, force: true });
process.exitCode = differences.length === 0 ? 0 : 1;
