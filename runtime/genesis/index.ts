export * from './genesis.js';
