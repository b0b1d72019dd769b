/** Methods: source check, instrumentation, budget, compartment. Only `lockdownRealm` and `Compiler` need a host process. */
export { checkSource, MAX_SOURCE_CHARS, type SourceInfo } from './source.js';
export { instrument } from './instrument.js';
export { leaveMethods, Meter, type MeterLimits } from './meter.js';
export { makeDate, makeMath } from './powers.js';
export { Compiler, type CompiledMethod, type CompilerOptions, type MethodContext } from './compiler.js';
export { hostExecArgv, lockdownRealm, type LockdownOptions } from './lockdown.js';
