/**
 * Methods: source check, instrumentation, budget, compartment. Only `lockdownRealm` and `Compiler` need a host process.
 *
 * How a host uses it:
 * - start node with the flags of actors/supervisor/worker-specs.ts; load all libraries; `lockdownRealm()`; `const compiler = new Compiler({cacheEntries})`.
 * - each turn owns `meter = new Meter(limits)` and hands it to its methods in the context, with `image`, `Date` and `Math` as (lazy) getters.
 *   Instrumented code makes the meter current by itself; time and fuel are charged to the current one.
 * - `leaveMethods()` when host code goes on (after a method call has returned or suspended, at the start of each batch): what the host does
 *   then is charged to nobody.
 * - at the end of a turn `meter.error` is the BUDGET error of a turn that is over its budget, whatever its method answered or caught.
 * - host code that is called by methods may `meter.charge(units)` for work of its own.
 */
export { leaveMethods, Meter, type MeterLimits } from './meter.js';
export { makeDate, makeMath } from './powers.js';
export { Compiler, type CompiledMethod, type CompilerOptions, type MethodContext } from './compiler.js';
export { lockdownRealm, type LockdownOptions } from './lockdown.js';
export { ASSIGNABLE, GLOBAL_NAMES } from './globals.js';
export { functionText } from './source.js';
