/** The pages of docs/ agree with what they are about. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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

/** The rows of a table of README.md whose first cell begins with `word`. */
const rowsOf = (word: string): string[] =>
  read('README.md')
    .split('\n')
    .filter((line) => line.startsWith('| `') && line.includes(`\`${word}`));

test('README.md has a row for each command, with all its options', () => {
  const source = read('clients/cli/program.ts');
  const commands = [...source.matchAll(/leaf\(\s*program,\s*'([a-z-]+)/g)].map((match) => match[1] as string);
  expect(commands).toEqual(expect.arrayContaining(['up', 'send', 'doctor']));
  for (const command of [...commands, 'dead-letters'])
    expect([command, rowsOf(`telos ${command}`)]).toEqual([command, [expect.any(String)]]);
  const options = [...source.matchAll(/'(--[a-z]+)/g)].map((match) => match[1] as string);
  expect(options.filter((option) => !read('README.md').includes(`\`${option}`))).toEqual([]);
});

test('README.md names each command of the prompt', () => {
  const commands = [...read('clients/repl/commands.ts').matchAll(/^ {4}([a-z]+): \{$/gm)].map(
    (match) => match[1] as string,
  );
  expect(commands).toContain('letters');
  expect(commands.filter((command) => rowsOf(`.${command}`).length === 0)).toEqual([]);
});

test('links between the pages lead somewhere', () => {
  const pages = ['README.md', 'protocol/README.md', 'examples/ledger/README.md', 'docs/decisions/README.md'].concat(
    readdirSync(new URL('../docs', import.meta.url))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  );
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)]
      .map((match) => new URL(match[1] as string, new URL(`../${page}`, import.meta.url)))
      .filter((url) => !existsSync(url))
      .map((url) => `${page}: ${url.pathname}`),
  );
  expect(broken).toEqual([]);
});
