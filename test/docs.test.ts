import { readFileSync } from 'node:fs';
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

test('docs/decisions/README.md names every decision', () => {
  const index = read('docs/decisions/README.md');
  const listed = [...index.matchAll(/\]\(([^)]+\.md)\)/g)].map((match) => match[1]);
  for (const name of listed) expect(read(`docs/decisions/${name}`)).toMatch(/^# /);
});
