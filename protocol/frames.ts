/**
 * What one ZeroMQ message on a link holds. Two parts:
 *
 *     part 1   one byte, the signal          part 2   msgpack, as below
 *     0x01 READY      to the kernel: Hello; from it: Welcome
 *     0x02 HEARTBEAT  [last frame number sent]
 *     0x03 WORK       [frame number, envelope, envelope, …]     numbered from 1 on each greeting
 *     0x04 REFUSED    [code, name, message, remedy, details]    the peer was not let in, or is thrown out
 *     0x05 GOODBYE    []                                        ends the session
 *
 * The first two elements of Hello and Welcome never change place or type, so that any two versions can refuse each other.
 */

export const SIGNAL = { READY: 1, HEARTBEAT: 2, WORK: 3, REFUSED: 4, GOODBYE: 5 } as const;
export type Signal = (typeof SIGNAL)[keyof typeof SIGNAL];

export const MAGIC = 'TelOS';
export const PROTOCOL_VERSION = 1;

export const ROLES = ['client', 'host', 'quarantine', 'mind', 'memory', 'backup'] as const;
export type Role = (typeof ROLES)[number];

/**
 * `incarnation`: of the worker, as the kernel gave it at spawn; 0 for clients. `key`: public CURVE key, Z85. `token`: the secret
 * that was admitted with the key. `session`: the one to go on with, or 0.
 * `agent`: program and version, for status. `services`: what a service worker offers.
 */
export type Hello = [
  magic: string,
  version: number,
  role: Role,
  incarnation: number,
  key: string,
  token: string,
  session: number,
  agent: string,
  services: string[],
];

/** `session`: granted or resumed; 0 for workers. Intervals in ms; `window`: asks that may be outstanding. */
export type Welcome = [
  magic: string,
  version: number,
  kernelIncarnation: number,
  imageId: string,
  session: number,
  heartbeatInterval: number,
  liveness: number,
  maxFrameBytes: number,
  maxBodyBytes: number,
  window: number,
];
