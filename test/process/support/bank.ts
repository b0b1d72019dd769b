/**
 * A load whose result can be checked from outside: accounts move money to one another, in turns that span objects and hosts.
 *
 *   every move that was answered is counted in its source's `moves`     (nothing answered is lost)
 *   no move is counted twice                                             (each message takes effect at most once)
 *   the balances add up to what was there at first                       (no turn is half there)
 *   every move of a client that lives is answered                        (no session and no message is lost)
 */
import type { Driver, RemoteImage } from './driver.js';

const START = 1000;
/** Longer than any restart in a test takes: a move that ends with anything but its answer is an error. */
const PATIENCE_MS = 120_000;

const MOVE = `async (self, to, amount) => {
  self.balance = self.balance - amount;
  self.moves = self.moves + 1;
  await to.receive(amount);
  return self.moves;
}`;
const RECEIVE = 'async (self, amount) => { self.balance = self.balance + amount }';

export interface Load {
  /** Moves whose answer came, by account. */
  readonly answered: Record<string, number>;
  /** Codes of all that did not end with an answer. */
  readonly errors: string[];
  readonly longestMs: number;
}

/** What clients told that were killed in the middle, by account: moves begun, and of those the answered ones. */
export interface Told {
  readonly begun: Record<string, number>;
  readonly answered: Record<string, number>;
}

export const nothingTold = (): Told => ({ begun: {}, answered: {} });

/** Adds the notes of a client that `startLoad` has told to take notes. */
export function addNotes(told: Told, notes: readonly unknown[]): void {
  for (const [what, name] of notes as ['begun' | 'answered', string][]) told[what][name] = (told[what][name] ?? 0) + 1;
}

export interface Books {
  readonly balance: number;
  readonly moves: Record<string, number>;
}

/** Names of `count` new accounts, clones of one prototype. */
export async function openAccounts(driver: Driver, count: number): Promise<string[]> {
  return driver.run<string[]>(
    async (image: RemoteImage, size: number, start: number, move: string, receive: string) => {
      const bank = await image.actor('genesis').clone({ name: 'bank', balance: 0, moves: 0 });
      await bank.setMethod('move', move);
      await bank.setMethod('receive', receive);
      const names = Array.from({ length: size }, (_, i) => `account${i}`);
      for (const name of names) await bank.clone({ name, balance: start, moves: 0 });
      return names;
    },
    count,
    START,
    MOVE,
    RECEIVE,
  );
}

/**
 * Begins to move money, `lanes` moves at a time, until `stopLoad`. `seed` makes the choice of accounts repeatable.
 * @param notes the client tells of each move that it begins and that is answered, so that somebody knows when it is killed
 */
export async function startLoad(
  driver: Driver,
  names: readonly string[],
  lanes: number,
  seed: number,
  notes = false,
): Promise<void> {
  await driver.run(
    (image: RemoteImage, accounts: string[], width: number, first: number, tells: boolean, deadlineMs: number) => {
      const patient = image.with({ deadlineMs });
      const tell = (globalThis as unknown as { note: (value: unknown) => void }).note;
      const load = {
        answered: {} as Record<string, number>,
        errors: [] as string[],
        longestMs: 0,
      };
      const state = { load, stop: false, lanes: [] as Promise<void>[] };
      (globalThis as Record<string, unknown>)['bankLoad'] = state;
      let random = first;
      const pick = (n: number): number => {
        random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
        return Math.floor((random / 2 ** 32) * n);
      };
      const count = (counts: Record<string, number>, name: string): void => {
        counts[name] = (counts[name] ?? 0) + 1;
      };
      const lane = async (): Promise<void> => {
        while (!state.stop) {
          const from = pick(accounts.length);
          const to = (from + 1 + pick(accounts.length - 1)) % accounts.length;
          const name = accounts[from] as string;
          const begun = performance.now();
          if (tells) tell(['begun', name]);
          try {
            await patient.send(name, 'move', image.ref(accounts[to]), 1 + pick(9));
            count(load.answered, name);
            if (tells) tell(['answered', name]);
          } catch (error) {
            const { code = String(error) } = error as { code?: string };
            load.errors.push(code);
          }
          load.longestMs = Math.max(load.longestMs, performance.now() - begun);
        }
      };
      state.lanes = Array.from({ length: width }, lane);
      return null;
    },
    names,
    lanes,
    seed,
    notes,
    PATIENCE_MS,
  );
}

/** Lets the moves under way end and answers what the client saw. */
export function stopLoad(driver: Driver): Promise<Load> {
  return driver.run<Load>(async () => {
    const state = (globalThis as Record<string, unknown>)['bankLoad'] as {
      stop: boolean;
      lanes: Promise<void>[];
      load: unknown;
    };
    state.stop = true;
    await Promise.all(state.lanes);
    return state.load;
  });
}

/** All accounts as one turn sees them. */
export function readBooks(driver: Driver, names: readonly string[]): Promise<Books> {
  return driver.run<Books>(async (image: RemoteImage, accounts: string[]) => {
    const read = `async (accounts) => {
      let balance = 0;
      const moves = [];
      for (const account of accounts) {
        balance += await account.balance();
        moves.push(await account.moves());
      }
      return { balance, moves };
    }`;
    const books = await image.with({ deadlineMs: 60_000 }).turn(
      read,
      accounts.map((name) => image.ref(name)),
    );
    return { balance: books.balance, moves: Object.fromEntries(accounts.map((name, i) => [name, books.moves[i]])) };
  }, names);
}

/** Holds the books against what the clients saw: one that lives, and those that were killed. Answers what is wrong, in words. */
export function audit(names: readonly string[], load: Load, books: Books, told: Told = nothingTold()): string[] {
  const wrong: string[] = [];
  if (books.balance !== START * names.length)
    wrong.push(`balances add up to ${books.balance}, not ${START * names.length}`);
  for (const name of names) {
    const moves = books.moves[name] ?? 0;
    const answered = (load.answered[name] ?? 0) + (told.answered[name] ?? 0);
    const inDoubt = (told.begun[name] ?? 0) - (told.answered[name] ?? 0);
    if (moves < answered) wrong.push(`${name}: ${answered} moves were answered, ${moves} are there`);
    if (moves > answered + inDoubt)
      wrong.push(
        `${name}: ${moves} moves are there, ${answered} were answered, ${inDoubt} were under way in killed clients`,
      );
  }
  for (const code of new Set(load.errors)) wrong.push(`a move ended with ${code}`);
  return wrong;
}

/** Milliseconds until every account has answered, asked just now. */
export function allAnswer(driver: Driver, names: readonly string[]): Promise<number> {
  return driver.run<number>(async (image: RemoteImage, accounts: string[]) => {
    const begun = performance.now();
    await Promise.all(accounts.map((name) => image.with({ deadlineMs: 60_000 }).send(name, 'moves')));
    return performance.now() - begun;
  }, names);
}
