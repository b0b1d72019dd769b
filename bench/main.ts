/**
 * `npm run bench [-- [--quick] [--fresh] [--seconds N] [asks] [compartment] [nested] [opening] [turns]]`: measures the claims, prints one table.
 * Images are kept in .cache/bench; `--fresh` makes them anew.
 *
 * `asks`, `turns` and `opening` go through the client library and a real `telos up`, with CURVE on, as a user has it. What does not, says so in its
 * claim: nested sends are those of the turn engine alone (a second row goes through `telos up`), `compartment` is the compartment alone, and
 * loading passive objects has kernel and host in one process (a second row asks from a client).
 */
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { asks } from './asks.js';
import { compartment } from './compartment.js';
import { machine, table, type Row, type Settings } from './harness.js';
import { nestedSends } from './nested-sends.js';
import { opening } from './opening.js';
import { turnCost } from './turn-cost.js';

type Group = (settings: Settings) => Promise<Row[]>;
const GROUPS: Readonly<Record<string, Group>> = { asks, compartment, nested: nestedSends, turns: turnCost, opening };
const MIN_SECONDS = 1;
const MAX_SECONDS = 600;
const USAGE = `usage: npm run bench -- [--quick] [--fresh] [--seconds N] [${Object.keys(GROUPS).join('] [')}]`;

interface Wanted {
  readonly groups: readonly string[];
  readonly seconds: number;
  readonly quick: boolean;
  readonly fresh: boolean;
}

function refuse(why: string): never {
  process.stderr.write(`${why}\n${USAGE}\n`);
  process.exit(2);
}

function read(): ReturnType<typeof parse> {
  try {
    return parse();
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

const parse = () =>
  parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      seconds: { type: 'string' },
    },
  });

function wanted(): Wanted {
  const { values, positionals } = read();
  const unknown = positionals.filter((name) => !Object.hasOwn(GROUPS, name));
  if (unknown.length > 0) refuse(`there is no benchmark ${unknown.join(', ')}`);
  const seconds = Number(values.seconds ?? (values.quick ? 2 : 5));
  if (!(seconds >= MIN_SECONDS && seconds <= MAX_SECONDS))
    refuse(`--seconds ${JSON.stringify(values.seconds)} is no number from ${MIN_SECONDS} to ${MAX_SECONDS}`);
  const groups = positionals.length === 0 ? Object.keys(GROUPS) : positionals;
  return { groups, seconds, quick: values.quick, fresh: values.fresh };
}

const { groups, seconds, quick, fresh } = wanted();
const cache = fileURLToPath(new URL('../../.cache/bench', import.meta.url));
if (fresh) rmSync(cache, { recursive: true, force: true });
mkdirSync(cache, { recursive: true });
const settings: Settings = {
  seconds,
  sizes: quick ? [1000, 100_000] : [1000, 100_000, 1_000_000],
  cache,
  say: (line) => process.stderr.write(`${line}\n`),
};

const rows: Row[] = [];
for (const [name, measured] of Object.entries(GROUPS)) {
  if (!groups.includes(name)) continue;
  settings.say(`${name} …`);
  rows.push(...(await measured(settings)));
}
process.stdout.write(`${machine()}\n${table(rows)}\n`);
