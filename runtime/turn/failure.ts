/**
 * Errors as method code sees them, and as they leave the turn. Method code gets plain, frozen `Error`s with `code`, `name`, `message` and
 * `remedy`: never a class of ours, whose prototype it could reach. Only errors that were made here carry a code out of the turn; what a method
 * throws by itself is METHOD_FAILED, whatever it looks like.
 */
import { ERRORS, TelosError, type ErrorCode, type WireError } from '../../protocol/index.js';

const made = new WeakMap<object, { readonly wire: WireError; readonly turn: object | null }>();

const MAX_TEXT = 4000;
/** In Node 20, not yet in the library that the compiler knows. */
const { toWellFormed } = String.prototype as unknown as { toWellFormed: (this: string) => string };

export interface FailingTurn {
  readonly meter: { readonly error: TelosError | undefined };
}

interface FailureOptions {
  readonly name?: string;
  readonly remedy?: string;
  readonly details?: unknown;
  /** The turn in which it came up, for rejections that nobody handled. */
  readonly turn?: object;
}

/** An error for method code. */
export function failure(code: ErrorCode, message: string, options: FailureOptions = {}): Error {
  const wire: WireError = [
    code,
    options.name ?? 'TelosError',
    message,
    options.remedy ?? ERRORS[code].remedy,
    options.details ?? null,
  ];
  return failureOf(wire, options.turn ?? null);
}

export function failureOf(wire: WireError, turn: object | null = null): Error {
  const [code, name, message, remedy, details] = wire;
  const error = new Error(message);
  Object.defineProperty(error, 'name', { value: name === 'TelosError' ? code : name, enumerable: false });
  Object.assign(error, { code, remedy, ...(details === null ? {} : { details }) });
  Object.freeze(error);
  made.set(error, { wire, turn });
  return error;
}

/** The turn in whose sends this error came up, if it was made here. */
export function turnOfFailure(thrown: unknown): object | null {
  return isObject(thrown) ? (made.get(thrown)?.turn ?? null) : null;
}

/** Whatever was thrown, as an error that method code may see. A turn over its budget has no other error than that. */
export function toFailure(thrown: unknown, turn: FailingTurn): Error {
  if (turn.meter.error) return failureOf(turn.meter.error.toWire(), turn);
  if (isObject(thrown) && made.has(thrown)) return thrown as Error;
  return failureOf(toWire(thrown), turn);
}

/**
 * Whatever was thrown, as it leaves the turn. Nobody pays for this, so a thrown value is never written out: only texts that are there already
 * are looked at.
 */
export function toWire(thrown: unknown): WireError {
  if (!isObject(thrown)) return methodFailed('Thrown', primitiveText(thrown));
  const known = made.get(thrown);
  if (known) return known.wire;
  if (thrown instanceof TelosError) return thrown.toWire();
  const message = textOf(() => (thrown as { message?: unknown }).message);
  if (!(thrown instanceof Error)) return methodFailed('Thrown', message ?? `${kindOf(thrown)} was thrown`);
  return methodFailed(textOf(() => thrown.name)?.slice(0, 100) ?? 'Error', message ?? 'an error without a text');
}

const methodFailed = (name: string, message: string): WireError => [
  'METHOD_FAILED',
  name,
  message,
  ERRORS.METHOD_FAILED.remedy,
  null,
];

/** The digits of a large bigint take as long as its square. */
function primitiveText(thrown: unknown): string {
  if (typeof thrown === 'bigint' && BigInt.asIntN(64, thrown) !== thrown) return 'a bigint was thrown';
  return textOf(() => String(thrown)) ?? 'nothing was thrown';
}

const kindOf = (thrown: object): string => {
  const name = textOf(() => (thrown as { constructor?: { name?: unknown } }).constructor?.name);
  return name === undefined || name === ''
    ? 'an object'
    : `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name.slice(0, 100)}`;
};

/** What user code calls a text: it may throw, or be something else. */
function textOf(look: () => unknown): string | undefined {
  try {
    const found = look();
    if (typeof found !== 'string') return undefined;
    return toWellFormed.call(found.length > MAX_TEXT ? `${found.slice(0, MAX_TEXT)}…` : found);
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is object =>
  (typeof value === 'object' && value !== null) || typeof value === 'function';
