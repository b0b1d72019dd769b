/**
 * The one table of error codes, and the one error class.
 *
 * Branch on `code`, never on text. `retry: true` means that nothing happened and the same request may be sent again under the
 * same id; such an error is set only by kernel and host, and is never saved. `docs/errors.md` is generated from this table.
 */

export interface ErrorSpec {
  /** What it means, for the reference page. */
  readonly means: string;
  /** What the reader can do about it; the default where the thrower has nothing more exact to say. */
  readonly remedy: string;
  /** True: nothing happened, the client library sends again under the same id until the deadline. */
  readonly retry?: true;
}

export const ERRORS = {
  // The message and its receiver
  UNKNOWN_NAME: {
    means: 'no object has this name',
    remedy: 'list the names with `await lobby.slots()`; a name is given by clone({name})',
  },
  UNKNOWN_OBJECT: {
    means: 'no object has this oid',
    remedy: 'take the reference from an answer; an oid is never made by hand',
  },
  NOT_UNDERSTOOD: {
    means: 'neither the receiver nor its parents have a slot for this selector',
    remedy: 'see what it understands with `await x.describe()`, or teach it with setMethod',
  },
  NAME_TAKEN: {
    means: 'the name is held by another object',
    remedy: 'choose another name, or remove the old one with `lobby.removeSlot(name)`',
  },
  BAD_NAME: {
    means: 'a name or slot name that is no JavaScript identifier, or is reserved',
    remedy: 'use letters, digits, _ and $, not beginning with a digit; a parent slot ends in *',
  },
  BAD_VALUE: {
    means: 'a value that can not be stored or sent',
    remedy:
      'use null, booleans, finite numbers, 64-bit bigints, strings, Uint8Array, arrays, plain objects and references',
  },
  BAD_ARGUMENT: { means: 'an argument has the wrong type or range', remedy: 'see the documentation of the selector' },
  BAD_SOURCE: {
    means: 'the source of a method is not exactly one function expression',
    remedy: 'write `async (self, ...args) => { … }`, without imports, classes or global state',
  },
  PARENT_CYCLE: { means: 'an object would be its own ancestor', remedy: 'choose another parent' },
  STALE_VALUE: {
    means: 'a nested value was changed after another send had replaced the slot',
    remedy: 'read the slot again after the send, then change it',
  },
  TOO_LARGE: {
    means: 'a value, message or frame is over its cap',
    remedy: 'split it, or raise the limit named in the message in the configuration',
  },
  METHOD_FAILED: {
    means: 'the method threw',
    remedy: 'the message is that of the method; see its source with `telos inspect NAME SELECTOR`',
  },
  REVOKED: {
    means: '`self`, `image` or a reference was used after its turn had ended',
    remedy: 'await every send; use image.after for later work',
  },
  READ_ONLY: {
    means: 'a write was tried where none is allowed',
    remedy: 'send a message to the object that owns the slot',
  },
  PROTECTED: {
    means: 'the covenant keeps this from being changed by this sender',
    remedy: 'a person with the author right can change it',
  },
  BUDGET: {
    means: 'the turn used more time, fuel or memory than a turn may',
    remedy: 'split the work with image.tell or image.after, or raise the budget in the configuration',
  },
  STALLED: {
    means: 'the method waits for a promise that nothing can settle',
    remedy: 'await only sends and services; a promise of your own needs a resolver that runs',
  },
  TOO_DEEP: {
    means: 'sends are nested deeper than a turn allows',
    remedy: 'end the recursion, or split the work with image.tell',
  },
  // The turn and its fate
  BUSY: {
    means: 'a bounded queue is full',
    remedy: 'nothing happened; send again later (the client library does)',
    retry: true,
  },
  CONFLICT: {
    means: 'other turns changed what this one had read, again and again',
    remedy: 'nothing happened; send again later (the client library does)',
    retry: true,
  },
  DEADLINE: {
    means: 'the deadline passed before the turn could commit',
    remedy: 'nothing was written; send again with a longer deadline',
  },
  CANCELLED: { means: 'the sender cancelled the request', remedy: 'nothing was written' },
  DEAD_LETTER: {
    means: 'the message was given up after it had ended its host again and again',
    remedy: 'see `telos dead-letters list`; mend the method, then `telos dead-letters retry ID`',
  },
  EXPIRED: {
    means: 'the session or the message id is no longer remembered',
    remedy: 'connect anew; whether the old request took effect, history tells',
  },
  OUTCOME_UNKNOWN: {
    means: 'the kernel could not be reached in time, so nobody knows whether it happened',
    remedy: 'look with `telos history` before you send again',
  },
  UNAVAILABLE: {
    means: 'the service behind this primitive is not running',
    remedy: 'see `telos status` and `telos doctor`',
  },
  CLOSED: { means: 'the connection was closed by this program', remedy: 'connect again' },
  // The peer and the link
  UNAUTHORIZED: {
    means: 'the key of this peer is not admitted, or its token is wrong',
    remedy: "use the owner's key: keys/owner.json in the image's directory",
  },
  FORBIDDEN: { means: 'the peer may not do this', remedy: "use the owner's key, which has every right" },
  VERSION_MISMATCH: {
    means: 'the peer speaks another version of the protocol',
    remedy: 'use the same TelOS on both sides',
  },
  MALFORMED: { means: 'a frame or envelope that is not of the protocol', remedy: 'see protocol/README.md' },
  LINK_LOST: {
    means: 'the peer fell silent or a frame was lost',
    remedy: 'it reconnects by itself; see the log if it does not',
  },
  SUPERSEDED: {
    means: 'this process belongs to an earlier life and may do nothing any more',
    remedy: 'none needed, it ends by itself',
  },
  // The image and its storage
  NO_IMAGE: { means: 'there is no image at this path', remedy: 'start one with `telos up --image DIR`' },
  IMAGE_LOCKED: {
    means: 'another supervisor has the image open',
    remedy: 'use it (`telos status`), stop it (`telos down`), or name another image',
  },
  IMAGE_NEWER: {
    means: 'the image was written by a newer TelOS',
    remedy: 'install that version; this one has left the image as it was',
  },
  DAMAGED: {
    means: 'a record, table or log does not have the content that was written',
    remedy:
      'stop the image and keep a copy of its directory as it is; `telos verify` names what is damaged; go on from a copy that you made before',
  },
  DISK_FULL: {
    means: 'there is no room to write',
    remedy: 'free space on the volume of the image; the kernel goes on by itself within seconds',
  },
  STORAGE_FAILED: { means: 'the disk refused a read or write', remedy: 'see the cause in the message; check the disk' },
  NO_PERMISSION: {
    means: 'a file or directory may not be written or read',
    remedy: 'give your user the right, or name another image directory',
  },
  BAD_PATH: {
    means: 'the path can not hold an image',
    remedy: 'name a local directory; on Windows with ASCII letters only',
  },
  UNKNOWN_TURN: { means: 'no turn has this id', remedy: 'see `telos journal` or `telos history NAME`' },
  UNDO_REFUSED: {
    means: 'later turns depend on the turn to be undone',
    remedy: 'undo the turns named first, latest first',
  },
  UNKNOWN_DEAD_LETTER: { means: 'no dead letter has this id', remedy: 'see `telos dead-letters list`' },
  // The processes and the command
  PORT_IN_USE: { means: 'another program listens on this port', remedy: 'choose another with --port, or leave it out' },
  NOT_RUNNING: { means: 'nothing serves this image', remedy: 'start it with `telos up`' },
  START_FAILED: {
    means: 'a process did not come up',
    remedy: "see the last lines of its log in the image's logs folder",
  },
  STOP_FAILED: {
    means: 'a process was told to stop and did not',
    remedy: 'end it with `kill -9`, the image is not harmed by it',
  },
  MISSING_DEPENDENCY: {
    means: 'a package that this needs is not installed',
    remedy: 'run `npm install`, then `telos doctor`',
  },
  BAD_CONFIG: {
    means: 'a configuration value is missing, of the wrong type, or breaks a relation',
    remedy: 'mend the key named in the message',
  },
  USAGE: { means: 'the command was not understood', remedy: 'see `telos --help`' },
  INTERNAL: { means: 'a fault in TelOS itself', remedy: 'please report it with the log' },
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;

/** The form of an error on the wire and in the journal: positional, all strings; `details` is a storable value. */
export type WireError = [code: string, name: string, message: string, remedy: string, details: unknown];

export interface TelosErrorOptions {
  /** Name of the error class that a method threw (`RangeError`); `TelosError` when absent. */
  readonly name?: string;
  readonly remedy?: string;
  readonly details?: unknown;
  readonly cause?: unknown;
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** An error with a code of the table. `message` quotes the offending value and the place; `remedy` says what to do. */
export class TelosError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, options: TelosErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = options.name ?? 'TelosError';
    this.code = code;
    this.remedy = options.remedy ?? ERRORS[code].remedy;
    this.details = options.details ?? null;
  }

  get retryable(): boolean {
    return isRetryable(this.code);
  }

  toWire(): WireError {
    return [this.code, this.name, this.message, this.remedy, this.details];
  }

  /** `CODE Name: message`, or `CODE: message` for errors of TelOS itself; the remedy goes on a line of its own. */
  toDisplay(): string {
    return displayError(this.toWire());
  }

  static fromWire(wire: WireError): TelosError {
    const [code, name, message, remedy, details] = wire;
    if (!isErrorCode(code)) return new TelosError('INTERNAL', `${code}: ${message}`, { name, remedy, details });
    return new TelosError(code, message, { name, remedy, details });
  }

  /** Any thrown thing as a TelosError; one that is none already becomes `fallback`. */
  static from(thrown: unknown, fallback: ErrorCode = 'INTERNAL'): TelosError {
    if (thrown instanceof TelosError) return thrown;
    if (thrown instanceof Error) return new TelosError(fallback, thrown.message, { name: thrown.name, cause: thrown });
    return new TelosError(fallback, String(thrown));
  }
}

export function isRetryable(code: string): boolean {
  return isErrorCode(code) && (ERRORS[code] as ErrorSpec).retry === true;
}

export function displayError([code, name, message]: WireError): string {
  return name === 'TelosError' || name === '' ? `${code}: ${message}` : `${code} ${name}: ${message}`;
}
