/** New objects: for `image.create` and `clone`. */
import { type Content, type Oid } from '../../protocol/index.js';
import { isParentSlot } from './cell.js';
import { Creation } from './effects.js';
import type { Frame } from './frame.js';
import { Ref, refContent } from './carried.js';
import { checkSlotName } from './slot-names.js';
import { ObjectView } from './view.js';

/** Creates an object with the slots `first`, then `slots` (plain data with `Ref`s in it). @throws BAD_NAME, BAD_VALUE */
export async function createObject(
  frame: Frame,
  first: readonly [slot: string, content: Content][],
  slots: Readonly<Record<string, unknown>>,
): Promise<Oid> {
  const { turn } = frame;
  const oid = turn.ids.nextOid();
  const creation = frame.effect(new Creation(oid));
  turn.creations.push(creation);
  const view = new ObjectView(turn, oid, null, creation);
  turn.views.set(oid, view);
  for (const [slot, content] of first) putSlot(frame, view, slot, content, false);
  for (const [slot, value] of Object.entries(slots)) {
    checkSlotName(turn, slot);
    if (isParentSlot(slot)) putSlot(frame, view, slot, refContent((await checkParent(frame, slot, value)).oid), false);
    else putSlot(frame, view, slot, turn.codec.encodePlain(value, `the slot ${slot}`), turn.hasNames);
  }
  return oid;
}

export function putSlot(frame: Frame, view: ObjectView, slot: string, content: Content, named: boolean): void {
  const entry = view.write(slot, content, false, named, frame);
  if (entry !== null) frame.effect(entry);
}

/** A parent has to exist. Answers its view, with all its ancestors loaded. @throws BAD_VALUE, UNKNOWN_OBJECT */
export async function checkParent(frame: Frame, slot: string, value: unknown): Promise<ObjectView> {
  if (!(value instanceof Ref))
    throw frame.turn.failure('BAD_VALUE', `the parent slot ${slot} takes a reference to an object`);
  return frame.turn.find(value.id);
}
