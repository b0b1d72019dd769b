export * from './paint.js';
export * from './errors.js';
export * from './values.js';
export * from './tables.js';
