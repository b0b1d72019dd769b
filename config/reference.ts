/** The schema as data, for the page that is generated from it (docs/configuration.md). */
import { snake } from './load.js';
import { configSchema } from './schema.js';

export interface KeyReference {
  /** As it stands in a file. */
  readonly key: string;
  readonly standard: string;
  /** '' where there is none, or the type has no least or most. */
  readonly unit: string;
  readonly least: string;
  readonly most: string;
  /** '' is a mistake: every key says what it means. */
  readonly meaning: string;
}

export interface GroupReference {
  readonly group: string;
  readonly meaning: string;
  readonly keys: readonly KeyReference[];
}

const UNITS: Readonly<Record<string, string>> = { Ms: 'ms', Bytes: 'bytes' };
const BINARY: readonly (readonly [bytes: number, name: string])[] = [
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
];

/** 16777216 as `16 MiB`, where that is exact; 20000 as it is. */
function shown(value: number, unit: string): string {
  const scale = unit === 'bytes' ? BINARY.find(([bytes]) => value >= bytes && (value / bytes) % 0.25 === 0) : undefined;
  return scale === undefined ? String(value) : `${value} (${value / scale[0]} ${scale[1]})`;
}

type GroupSchema = ReturnType<(typeof configSchema.shape)['link']['unwrap']>;
type KeySchema = GroupSchema['shape'][keyof GroupSchema['shape']];

function keyReference(name: string, schema: KeySchema): KeyReference {
  const unit = UNITS[/[A-Z][a-z]*$/.exec(name)?.[0] ?? ''] ?? '';
  const { description = '', standard } = (schema.meta() ?? {}) as { description?: string; standard?: string };
  // A list has neither.
  const { minValue = null, maxValue = null } = schema.unwrap() as {
    minValue?: number | null;
    maxValue?: number | null;
  };
  const value: unknown = schema.def.defaultValue;
  const bounded = maxValue !== null && maxValue < Number.MAX_SAFE_INTEGER;
  return {
    key: snake(name),
    standard: standard ?? (typeof value === 'number' ? shown(value, unit) : JSON.stringify(value)),
    unit,
    least: minValue === null ? '' : shown(minValue, unit),
    most: bounded ? shown(maxValue, unit) : '',
    meaning: description,
  };
}

/** All groups and keys, in the order of the schema. */
export function configurationReference(): GroupReference[] {
  return Object.entries(configSchema.shape).map(([group, schema]) => ({
    group: snake(group),
    meaning: schema.description ?? '',
    keys: Object.entries(schema.unwrap().shape).map(([name, key]) => keyReference(name, key as KeySchema)),
  }));
}
