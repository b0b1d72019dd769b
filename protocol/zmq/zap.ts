/**
 * Who may connect (ZAP, rfc.zeromq.org/spec/27): one handler for the process, asked by ZeroMQ for each CURVE handshake.
 * Each server has a domain of its own.
 *
 *     request   [routing id, '', '1.0', request id, domain, address, identity, 'CURVE', 32 bytes key]
 *     reply     [routing id, '', '1.0', request id, '200' | '400', text, user id, '']
 *
 *   Z1  a request that is not understood is answered 400; whatever `admit` throws is a 400.
 */
import type { Router } from 'zeromq';
import { encodeZ85 } from './z85.js';
import { zmq } from './zeromq.js';

const ENDPOINT = 'inproc://zeromq.zap.01';
const EMPTY = '';

type Admit = (key: string) => boolean;

const domains = new Map<string, Admit>();
let handler: Router | undefined;
let nextDomain = 1;

/** Opens a domain; answers its name, for the server's socket. Bind after it resolves. */
export async function openDomain(admit: Admit): Promise<string> {
  const domain = `telos-${nextDomain++}`;
  domains.set(domain, admit);
  if (handler === undefined) {
    handler = new (zmq().Router)({ linger: 0, sendTimeout: 0 });
    const socket = handler;
    await socket.bind(ENDPOINT);
    void serve(socket);
  }
  return domain;
}

export function closeDomain(domain: string): void {
  domains.delete(domain);
  if (domains.size > 0) return;
  handler?.close();
  handler = undefined;
}

async function serve(socket: Router): Promise<void> {
  while (!socket.closed) {
    let request: Buffer[];
    try {
      request = await socket.receive();
    } catch {
      return;
    }
    try {
      await socket.send(replyTo(request));
    } catch {
      // The connection that asked has gone; there is nobody to tell.
    }
  }
}

function replyTo(request: Buffer[]): (Buffer | string)[] {
  const [routing, , version, id, domain, , , mechanism, key] = request;
  const admitted = version?.toString() === '1.0' && mechanism?.toString() === 'CURVE' && isAdmitted(domain, key);
  return [
    routing ?? EMPTY,
    EMPTY,
    '1.0',
    id ?? EMPTY,
    admitted ? '200' : '400',
    admitted ? 'OK' : 'key not admitted',
    admitted && key !== undefined ? encodeZ85(key) : EMPTY,
    EMPTY,
  ];
}

function isAdmitted(domain: Buffer | undefined, key: Buffer | undefined): boolean {
  const admit = domains.get(domain?.toString() ?? EMPTY);
  if (admit === undefined || key?.length !== 32) return false;
  try {
    return admit(encodeZ85(key));
  } catch {
    return false;
  }
}
