/**
 * The shape of the tree, enforced: who may import whom, what is private to a folder, which file owns which library, how long a
 * file may be. A failure names the file and the rule. Exceptions stand in the tables below, each with its reason.
 */
import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MAX_LINES = 400;
/** A test file is a list: reading one entry needs no other. */
const MAX_TEST_LINES = 700;

/** Folders of the product, and what each may import of ours. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  protocol: [],
  config: ['protocol'],
  runtime: ['protocol', 'config'],
  actors: ['protocol', 'config', 'runtime'],
  clients: ['protocol', 'config'],
  ops: ['protocol', 'config', 'runtime', 'actors', 'clients'],
};
const PRODUCT = Object.keys(MAY_IMPORT);
/** These look at everything, as a user or a judge would. */
const OBSERVERS = ['bench', 'examples', 'test'];

/** Files that may be longer, and why. */
const LONG_FILES: Record<string, string> = {
  'runtime/sandbox/guest.ts':
    'one function, whose text is evaluated in another engine: it can not import the half of itself',
};

/** Libraries with importers in more than one folder, and why. */
const SHARED_LIBRARIES: Record<string, string> = {};

/** Pure parts: no clock, randomness, files, processes or sockets of their own. `node:crypto` and `node:buffer` compute only. */
const PURE = [
  'protocol/',
  'runtime/genesis/',
  'runtime/kernel/',
  'runtime/turn/',
  ...['cache', 'commits', 'host', 'job', 'loader', 'turnstile'].map((name) => `runtime/host/${name}.ts`),
  ...['core', 'silence', 'spec'].map((name) => `actors/supervisor/${name}.ts`),
  ...['request', 'session', 'subscription'].map((name) => `clients/library/${name}.ts`),
];
/** Below a pure folder, and not pure: the sockets. */
const IMPURE = ['protocol/zmq/'];
const IMPURE_MODULES =
  /^(zeromq|rocksdb|node:(fs|net|tls|http|https|child_process|worker_threads|cluster|dgram|timers|os|process|perf_hooks))/;
