export * from './paths.js';
export * from './prepare.js';
export * from './files.js';
export * from './process-times.js';
export * from './processes.js';
export * from './lock.js';
export * from './keyfiles.js';
export * from './endpoint.js';
