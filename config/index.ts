export * from './schema.js';
export * from './relations.js';
export * from './load.js';
export * from './reference.js';
