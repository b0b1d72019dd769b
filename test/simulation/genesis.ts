/** The first objects of a simulated image: a lobby, accounts `a0`, `a1`, … with the same balance each, and a prototype `p`. */
import { pack } from '../../protocol/codec.js';
import {
  WRITE,
  type CommitBody,
  type Content,
  type NameWrite,
  type Oid,
  type SlotWrite,
  type WriteSet,
} from '../../protocol/envelope.js';

export const START_BALANCE = 100;
const LARGE_BYTES = 1100;

const set = (slot: string, content: Content): SlotWrite => [slot, WRITE.SET, content];
export const accountOid = (index: number): Oid => `#a${index}` as Oid;
const LOBBY_OID = '#lobby' as Oid;
const PROTOTYPE_OID = '#p' as Oid;

export function genesis(accounts: number): CommitBody {
  const creates: Oid[] = [LOBBY_OID, PROTOTYPE_OID];
  const writes: WriteSet[] = [
    [LOBBY_OID, [set('size', accounts)]],
    [PROTOTYPE_OID, [set('shared', 1), set('hits', 0)]],
  ];
  const names: NameWrite[] = [
    ['lobby', LOBBY_OID],
    ['p', PROTOTYPE_OID],
  ];
  for (let i = 0; i < accounts; i++) {
    creates.push(accountOid(i));
    writes.push([
      accountOid(i),
      [
        set('balance', START_BALANCE),
        set('hits', 0),
        set('text', pack('x'.repeat(LARGE_BYTES))),
        set('parent*', PROTOTYPE_OID),
      ],
    ]);
    names.push([`a${i}`, accountOid(i)]);
  }
  return [[], [], creates, writes, names, [], [], [true, null, null]];
}
