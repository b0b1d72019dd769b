/** What becomes of an envelope that fits no frame: whoever waits for it is told. What is split or measured before it is sent never comes here. */
import { pack, T, type TelosError, type ToClient, type ToHost } from '../../protocol/index.js';
import type { KernelCore } from './core.js';
import type { HostId, PeerId } from './ports.js';

/** False: the host can't go on without it. */
export function unsentToHost(
  core: KernelCore,
  host: HostId,
  envelope: ToHost,
  error: TelosError,
  now: number,
): boolean {
  switch (envelope[0]) {
    case T.RUN: {
      const message = core.sessions.byId.get(envelope[1])?.inFlight.get(envelope[2]);
      if (message?.host?.id === host) core.fail(message, error, now);
      return true;
    }
    case T.LOADED:
      core.ports.toHost(host, [T.LOADED, envelope[1], [], [], envelope[2].map(([oid]) => [oid, error.toWire()])]);
      return true;
    case T.SERVICE_ANSWER:
      core.ports.toHost(host, [T.SERVICE_ANSWER, envelope[1], false, pack(error.toWire())]);
      return true;
    case T.CHANGED:
      // What it holds is older than what is accepted: the first turn that uses it is in conflict, and loads it anew.
      return true;
    default:
      return false;
  }
}

export function unsentToClient(core: KernelCore, peer: PeerId, envelope: ToClient, error: TelosError): void {
  if (envelope[0] === T.ANSWER) core.ports.toClient(peer, [T.ERROR, envelope[1], error.toWire()]);
}
