/** The text that comes out of a sandbox, checked as what it is: the word of a stranger. */
import { TelosError } from '../../protocol/index.js';
import type { Effects, SandboxReport, TriedSend } from './types.js';

export const NO_EFFECTS: Effects = {
  writes: {},
  removed: [],
  reads: [],
  sends: [],
  tells: [],
  timers: [],
  creates: [],
  logs: [],
};

type Said = Omit<SandboxReport, 'ms' | 'memoryBytes'>;
type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isMap: Check = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isList =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const has =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isMap(value) && Object.entries(checks).every(([key, check]) => check((value as Record<string, unknown>)[key]));

const send: Readonly<Record<keyof TriedSend, Check>> = { to: isText, selector: isText, args: Array.isArray };
const effects: Readonly<Record<keyof Effects, Check>> = {
  writes: isMap,
  removed: isList(isText),
  reads: isList(isText),
  sends: isList(has(send)),
  tells: isList(has(send)),
  timers: isList(has({ ...send, ms: (ms) => typeof ms === 'number' })),
  creates: isList(isMap),
  logs: isList(isText),
};
const isReport = has({
  verdict: (verdict) => ['answered', 'failed', 'stalled', 'refused'].includes(verdict as string),
  error: (error) => error === null || has({ name: isText, message: isText })(error),
  effects: has(effects),
} satisfies Partial<Record<keyof Said, Check>>);

/** @throws TelosError MALFORMED */
export function readReport(text: string): Said {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch (cause) {
    throw malformed(text, cause);
  }
  if (!isReport(said)) throw malformed(text, undefined);
  const { verdict, value, error, effects: tried } = said as Said;
  return { verdict, value: value ?? null, error, effects: tried };
}

const malformed = (text: string, cause: unknown): TelosError =>
  new TelosError('MALFORMED', `a sandbox reported ${JSON.stringify(text.slice(0, 60))}`, { cause });
