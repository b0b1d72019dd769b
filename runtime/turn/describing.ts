/** What `describe()` answers: a summary for people and for models. */
import { isName } from '../../protocol/index.js';
import { plain, Ref, type Carried } from './carried.js';
import { isParentSlot, KIND, type Cell } from './cell.js';
import type { Frame } from './frame.js';
import { knownSlots } from './understanding.js';
import { LOBBY } from './wellknown.js';

/** Slot that holds a map from slot names to what they are for. */
export const DOCUMENTATION_SLOT = 'documentation';
const KIND_NAMES = { [KIND.METHOD]: 'method', [KIND.PRIMITIVE]: 'primitive', [KIND.REFERENCE]: 'reference' } as const;

/** {oid, doc?, parents, slots: {name: {kind, doc?}}, understands: [selector, …]} */
export function describe(frame: Frame): Carried {
  const { turn, ownView } = frame;
  const docs = documentation(frame);
  const slots: Record<string, unknown> = {};
  for (const slot of ownView.list()) {
    const cell = ownView.own(slot);
    if (cell === undefined || slot === DOCUMENTATION_SLOT) continue;
    const doc = docs[slot];
    slots[slot] = { kind: kindName(slot, cell), ...(doc === undefined ? {} : { doc }) };
  }
  const summary = {
    oid: ownView.oid,
    ...(docs['self'] === undefined ? {} : { doc: docs['self'] }),
    parents: ownView.parents().map((oid) => new Ref(oid)),
    slots,
    understands: knownSlots(turn, ownView)
      .filter((slot) => slot !== DOCUMENTATION_SLOT && (ownView.oid !== LOBBY || isName(slot)))
      .sort(),
  };
  return turn.codec.encodePlain(summary, 'the description');
}

function kindName(slot: string, cell: Cell): string {
  if (isParentSlot(slot)) return 'parent';
  return KIND_NAMES[cell.kind as keyof typeof KIND_NAMES] ?? 'data';
}

/** Own texts, then those that are inherited for slots that have none; `self` is about the object and is not inherited. */
function documentation(frame: Frame): Record<string, string> {
  const { lookup } = frame.turn;
  const docs: Record<string, string> = {};
  let cell = lookup.find(frame.ownView, DOCUMENTATION_SLOT);
  for (let own = lookup.holder === frame.ownView; cell !== null; own = false) {
    const texts: unknown = cell.kind === KIND.BOX ? plain(cell.content) : null;
    if (typeof texts === 'object' && texts !== null) {
      for (const [slot, text] of Object.entries(texts)) {
        if (typeof text === 'string' && (own || slot !== 'self')) docs[slot] ??= text;
      }
    }
    const { holder } = lookup;
    cell = holder === null ? null : lookup.findAbove(holder, DOCUMENTATION_SLOT);
  }
  return docs;
}
