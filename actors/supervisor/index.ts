export * from './spec.js';
export * from './core.js';
export * from './silence.js';
export * from './supervisor.js';
