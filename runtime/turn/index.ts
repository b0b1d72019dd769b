export * from './ports.js';
export * from './object.js';
export * from './engine.js';
export * from './turn.js';
export * from './commit.js';
export * from './primitives.js';
export * from './wellknown.js';
export { PROBES } from './handle.js';
