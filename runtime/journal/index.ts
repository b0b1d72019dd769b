export * from './port.js';
export * from './keys.js';
export * from './records.js';
export * from './create.js';
export * from './open.js';
export { roomAgain } from './reserve.js';
export * from './memory.js';
export * from './verify.js';
