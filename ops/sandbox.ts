/**
 * Tries a method in the sandbox: `node dist/ops/sandbox.js FILE [--self JSON] [--arg JSON]… [--answer JSON]… [--image DIR] [--json]`.
 * Nothing of what it does happens. Exit code 0: it answered. 1: it did not, or could not be read. 2: wrong usage.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadImageConfig } from '../config/index.js';
import { TelosError } from '../protocol/index.js';
import {
  SandboxPool,
  type Failure,
  type Recording,
  type SandboxReport,
  type SandboxTask,
} from '../runtime/sandbox/index.js';

const USAGE = 'usage: sandbox FILE [--self JSON] [--arg JSON]… [--answer JSON]… [--image DIR] [--json]';

interface Wanted {
  readonly task: SandboxTask;
  readonly image: string;
  readonly json: boolean;
}

function parsed(option: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TelosError('USAGE', `--${option} ${text} is no JSON`);
  }
}

function mapOf(option: string, text: string): Record<string, unknown> {
  const value = parsed(option, text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TelosError('USAGE', `--${option} ${text} is no JSON object`);
}

function isFailure(value: unknown): value is Failure {
  const { name, message } = (value ?? {}) as Partial<Failure>;
  return typeof name === 'string' && typeof message === 'string';
}

function recordingOf(text: string): Recording {
  const { to, selector, reply, error, ...others } = mapOf('answer', text);
  if (typeof to === 'string' && typeof selector === 'string' && Object.keys(others).length === 0) {
    if (error === undefined) return { to, selector, reply };
    if (reply === undefined && isFailure(error)) return { to, selector, error };
  }
  throw new TelosError(
    'USAGE',
    `--answer ${text} is not like {"to": "cart", "selector": "total", "reply": 42} or {…, "error": {"name": "RangeError", "message": "too few"}}`,
  );
}

function sourceIn(file: string): string {
  try {
    // A file may end in `;` and hold comments, as editors leave it.
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new TelosError('BAD_ARGUMENT', `${file} can not be read: ${(cause as Error).message}`, {
      cause,
      remedy: 'name a file that holds one function expression',
    });
  }
}

function asUsage<R>(read: () => R): R {
  try {
    return read();
  } catch (thrown) {
    throw TelosError.from(thrown, 'USAGE');
  }
}

function readArguments(): Wanted {
  const many = { type: 'string', multiple: true, default: [] as string[] } as const;
  const { values, positionals } = asUsage(() =>
    parseArgs({
      allowPositionals: true,
      options: {
        self: { type: 'string', default: '{}' },
        arg: many,
        answer: many,
        image: { type: 'string' },
        json: { type: 'boolean', default: false },
      },
    }),
  );
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) throw new TelosError('USAGE', 'one FILE is expected');
  const task: SandboxTask = {
    source: sourceIn(file),
    self: mapOf('self', values.self),
    args: values.arg.map((text) => parsed('arg', text)),
    recordings: values.answer.map(recordingOf),
    time: Date.now(),
    seed: 1,
  };
  return { task, image: values.image ?? process.env['TELOS_IMAGE'] ?? './image', json: values.json };
}

function lines({ verdict, value, error, effects, ms, memoryBytes }: SandboxReport): string[] {
  const answer = verdict === 'answered' ? JSON.stringify(value) : `${error?.name ?? 'Error'}: ${error?.message ?? ''}`;
  const tried = Object.entries(effects).flatMap(([kind, list]) => {
    const some = Array.isArray(list) ? list.length > 0 : Object.keys(list as object).length > 0;
    return some ? [`${kind}: ${JSON.stringify(list)}`] : [];
  });
  return [`${verdict}: ${answer}`, ...tried, `${ms.toFixed(1)} ms, ${(memoryBytes / 2 ** 20).toFixed(0)} MiB`];
}

async function main(): Promise<number> {
  const { task, image, json } = readArguments();
  const { threads, queue, killAfterMs, ...limits } = loadImageConfig(image).sandbox;
  const pool = new SandboxPool({ threads: Math.min(threads, 1), queue, killAfterMs, limits });
  try {
    const report = await pool.try(task);
    process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${lines(report).join('\n')}\n`);
    return report.verdict === 'answered' ? 0 : 1;
  } finally {
    await pool.close();
  }
}

try {
  process.exitCode = await main();
} catch (thrown) {
  const error = TelosError.from(thrown, 'INTERNAL');
  const usage = error.code === 'USAGE';
  const { code, name, message } = error;
  const remedy = usage ? USAGE : error.remedy;
  if (process.argv.includes('--json'))
    process.stdout.write(`${JSON.stringify({ error: { code, name, message, remedy } })}\n`);
  else process.stderr.write(`${code}: ${message}\n  ${remedy}\n`);
  process.exitCode = usage ? 2 : 1;
}