const AMBIENT =
  /\b(Date\.now\(|new Date\(\)|performance\.|Math\.random\(|setTimeout\(|setInterval\(|setImmediate\(|queueMicrotask\(|process\.)/;

interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Path inside the tree with its extension, or null for a package or a module of Node. */
  readonly to: string | null;
}

function filesBelow(folder: string): string[] {
  const path = join(ROOT, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.(ts|mjs)$/.test(name) && !name.endsWith('.d.ts'))
    .map((name) => `${folder}/${name.split(sep).join('/')}`);
}

const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

function importsOf(file: string): Import[] {
  const found = ts.preProcessFile(text(file), true, true).importedFiles.map((entry) => entry.fileName);
  return found.map((specifier) => {
    if (!specifier.startsWith('.')) return { from: file, specifier, to: null };
    const to = posix.join(posix.dirname(file), specifier.replace(/\.js$/, '.ts'));
    return { from: file, specifier, to: to.startsWith('dist/') ? null : to };
  });
}

const top = (file: string): string => file.split('/')[0] as string;
const isPure = (file: string): boolean =>
  PURE.some((path) => file.startsWith(path)) && !IMPURE.some((path) => file.startsWith(path));
const isTest = (file: string): boolean => file.startsWith('test/');
const productFiles = PRODUCT.flatMap(filesBelow);
const allFiles = [...productFiles, ...OBSERVERS.flatMap(filesBelow)];
const productImports = productFiles.flatMap(importsOf);

/** The outermost folder with an index.ts that holds `file` but not `importer`: whose door the importer has to use. */
function closedFolder(file: string, importer: string): string | undefined {
  const parts = file.split('/').slice(0, -1);
  for (let depth = 1; depth <= parts.length; depth++) {
    const folder = parts.slice(0, depth).join('/');
    if (importer.startsWith(`${folder}/`)) continue;
    if (existsSync(join(ROOT, folder, 'index.ts'))) return folder;
  }
  return undefined;
}

test('imports go one way: protocol, config, runtime, actors, ops; clients know protocol and config only', () => {
  const wrong = productImports.filter(
    ({ from, to }) => to !== null && top(to) !== top(from) && !MAY_IMPORT[top(from)]?.includes(top(to)),
  );
  expect(wrong.map(({ from, to }) => `${from} imports ${String(to)}`)).toEqual([]);
});

test('every relative import of the product names a file that exists', () => {
  const wrong = productImports.filter(({ to }) => to !== null && !existsSync(join(ROOT, to)));
  expect(wrong.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
});

test('folders of actors never import one another', () => {
  const wrong = productImports.filter(({ from, to }) => {
    if (to === null || top(from) !== 'actors' || top(to) !== 'actors') return false;
    return from.split('/')[1] !== to.split('/')[1];
  });
  expect(wrong.map(({ from, to }) => `${from} imports ${String(to)}`)).toEqual([]);
});

test('what a folder does not export in its index.ts is private to it', () => {
  const wrong = productImports.filter(({ from, to }) => {
    if (to === null) return false;
    const folder = closedFolder(to, from);
    return folder !== undefined && to !== `${folder}/index.ts`;
  });
  expect(wrong.map(({ from, to }) => `${from} imports ${String(to)}`)).toEqual([]);
});

test('each library is imported by one file or one folder', () => {
  const importers = new Map<string, Set<string>>();
  for (const { from, specifier, to } of productImports) {
    if (to !== null || specifier.startsWith('.') || specifier.startsWith('node:')) continue;
    const library = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    importers.set(library, (importers.get(library) ?? new Set()).add(from));
  }
  const wrong = [...importers].filter(([library, files]) => {
    if (library in SHARED_LIBRARIES) return false;
    const folders = new Set([...files].map((file) => posix.dirname(file)));
    return files.size > 1 && (folders.size > 1 || PRODUCT.includes([...folders][0] as string));
  });
  expect(wrong.map(([library, files]) => `${library}: ${[...files].join(', ')}`)).toEqual([]);
});

test('the pure core reaches no clock, file, process or socket', () => {
  const pure = productFiles.filter(isPure);
  const imports = pure.flatMap(importsOf).filter(({ specifier }) => IMPURE_MODULES.test(specifier));
  expect(imports.map(({ from, specifier }) => `${from} imports ${specifier}`)).toEqual([]);
  expect(pure.filter((file) => AMBIENT.test(withoutComments(text(file))))).toEqual([]);
  expect(PURE.filter((path) => !pure.some((file) => file.startsWith(path)))).toEqual([]);
});

test('a file that calls itself pure is held to it', () => {
  const says = (file: string): boolean => /\bpure\b/i.test(/^\/\*\*[\s\S]*?\*\//.exec(text(file))?.[0] ?? '');
  expect(productFiles.filter((file) => says(file) && !isPure(file))).toEqual([]);
});

test(`files are under ${MAX_LINES} lines, or on the list with a reason`, () => {
  const long = allFiles.filter((file) => text(file).split('\n').length > (isTest(file) ? MAX_TEST_LINES : MAX_LINES));
  expect(long.filter((file) => !(file in LONG_FILES))).toEqual([]);
  expect(Object.keys(LONG_FILES).filter((file) => !long.includes(file))).toEqual([]);
});

test('`export *` stands in index.ts alone, and an index.ts holds nothing but exports', () => {
  const star = allFiles.filter((file) => !file.endsWith('index.ts') && /^export \*/m.test(text(file)));
  expect(star).toEqual([]);
  const stuffed = productFiles.filter(
    (file) => file.endsWith('/index.ts') && /^(import|export) (async )?(function|class|const|let)\b/m.test(text(file)),
  );
  expect(stuffed).toEqual([]);
});

test('a file of the product says first what it is', () => {
  const silent = productFiles.filter((file) => !file.endsWith('/index.ts') && !/^(#!.*\n)?\/\*\*/.test(text(file)));
  expect(silent).toEqual([]);
});

test('nothing is left for later', () => {
  const marker = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].map((word) => `\\b${word}\\b`).join('|'));
  expect(allFiles.filter((file) => !isTest(file) && marker.test(text(file)))).toEqual([]);
});

function withoutComments(source: string): string {
  return source
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/ \/\/ .*$/gm, '');
}

test('the tree that was looked at is the real one', () => {
  expect(
    relative(ROOT, fileURLToPath(import.meta.url))
      .split(sep)
      .join('/'),
  ).toBe('test/boundaries.test.ts');
  expect(productFiles.length).toBeGreaterThan(10);
});
