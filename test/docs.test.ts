/** The pages of docs/ agree with what they are about. */
import { readdirSync, readFileSync } from 'node:fs';
import { configurationReference } from '../config/index.js';
import { configurationPage } from '../ops/configuration-page.js';
import { errorsPage } from '../ops/errors-page.js';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

test('docs/errors.md is current: `npm run docs` would change nothing', () => {
  expect(read('docs/errors.md').split('\n')).toEqual(errorsPage().split('\n'));
});

test('docs/dependencies.md has exactly one line for each dependency', () => {
  const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>;
  const fields = ['dependencies', 'devDependencies', 'optionalDependencies'];
  const wanted = fields.flatMap((field) => Object.keys(manifest[field] ?? {})).sort();
  const listed = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]).sort();
  expect(listed).toEqual(wanted);
});

test('docs/configuration.md is current: `npm run docs` would change nothing', () => {
  expect(read('docs/configuration.md').split('\n')).toEqual(configurationPage().split('\n'));
});

test('every group and key of the configuration says what it means', () => {
  const groups = configurationReference();
  expect(groups.length).toBeGreaterThan(5);
  const silent = groups.flatMap(({ group, meaning, keys }) => [
    ...(meaning === '' ? [group] : []),
    ...keys
      .filter((key) => key.meaning === '')
      .map(({ key }) => `${group}.${key}: add .describe('…') in config/schema.ts`),
  ]);
  expect(silent).toEqual([]);
});

test('docs/decisions/README.md names every decision, and nothing else', () => {
  const pages = readdirSync(new URL('../docs/decisions', import.meta.url)).filter((name) => name !== 'README.md');
  const listed = [...read('docs/decisions/README.md').matchAll(/\]\(([^)]+\.md)\)/g)].map((match) => match[1]);
  expect([...listed].sort()).toEqual(pages.sort());
  for (const name of pages) expect(read(`docs/decisions/${name}`)).toMatch(/^# /);
});
