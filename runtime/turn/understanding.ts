/** What to say when nobody has a slot for a selector. */
import { isParentSlot } from './cell.js';
import type { Turn } from './turn.js';
import type { ObjectView } from './view.js';

const MAX_VISITED = 64;
const MAX_COMPARED = 5000;
const MAX_SHOWN = 3;

/** NOT_UNDERSTOOD, with the selectors that come nearest in the remedy. */
export function notUnderstood(turn: Turn, receiver: ObjectView, selector: string): Error {
  const near = nearest(selector, knownSlots(turn, receiver));
  const hint = near.length === 0 ? '' : `; did you mean ${near.join(', ')}?`;
  const remedy = `see what it understands with describe(), or teach it with setMethod(${JSON.stringify(selector.slice(0, 60))}, source)${hint}`;
  return turn.failure(
    'NOT_UNDERSTOOD',
    `${turn.label(receiver.oid)} does not understand ${selector.slice(0, 256)}`,
    remedy,
  );
}

/** Slots of the object and its ancestors, nearest first. Not a read: only the words of an error depend on it. */
export function knownSlots(turn: Turn, receiver: ObjectView): string[] {
  const slots = new Set<string>();
  const seen = new Set([receiver]);
  for (const view of seen) {
    for (const slot of view.object?.slots.keys() ?? []) slots.add(slot);
    for (const draft of view.drafts.values()) if (!draft.removed) slots.add(draft.key);
    if (seen.size > MAX_VISITED) break;
    for (const oid of view.peekParents()) {
      const parent = turn.view(oid);
      if (parent) seen.add(parent);
    }
  }
  return [...slots].filter((slot) => !isParentSlot(slot));
}

/** At most three that are within a third of their length of `wanted`, nearest first. */
export function nearest(wanted: string, known: readonly string[]): string[] {
  const allowed = Math.max(1, Math.floor(wanted.length / 3));
  const ranked: [distance: number, slot: string][] = [];
  for (const slot of known.slice(0, MAX_COMPARED)) {
    if (Math.abs(slot.length - wanted.length) > allowed || slot.length > 64) continue;
    const distance = editDistance(wanted.toLowerCase(), slot.toLowerCase());
    if (distance <= allowed) ranked.push([distance, slot]);
  }
  return ranked
    .sort(([a], [b]) => a - b)
    .slice(0, MAX_SHOWN)
    .map(([, slot]) => slot);
}

/** Damerau-Levenshtein distance with adjacent swaps (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, before[j - 2]! + 1);
      row.push(best);
    }
    before = last;
    last = row;
  }
  return last[b.length]!;
}
