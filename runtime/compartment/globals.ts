/** The names that methods see. All values but the powers are shared by all methods and frozen. */

/** Given to each call by its context. */
export const POWER_NAMES: ReadonlySet<string> = new Set(['image', 'Date', 'Math']);

/**
 * Shared globals. Absent on purpose: `Function`, `eval`, `Compartment` (they would run code that pays nothing), `Proxy` (a value that
 * answers differently each time it is looked at), `WeakRef`, `FinalizationRegistry` (they show the garbage collector at work),
 * `SharedArrayBuffer`, `Atomics`, `Intl` and all that is Node's.
 */
export const GLOBAL_NAMES: ReadonlySet<string> = new Set([
  ...['undefined', 'NaN', 'Infinity', 'globalThis', 'isFinite', 'isNaN', 'parseFloat', 'parseInt'],
  ...['decodeURI', 'decodeURIComponent', 'encodeURI', 'encodeURIComponent'],
  ...['Object', 'Array', 'Boolean', 'Number', 'BigInt', 'String', 'Symbol', 'RegExp', 'JSON', 'Reflect', 'Promise'],
  ...['Map', 'Set', 'WeakMap', 'WeakSet'],
  ...[
    'ArrayBuffer',
    'DataView',
    'Uint8Array',
    'Uint8ClampedArray',
    'Uint16Array',
    'Uint32Array',
    'Int8Array',
    'Int16Array',
  ],
  ...['Int32Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'],
  ...['Error', 'AggregateError', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError'],
]);

const ERRORS = [
  'Error',
  'EvalError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'TypeError',
  'URIError',
  'AggregateError',
];

/**
 * Inherited names that code of libraries and methods assigns on its own objects (`error.name = …`), by the constructor whose prototype has them.
 * The sandbox allows the same.
 */
export const ASSIGNABLE: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(ERRORS.map((error) => [error, ['name', 'message', 'constructor']])),
  Object: ['constructor', 'hasOwnProperty', 'isPrototypeOf', 'propertyIsEnumerable', 'valueOf', 'toString'],
  Function: ['constructor', 'name', 'length', 'toString'],
};

export function isKnownName(name: string): boolean {
  return GLOBAL_NAMES.has(name) || POWER_NAMES.has(name);
}
