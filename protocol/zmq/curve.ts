/** Key pairs of CurveZMQ. The native library is loaded at first use, so that importing the protocol costs nothing. */
import { zmq } from './zeromq.js';

/** A fresh CURVE key pair, Z85 (40 characters each). */
export function curveKeyPair(): { publicKey: string; secretKey: string } {
  return zmq().curveKeyPair();
}

/** Whether this build of ZeroMQ can encrypt. */
export const hasCurve = (): boolean => zmq().capability.curve === true;
