export * from './child.js';
export * from './host-flags.js';
export * from './lifeline.js';
export * from './log-file.js';
export * from './logger.js';
export * from './memory.js';
export * from './worker-config.js';
