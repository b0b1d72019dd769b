/**
 * Checks everything that TelOS needs on this machine, each with its remedy: `node dist/ops/doctor.js [--image DIR] [--port N] [--json]`.
 * Changes nothing. Exit code 0: all that is needed is fine. 1: something is not. 2: wrong usage.
 */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { createServer, Socket } from 'node:net';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { loadImageConfig, type Config } from '../config/index.js';
import { TelosError } from '../protocol/index.js';
import {
  imagePaths,
  isRunning,
  listProcesses,
  liveEndpoint,
  lockHolder,
  type ImagePaths,
} from '../runtime/image/index.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const LOAD_TIMEOUT_MS = 30_000;
const CONNECT_TIMEOUT_MS = 2000;
const MiB = 1024 * 1024;
/** Guardian, kernel and a host, and room to work. */
const MEMORY_BYTES = 512 * MiB;

interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** False: TelOS runs without it. */
  readonly needed: boolean;
  readonly detail: string;
  /** '' when all is fine. */
  readonly remedy: string;
}

const fine = (check: string, detail: string, needed = true): Finding => ({
  check,
  ok: true,
  needed,
  detail,
  remedy: '',
});
const bad = (check: string, detail: string, remedy: string, needed = true): Finding => ({
  check,
  ok: false,
  needed,
  detail,
  remedy,
});

interface Manifest {
  readonly engines: { readonly node: string };
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

// ---- Node and packages -------------------------------------------------------------------------------------------------------------

const asNumber = (version: string): number => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major * 1000 + minor;
};

/** `engines.node` is of the form `>=A.B <C`. */
function checkNode(): Finding {
  const { node } = process.versions;
  const [, least = '0', below = '9999'] = /^>=(\S+) <(\S+)$/.exec(manifest.engines.node) ?? [];
  const fits = asNumber(node) >= asNumber(least) && asNumber(node) < asNumber(below);
  return fits
    ? fine('node', node)
    : bad(
        'node',
        `${node} is not ${manifest.engines.node}`,
        'install Node 22, or another that fits, from https://nodejs.org',
      );
}

/** What a package is asked in its own process, so that a crash of native code is a finding and nothing more. */
const QUESTIONS: Record<string, string> = {
  zeromq:
    'const z = (await import("zeromq")).default ?? (await import("zeromq")); console.log(`${z.version}, CURVE: ${z.capability.curve === true ? "yes" : "no"}`)',
};

const reasonOf = (error: unknown): string => {
  const { stderr, message } = error as { stderr?: string; message: string };
  return /^(?:\w*Error.*)$/m.exec(stderr ?? '')?.[0] ?? message.split('\n')[0] ?? 'unknown';
};

async function checkPackage(name: string, needed: boolean): Promise<Finding[]> {
  const source = QUESTIONS[name] ?? `await import(${JSON.stringify(name)}); console.log("loads")`;
  const check = `package ${name}`;
  try {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', `${source}; process.exit(0)`], {
      cwd: ROOT,
      timeout: LOAD_TIMEOUT_MS,
      windowsHide: true,
    });
    const found = fine(check, stdout.trim(), needed);
    return name === 'zeromq' ? [found, checkCurve(stdout)] : [found];
  } catch (error) {
    const remedy = needed
      ? 'run `npm ci` in the folder of TelOS'
      : `run \`npm install ${name}\` if you want what it brings`;
    return [bad(check, reasonOf(error), remedy, needed)];
  }
}

function checkCurve(answer: string): Finding {
  if (answer.includes('CURVE: yes')) return fine('encryption (CURVE)', 'in this build of ZeroMQ');
  return bad(
    'encryption (CURVE)',
    'this build of ZeroMQ has none',
    'run `npm ci` anew, so that the prebuilt zeromq is installed, or build it with libsodium',
  );
}

/** A few at a time: each is a process. */
async function checkPackages(): Promise<Finding[]> {
  const names = [
    ...Object.keys(manifest.dependencies ?? {}).map((name) => [name, true] as const),
    ...Object.keys(manifest.optionalDependencies ?? {}).map((name) => [name, false] as const),
  ];
  const found: Finding[][] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let at = next++; at < names.length; at = next++) {
      const [name, needed] = names[at] as readonly [string, boolean];
      found[at] = await checkPackage(name, needed);
    }
  };
  await Promise.all(Array.from({ length: Math.min(4, availableParallelism() + 1) }, lane));
  return found.flat();
}

// ---- the image -----------------------------------------------------------------------------------------------------------------------

/** The nearest directory above a path, or the path itself, that exists. */
function existing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (existsSync(at) || dirname(at) === at) return at;
}

function checkImage({ root }: ImagePaths): Finding {
  const place = existing(root);
  if (!statSync(place).isDirectory())
    return bad('image', `${place} is no directory`, 'name another image directory with --image or TELOS_IMAGE');
  if (process.platform === 'win32' && !/^[\x20-\x7e]*$/.test(root)) {
    return bad('image', `${root} has other than ASCII characters`, 'name a directory with ASCII letters only');
  }
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return bad(
      'image',
      `${place} can not be read and written by this user`,
      'give your user the right, or name another image directory',
    );
  }
  return fine('image', place === root ? root : `${root} (not made yet)`);
}

