/**
 * The objects of the ledger: one account for each airport, cloned from a prototype that has the methods, and one for each state.
 * A booking moves flights from one airport to another and is one turn over three or four objects, which live on different hosts.
 */
import type { Image } from '../../clients/library/index.js';
import { TelosError } from '../../protocol/index.js';
import type { Airport, Totals } from './data.js';

export interface Account {
  clone(slots: object): Promise<Account>;
  setMethod(name: string, source: string): Promise<unknown>;
  book(to: Account, flights: number): Promise<number>;
  totals(): Promise<Totals & { balance: number }>;
  departed(): Promise<number>;
}

/** Runs in the image: its source travels, it sees nothing of this file. */
const BOOK = `async (self, to, flights) => {
  if (!(flights > 0)) throw new RangeError('a booking needs at least one flight');
  self.departed = self.departed + flights;
  self.balance = self.balance - flights;
  self.routes = self.routes + 1;
  await to.receive(flights);
  await self.region.tally(flights);
  return self.balance;
}`;

const RECEIVE = `async (self, flights) => {
  self.arrived = self.arrived + flights;
  self.balance = self.balance + flights;
}`;

const TALLY = 'async (self, flights) => { self.departed = self.departed + flights; self.bookings = self.bookings + 1 }';

const TOTALS =
  'async (self) => ({ departed: self.departed, arrived: self.arrived, routes: self.routes, balance: self.balance })';

/** Asked in one turn over many accounts: sees all of them at one moment. */
export const SUM = `async (accounts) => {
  let sum = 0;
  for (const account of accounts) sum += await account.balance();
  return sum;
}`;

export const nameOf = (iata: string): string => `airport_${iata}`;
export const regionOf = (state: string): string => `state_${state.replace(/[^A-Za-z0-9]/g, '') || 'none'}`;

/** A slot of the prototypes, by which a later run knows its own. */
const MARK = 'flights of 2008';
const NOTHING: Totals = { departed: 0, arrived: 0, routes: 0 };

/** An account, and what stands in it from earlier runs. */
export interface Opened {
  readonly account: Account;
  readonly before: Totals;
}

function isTaken(error: unknown): true {
  if (error instanceof TelosError && error.code === 'NAME_TAKEN') return true;
  throw error;
}

/** The prototype of this name: a new one, or that of an earlier run. @throws TelosError NAME_TAKEN for an object of somebody else */
async function prototype(image: Image, name: string, slots: object): Promise<Account> {
  const made = await image
    .actor<Account>('genesis')
    .clone({ name, ledger: MARK, ...slots })
    .catch(isTaken);
  if (made !== true) return made;
  const mark: unknown = await image.send(name, 'ledger').catch(() => null);
  if (mark === MARK) return image.actor<Account>(name);
  throw new TelosError('NAME_TAKEN', `the image has an object ${name} that is not of the ledger`, {
    remedy: 'name another image with --image',
  });
}

export async function makePrototypes(image: Image): Promise<{ airport: Account; region: Account }> {
  const airport = await prototype(image, 'airport', { departed: 0, arrived: 0, routes: 0, balance: 0 });
  await airport.setMethod('book', BOOK);
  await airport.setMethod('receive', RECEIVE);
  await airport.setMethod('totals', TOTALS);
  const region = await prototype(image, 'region', { departed: 0, bookings: 0 });
  await region.setMethod('tally', TALLY);
  return { airport, region };
}

/** Own counters from the start, so that no account reads the prototype's. */
export async function openAccount(image: Image, parent: Account, airport: Airport, region: Account): Promise<Opened> {
  const { iata, name: title, city, state, latitude, longitude } = airport;
  const counters = { departed: 0, arrived: 0, routes: 0, balance: 0 };
  const slots = { iata, title, city, state, latitude, longitude, region, ...counters };
  const made = await parent.clone({ name: nameOf(iata), ...slots }).catch(isTaken);
  if (made !== true) return { account: made, before: NOTHING };
  const account = image.actor<Account>(nameOf(iata));
  return { account, before: await account.totals() };
}

export async function openRegion(image: Image, parent: Account, name: string): Promise<Opened> {
  const made = await parent.clone({ name, departed: 0, bookings: 0 }).catch(isTaken);
  if (made !== true) return { account: made, before: NOTHING };
  const account = image.actor<Account>(name);
  return { account, before: { ...NOTHING, departed: await account.departed() } };
}
