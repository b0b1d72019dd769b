/** A limit that nobody reads limits nothing: each key of the configuration is read somewhere in the product, outside of config/. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultConfig } from '../config/index.js';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

function sources(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sources(path);
    return path.endsWith('.ts') ? [readFileSync(join(ROOT, path), 'utf8')] : [];
  });
}

/** Without comments, in which a key may be named and not be read. */
const code = ['protocol', 'runtime', 'actors', 'clients', 'ops']
  .flatMap(sources)
  .join('\n')
  .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm, '');

const keys = Object.entries(defaultConfig).flatMap(([group, values]) =>
  Object.keys(values).map((key): [string, string] => [group, key]),
);

test.each(keys)('%s.%s is read by somebody', (_, key) => {
  expect(new RegExp(String.raw`\b${key}\b`).test(code)).toBe(true);
});
