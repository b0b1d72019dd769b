/** Kills processes of an image under load, again and again, and holds the books against what the client saw. */
import { join } from 'node:path';
import { addNotes, allAnswer, audit, nothingTold, openAccounts, readBooks, startLoad, stopLoad } from './bank.js';
import { Driver, type RemoteImage } from './driver.js';
import { tool } from './journal-tool.js';
import { Running, signal, telos, temporary, until, type Row } from './processes.js';
import { writeFileSync } from 'node:fs';

const ACCOUNTS = 12;
const LANES = 24;
/** Of the client that is there to be killed. */
const VICTIM_LANES = 8;

/** The budget of restarts is not what is tested here. */
const MANY_RESTARTS = { supervisor: { restarts: 100_000 } };

/** A seed from the environment repeats a run: TELOS_SEED=123. */
export const SEED = Number(process.env['TELOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

export interface Storm {
  readonly kills: number;
  /** Milliseconds from each kill until every account had answered. */
  readonly recoveries: number[];
  /** What the books, `telos verify` or the order of the journal show that should not be; empty when all is well. */
  readonly wrong: string[];
  readonly moves: number;
}

export interface StormSetting {
  readonly running: Running;
  readonly driver: Driver;
  readonly names: readonly string[];
  /** 0 ≤ n < limit, of the seeded sequence. */
  readonly random: (limit: number) => number;
  /** Starts the image again when nothing of it is left. */
  readonly again: () => Promise<void>;
  /** kill -9 of a client in the middle of its moves; another takes its place. */
  readonly killClient: () => Promise<void>;
}

export interface StormPlan {
  readonly kills: number;
  /** Ends something. Answers once it is dead. */
  readonly strike: (setting: StormSetting) => Promise<void>;
  /** A second client moves money too, for `killClient`. */
  readonly victims?: boolean;
}

export async function storm({ kills, strike, victims = false }: StormPlan): Promise<Storm> {
  const home = temporary();
  const image = join(home, 'image');
  const config = join(home, 'config.json');
  writeFileSync(config, JSON.stringify(MANY_RESTARTS));
  const env = { TELOS_CONFIG: config };
  const setting = {
    running: await Running.up(image, ['--hosts', '2'], { env }),
    driver: await Driver.connect({ image }, env),
  };
  const names = await openAccounts(setting.driver, ACCOUNTS);
  await startLoad(setting.driver, names, LANES, SEED);
  let state = SEED >>> 0;
  const random = (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const again = async (): Promise<void> => {
    setting.running = await Running.up(image, ['--hosts', '2'], { env });
  };
  const told = nothingTold();
  let victim: Driver | undefined;
  const killClient = async (): Promise<void> => {
    await victim?.kill();
    addNotes(told, victim?.notes ?? []);
    if (!victims) return;
    victim = await Driver.connect({ image }, env);
    await startLoad(victim, names, VICTIM_LANES, random(2 ** 31), true);
  };
  await killClient();
  const recoveries: number[] = [];
  for (let i = 0; i < kills; i++) {
    await new Promise((resolve) => setTimeout(resolve, random(300)));
    await strike({ ...setting, names, random, again, killClient });
    recoveries.push(await allAnswer(setting.driver, names));
  }
  victims = false;
  await killClient();
  const load = await stopLoad(setting.driver);
  const wrong = audit(names, load, await readBooks(setting.driver, names), told);
  await setting.driver.close();
  await setting.running.down();
  const verified = await telos(['verify', '--image', image]);
  if (verified.code !== 0) wrong.push(`telos verify: ${verified.stdout}${verified.stderr}`);
  wrong.push(...(tool('serialOrder', image).wrong as string[]));
  return { kills, recoveries, wrong, moves: Object.values(load.answered).reduce((sum, n) => sum + n, 0) };
}

/** kill -9 of one process with this role, whichever lives. */
export async function killOne({ running, random }: StormSetting, role: string): Promise<void> {
  const pids = await until(`a ${role}`, async () => {
    const found = await running.pids(role);
    return found.length > 0 ? found : undefined;
  });
  signal(pids[random(pids.length)] as number, 'SIGKILL');
}

/** As the kernel tells them to a client that is connected: quicker than a `telos status`. */
export async function rowsOf(driver: Driver): Promise<Row[]> {
  return driver.run<Row[]>(async (image: RemoteImage) => (await image.with({ deadlineMs: 60_000 }).status()).processes);
}

/** For the line that a failing test shows. */
export function summary({ kills, recoveries, moves }: Storm): string {
  const sorted = [...recoveries].sort((a, b) => a - b);
  const at = (q: number): string => (sorted[Math.floor((sorted.length - 1) * q)] ?? NaN).toFixed(0);
  return `seed ${SEED}: ${kills} kills, ${moves} moves, recovery ${at(0.5)} ms median, ${at(1)} ms worst`;
}
