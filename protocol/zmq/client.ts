import type { Envelope } from '../envelope.js';
import type { LinkClientHandlers, LinkClientOptions } from './types.js';

export class LinkClient {
  constructor(_options: LinkClientOptions, _handlers: LinkClientHandlers) {}
  get connected(): boolean {
    return false;
  }
  open(): void {}
  send(_envelope: Envelope): boolean {
    return false;
  }
  goodbye(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}
