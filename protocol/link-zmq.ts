/** The sockets of a link. The implementation is in zmq/: this is its table of contents. */
export * from './zmq/index.js';
