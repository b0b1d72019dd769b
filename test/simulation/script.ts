/**
 * The methods of the simulation: a message's arguments are a token and a list of operations, which the model host carries out in one
 * turn. `who` is an oid, or a name that the turn looks up (and so reads).
 */
import { pack, unpack } from '../../protocol/codec.js';
import type { Bytes } from '../../protocol/envelope.js';

export type Op =
  | ['get', who: string, slot: string]
  | ['add', who: string, slot: string, amount: number]
  | ['move', from: string, to: string, amount: number]
  /** Takes the amount here, and puts it there by an outbox message, or by a timer when `delay` is above 0. */
  | ['pay', from: string, to: string, amount: number, delay: number]
  /** Writes without reading. */
  | ['set', who: string, slot: string, value: number]
  /** Changes a few bytes of a large value; travels as a patch. */
  | ['edit', who: string, at: number, value: number]
  | ['remove', who: string, slot: string]
  /** Which slots are there. */
  | ['list', who: string]
  /** Look-up through the parents. */
  | ['look', who: string, slot: string]
  | ['parent', who: string, parent: string]
  | ['create', name: string, parent: string]
  /** A name removed. */
  | ['forget', name: string]
  | ['tell', who: string, ops: Op[]]
  | ['after', delay: number, who: string, ops: Op[]]
  /** Asks a service and goes on without its answer when nobody serves it. */
  | ['serve', question: string, service: 'mind' | 'memory']
  | ['throw', text: string]
  /** Ends its host, each time. */
  | ['poison']
  /** Ends its host by an endless loop, the first time. */
  | ['hang'];

export const SELECTOR = 'script';
export const encodeScript = (token: string, ops: readonly Op[]): Bytes => pack([token, ops]);
export const decodeScript = (args: Bytes): [token: string, ops: Op[]] => unpack(args) as [string, Op[]];

/** Money that the message carries. */
export function moneyOf(args: Bytes): number {
  const [, ops] = decodeScript(args);
  return ops.reduce((sum, op) => sum + (op[0] === 'add' && op[2] === 'balance' ? op[3] : 0), 0);
}
