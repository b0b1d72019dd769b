/** A limit that nobody reads limits nothing: each key of the configuration is used somewhere outside config/. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultConfig } from '../../../config/index.js';

/** The text of all our TypeScript below these folders. */
const sourcesOf = (folders: readonly string[]): string =>
  folders
    .map((folder) => fileURLToPath(new URL(`../../../${folder}/`, import.meta.url)))
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');

test('every-key-is-read-outside-the-configuration', () => {
  const source = sourcesOf(['protocol', 'runtime', 'actors', 'clients', 'ops']);
  const keys = Object.entries(defaultConfig).flatMap(([group, values]) =>
    Object.keys(values).map((key) => [group, key]),
  );
  // As `config.group.key`, or taken out of its group by name.
  expect(keys.filter(([, key = '']) => !new RegExp(`[.{,]\\s*${key}\\b`).test(source))).toEqual([]);
});
