/** Kills processes of an image under load, again and again, and holds the books against what the client saw. */
import { join } from 'node:path';
import { allAnswer, audit, openAccounts, readBooks, startLoad, stopLoad } from './bank.js';
import { Driver } from './driver.js';
import { Running, signal, telos, temporary, until } from './processes.js';
import { writeFileSync } from 'node:fs';

const ACCOUNTS = 12;
const LANES = 24;

/** The budget of restarts is not what is tested here. */
const MANY_RESTARTS = { supervisor: { restarts: 100_000 } };

/** A seed from the environment repeats a run: TELOS_SEED=123. */
export const SEED = Number(process.env['TELOS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

export interface Storm {
  readonly kills: number;
  /** Milliseconds from each kill until every account had answered. */
  readonly recoveries: number[];
  /** What the books or `telos verify` show that should not be; empty when all is well. */
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
}

export interface StormPlan {
  readonly kills: number;
  /** Ends something. Answers once it is dead. */
  readonly strike: (setting: StormSetting) => Promise<void>;
}

export async function storm({ kills, strike }: StormPlan): Promise<Storm> {
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
  const recoveries: number[] = [];
  for (let i = 0; i < kills; i++) {
    await new Promise((resolve) => setTimeout(resolve, random(300)));
    await strike({ ...setting, names, random, again });
    recoveries.push(await allAnswer(setting.driver, names));
  }
  const load = await stopLoad(setting.driver);
  const wrong = audit(names, load, await readBooks(setting.driver, names));
  await setting.driver.close();
  await setting.running.down();
  const verified = await telos(['verify', '--image', image]);
  if (verified.code !== 0) wrong.push(`telos verify: ${verified.stdout}${verified.stderr}`);
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

/** For the line that a failing test shows. */
export function summary({ kills, recoveries, moves }: Storm): string {
  const sorted = [...recoveries].sort((a, b) => a - b);
  const at = (q: number): string => (sorted[Math.floor((sorted.length - 1) * q)] ?? NaN).toFixed(0);
  return `seed ${SEED}: ${kills} kills, ${moves} moves, recovery ${at(0.5)} ms median, ${at(1)} ms worst`;
}
