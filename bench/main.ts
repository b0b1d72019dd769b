/**
 * `npm run bench [-- [--quick] [--fresh] [--seconds N] [asks] [nested] [opening] [turns]]`: measures the claims, prints one table.
 * Images are kept in .cache/bench; `--fresh` makes them anew. Everything runs with CURVE on, through the client library and a real `telos up`.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { asks } from './asks.js';
import { baseline } from './baseline-echo.js';
import { compartment } from './compartment.js';
import { machine, milliseconds, perSecond, table, type Row, type Settings } from './harness.js';
import { nestedSends } from './nested-sends.js';
import { opening } from './opening.js';
import { turnCost } from './turn-cost.js';

const GROUPS = ['asks', 'compartment', 'nested', 'opening', 'turns'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
    seconds: { type: 'string' },
  },
});
const wanted = (group: string): boolean => positionals.length === 0 || positionals.includes(group);
const unknown = positionals.filter((name) => !GROUPS.includes(name));
if (unknown.length > 0) throw new Error(`unknown benchmark ${unknown.join(', ')}: there are ${GROUPS.join(', ')}`);

const cache = fileURLToPath(new URL('../../.cache/bench', import.meta.url));
if (values.fresh) rmSync(cache, { recursive: true, force: true });
mkdirSync(cache, { recursive: true });
const settings: Settings = {
  seconds: Number(values.seconds ?? (values.quick ? 2 : 5)),
  sizes: values.quick ? [1000, 100_000] : [1000, 100_000, 1_000_000],
  cache,
  say: (line) => process.stderr.write(`${line}\n`),
};

const base = await baseline(settings);
settings.say(`baseline: ${perSecond(base.echo.perSecond)} bare echoes, ${milliseconds(base.echoAlone.p50)} alone`);
const rows: Row[] = [];
if (wanted('asks')) rows.push(...(await asks(settings, base)));
if (wanted('compartment')) rows.push(...(await compartment()));
if (wanted('nested')) rows.push(...(await nestedSends(settings)));
if (wanted('turns')) rows.push(...(await turnCost(settings)));
if (wanted('opening')) rows.push(...(await opening(settings)));
process.stdout.write(`${machine()}\n${table(rows)}\n`);
