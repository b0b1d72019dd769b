import type { Envelope } from '../envelope.js';
import type { Welcome } from '../frames.js';
import { TelosError, type WireError } from '../errors.js';
import type { LinkServerHandlers, LinkServerOptions, PeerId } from './types.js';

export class LinkServer {
  readonly endpoint: string = '';
  private constructor() {}
  static bind(_options: LinkServerOptions, _handlers: LinkServerHandlers): Promise<LinkServer> {
    return Promise.reject(new TelosError('INTERNAL', 'not yet'));
  }
  welcome(_peer: PeerId, _welcome: Welcome): void {}
  refuse(_peer: PeerId, _error: WireError): void {}
  send(_peer: PeerId, _envelope: Envelope): boolean {
    return false;
  }
  sendControl(_peer: PeerId, _envelope: Envelope): void {}
  pending(_peer: PeerId): number {
    return 0;
  }
  drop(_peer: PeerId): void {}
  close(_deadlineMs: number): Promise<void> {
    return Promise.resolve();
  }
}
