export * from './types.js';
export * from './pool.js';