function checkKeys({ serverKeys, ownerKeys }: ImagePaths): Finding[] {
  if (process.platform === 'win32') return [];
  return [serverKeys, ownerKeys].filter(existsSync).map((path) => {
    const { mode } = statSync(path);
    const open = mode & 0o077;
    if (open === 0) return fine('key file', `${path} is for its owner only`);
    return bad('key file', `${path} has mode ${(mode & 0o777).toString(8)}: others can use it`, `chmod 600 ${path}`);
  });
}

async function checkDisk({ root, reserve }: ImagePaths, config: Config): Promise<Finding> {
  const { bavail, bsize } = await statfs(existing(root));
  const free = bavail * bsize + (statSync(reserve, { throwIfNoEntry: false })?.size ?? 0);
  const needs = 3 * config.journal.writeBufferBytes;
  const detail = `${Math.floor(free / MiB)} MiB free for the image, ${Math.ceil(needs / MiB)} MiB needed besides its data`;
  return free >= needs ? fine('disk', detail) : bad('disk', detail, `free space on the volume of ${root}`);
}

async function checkLeftovers({ root }: ImagePaths): Promise<Finding> {
  const guardian = await lockHolder(root, 'guardian');
  const running: string[] = [];
  for (const { pid, startTime, name } of listProcesses(root))
    if (await isRunning(pid, startTime)) running.push(`${name} ${pid}`);
  if (guardian !== undefined) return fine('processes', `served by guardian ${guardian}: ${running.join(', ')}`);
  if (running.length === 0) return fine('processes', 'none left over');
  return bad(
    'processes',
    `left over without a guardian: ${running.join(', ')}`,
    'run `telos up`: it ends them first',
    false,
  );
}

function checkConfig({ root }: ImagePaths): [Finding, Config | null] {
  try {
    return [
      fine(
        'configuration',
        process.env['TELOS_CONFIG'] ?? (existsSync(join(root, 'config.json')) ? join(root, 'config.json') : 'defaults'),
      ),
      loadImageConfig(root),
    ];
  } catch (error) {
    const { message, remedy } = TelosError.from(error);
    return [bad('configuration', message, remedy), null];
  }
}

// ---- the machine -----------------------------------------------------------------------------------------------------------------------

const connects = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = new Socket();
    const end = (ok: boolean): void => {
      socket.destroy();
      resolve(ok);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => end(false));
    socket.once('error', () => end(false));
    socket.connect(port, host, () => end(true));
  });

const binds = (port: number): Promise<string> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve('')));
  });

async function checkPort(paths: ImagePaths, port: number): Promise<Finding> {
  const live = existsSync(paths.root) ? await liveEndpoint(paths.root) : undefined;
  if (live) {
    const { hostname, port: at } = new URL(live.endpoint);
    if (await connects(hostname, Number(at))) return fine('port', `${live.endpoint} answers`);
    return bad('port', `${live.endpoint} does not answer`, "see `telos status` and the kernel's log in the image");
  }
  const error = await binds(port);
  if (error === '') return fine('port', port === 0 ? 'any free port of 127.0.0.1' : `127.0.0.1:${port} is free`);
  return bad('port', `127.0.0.1:${port} can not be used: ${error}`, 'choose another with --port, or leave it out');
}

/** What later versions look at; this one uses none, so there is nothing to find or to miss. */
const checkModels = (): Finding => fine('models', 'none are used by this version', false);

function checkMemory(): Finding {
  const detail = `${Math.floor(freemem() / MiB)} of ${Math.floor(totalmem() / MiB)} MiB free, ${availableParallelism()} cores`;
  return freemem() >= MEMORY_BYTES
    ? fine('memory', detail, false)
    : bad('memory', detail, 'end other programs, or run fewer hosts with --hosts', false);
}

// ---- the report -----------------------------------------------------------------------------------------------------------------------

async function examine(image: string, port: number): Promise<Finding[]> {
  const paths = imagePaths(image);
  const [configuration, config] = checkConfig(paths);
  const place = checkImage(paths);
  const rest = place.ok
    ? [...checkKeys(paths), await checkLeftovers(paths), ...(config ? [await checkDisk(paths, config)] : [])]
    : [];
  return [
    checkNode(),
    ...(await checkPackages()),
    configuration,
    place,
    ...rest,
    await checkPort(paths, port),
    checkMemory(),
    checkModels(),
  ];
}

function lineOf({ check, ok, needed, detail, remedy }: Finding): string {
  const sign = ok ? 'ok      ' : needed ? 'FAILED  ' : 'optional';
  return `${sign}  ${check}: ${detail}${remedy === '' ? '' : `\n            ${remedy}`}`;
}

interface Options {
  readonly image: string;
  readonly port: number;
  readonly json: boolean;
}

function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        image: { type: 'string' },
        port: { type: 'string', default: '0' },
        json: { type: 'boolean', default: false },
      },
    });
    const image = values.image ?? (process.env['TELOS_IMAGE'] || 'image');
    const port = /^\d{1,5}$/.test(values.port) ? Number(values.port) : NaN;
    return port <= 65_535 ? { image, port, json: values.json } : undefined;
  } catch {
    return undefined;
  }
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    process.stderr.write('usage: doctor [--image DIR] [--port N] [--json]\n');
    return 2;
  }
  const findings = await examine(options.image, options.port);
  const ok = findings.every((finding) => finding.ok || !finding.needed);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ ok, findings })}\n`
      : `${findings.map(lineOf).join('\n')}\n${ok ? 'all that is needed is fine' : 'something needed is not fine'}\n`,
  );
  return ok ? 0 : 1;
}

process.exitCode = await main();
