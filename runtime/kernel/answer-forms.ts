/** How what the kernel holds looks in the answers to questions; protocol/README.md, section 6, describes it. */
import { unpack, type CommitBody, type Content, type Oid, type WireError } from '../../protocol/index.js';
import type { TurnRecord } from '../journal/index.js';
import { LOBBY } from './objects.js';

/** Contents travel inside answers as their wire form. Nobody looks into one when a host commits it: what is no value is shown as its bytes. */
export function readable(content: Content): unknown {
  if (!(content instanceof Uint8Array)) return content;
  try {
    return unpack(content);
  } catch {
    return content;
  }
}

export const errorForm = ([code, name, message, remedy]: WireError): object => ({ code, name, message, remedy });

/** One turn; `only`: what it wrote to this object. */
export function describeTurn(seq: number, turn: TurnRecord, only?: Oid): object {
  const [, session, no, origin, sender, target, selector, time, trace, bytes, , namesBefore] = turn;
  const body = unpack(bytes) as CommitBody;
  const writes = body[3]
    .filter(([oid]) => only === undefined || oid === only || only === LOBBY)
    .map(([oid, slots]) => ({ oid, slots: slots.map(([slot]) => slot) }));
  const error = body[7][0] ? null : errorForm(body[7][2]);
  return {
    seq,
    time,
    session,
    no,
    origin,
    sender,
    target,
    selector,
    trace,
    writes,
    creates: body[2],
    names: namesBefore.map(([name]) => name),
    outbox: body[5].length,
    timers: body[6].length,
    error,
  };
}
