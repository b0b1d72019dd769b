/**
 * Source → function. Owns the compartment and the cache of compiled methods.
 *
 * 1. One compartment per process, its global frozen and cut down to GLOBAL_NAMES.
 * 2. What is cached is a factory: each call makes a fresh closure, so nothing that a method closes over outlives the call.
 * 3. Free names are bound as constants of the factory; none is looked up through the scope proxy of SES.
 */
import { TelosError } from '../../protocol/index.js';
import { GLOBAL_NAMES, POWER_NAMES } from './globals.js';
import { helpers } from './helpers.js';
import { HELPERS, instrumentChecked, METER } from './instrument.js';
import { compartment } from './lockdown.js';
import type { Meter } from './meter.js';
import { checkedSource } from './source.js';

/** What one call of a method is given. Date, Math and image are read only when the method names them: getters may be lazy. */
export interface MethodContext {
  readonly meter: Meter;
  readonly image: unknown;
  readonly Date: unknown;
  readonly Math: unknown;
}

/** Makes the closure of one call. */
export type CompiledMethod = (context: MethodContext) => (self: unknown, ...args: unknown[]) => unknown;

export interface CompilerOptions {
  /** Compiled methods that are kept; at most twice as many are. */
  readonly cacheEntries: number;
}

export class Compiler {
  private young = new Map<string, CompiledMethod>();
  private old = new Map<string, CompiledMethod>();

  constructor(private readonly options: CompilerOptions) {}

  /** The factory for `source`, from the cache where it can. lockdownRealm must have run. @throws BAD_SOURCE */
  compile(source: string): CompiledMethod {
    const known = this.young.get(source) ?? this.old.get(source);
    if (known && this.young.has(source)) return known;
    const made = known ?? compileMethod(source);
    if (this.young.size >= this.options.cacheEntries) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(source, made);
    return made;
  }
}

function compileMethod(source: string): CompiledMethod {
  const checked = checkedSource(source);
  const { evaluate, globals } = compartment();
  const shared = [...checked.free].filter(
    (name) => GLOBAL_NAMES.has(name) && Object.hasOwn(globals, name) && !LITERALS.has(name),
  );
  const powers = [...checked.free].filter((name) => POWER_NAMES.has(name));
  const given = powers.map((name) => `const ${name}=${HELPERS}C.${name};`).join('');
  const text = `(function(${[HELPERS, ...shared].join(',')}){return function(${HELPERS}C){const ${METER}=${HELPERS}C.meter;${given}return ${instrumentChecked(checked)}}})`;
  try {
    const factory = evaluate(text) as (...values: unknown[]) => CompiledMethod;
    return Reflect.apply(factory, undefined, [helpers, ...shared.map((name) => globals[name])]);
  } catch (error) {
    throw new TelosError('BAD_SOURCE', `1:1: ${(error as Error).message}; at ${JSON.stringify(source.slice(0, 80))}`, {
      cause: error,
    });
  }
}

/** Not writable on any global; a parameter could not have these names in strict code, and the values never differ. */
const LITERALS: ReadonlySet<string> = new Set(['undefined', 'NaN', 'Infinity']);
