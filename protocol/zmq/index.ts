export * from './types.js';
export * from './server.js';
export * from './client.js';
export * from './curve.js';
