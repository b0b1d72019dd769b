/** Reads, checks and completes a configuration. Reads nothing but the file that it is told of by argument or environment. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TelosError } from '../protocol/index.js';
import { RELATIONS } from './relations.js';
import { configSchema, type Config } from './schema.js';

const camel = (key: string): string => key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
/** `heartbeatIntervalMs` as it stands in a file: `heartbeat_interval_ms`. */
export const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function camelKeys(value: unknown): unknown {
  if (!isMap(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camel(key), camelKeys(item)]));
}

/** The configuration in the form of a file: keys in snake_case. */
export function toFileForm(config: Config): Record<string, unknown> {
  const convert = (value: unknown): unknown =>
    isMap(value) ? Object.fromEntries(Object.entries(value).map(([key, item]) => [snake(key), convert(item)])) : value;
  return convert(config) as Record<string, unknown>;
}

const MAX_SHOWN_CHARS = 100;

function shown(value: unknown): string {
  const text = JSON.stringify(isMap(value) ? toFileForm(value as Config) : value) ?? 'absent';
  return text.length > MAX_SHOWN_CHARS ? `${text.slice(0, MAX_SHOWN_CHARS)}…` : text;
}

const valueAt = (data: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined), data);

/** The keys that a text names, `group.key`, with their values. */
export function valuesIn(text: string, config: Config): string {
  const found = new Map<string, unknown>();
  for (const [name, group = '', key = ''] of text.matchAll(/\b([a-z]+)\.([a-z_]+)\b/g))
    found.set(name, valueAt(config, [group, camel(key)]));
  return [...found].map(([name, value]) => `${name} is ${shown(value)}`).join(', ');
}

/**
 * Completes and checks configuration data, with keys in snake_case or camelCase.
 * @throws TelosError BAD_CONFIG naming the key, its value and what is expected
 */
export function parseConfig(data: unknown, source = 'the configuration'): Config {
  const given = camelKeys(data);
  const parsed = configSchema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) =>
        `${path.map((key) => snake(String(key))).join('.') || 'it'}: ${message} (it is ${shown(valueAt(given, path))})`,
    );
    throw new TelosError('BAD_CONFIG', `${source}: ${problems.join('; ')}`);
  }
  const broken = RELATIONS.filter(({ holds }) => !holds(parsed.data));
  if (broken.length > 0)
    throw new TelosError(
      'BAD_CONFIG',
      `${source}: ${broken.map(({ says }) => `${says} (${valuesIn(says, parsed.data)})`).join('; ')}`,
    );
  return parsed.data;
}

/**
 * The file named by `file`, else by TELOS_CONFIG in `env`, else the defaults. A file that is named must be there.
 * @throws TelosError BAD_CONFIG
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>> = process.env, file?: string): Config {
  const path = file ?? env['TELOS_CONFIG'];
  return path === undefined || path === '' ? parseConfig({}) : parseConfig(readJson(path), path);
}

/** TELOS_CONFIG, else `config.json` in the image's directory if there is one, else the defaults. @throws TelosError BAD_CONFIG */
export function loadImageConfig(
  imageDir: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Config {
  const own = join(imageDir, 'config.json');
  const named = env['TELOS_CONFIG'];
  return loadConfig(env, named === undefined || named === '' ? (existsSync(own) ? own : undefined) : named);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (cause) {
    throw new TelosError('BAD_CONFIG', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      remedy: 'name a readable JSON file in TELOS_CONFIG, or mend it',
    });
  }
}

export const defaultConfig: Config = parseConfig({});
