/**
 * The runtime's own slots: what every object gets from `traits`, what the lobby does with names, and the powers that a service lends.
 * A primitive slot holds `{"$primitive": name}`; this is the table of the names.
 */
import { isName, methodContent, type Oid } from '../../protocol/index.js';
import { Ref, refContent, type Carried } from './carried.js';
import { isParentSlot } from './cell.js';
import { checkParent, createObject, putSlot } from './creating.js';
import { describe } from './describing.js';
import type { Primitive } from './engine.js';
import type { Frame } from './frame.js';
import { askService } from './service.js';
import { checkSlotName } from './slot-names.js';
import { notUnderstood } from './understanding.js';
import type { NameView, ObjectView } from './view.js';
import { LOBBY, PARENT_SLOT } from './wellknown.js';

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array) &&
  !(value instanceof Ref);

const self = (frame: Frame): Ref => new Ref(frame.ownView.oid);
const list = (frame: Frame, values: readonly unknown[], place: string): Carried =>
  frame.turn.codec.encodePlain(values, place);

// ---- clone -------------------------------------------------------------------------------------------------------------------------

async function clone(frame: Frame, [given]: readonly unknown[]): Promise<Carried> {
  const { turn } = frame;
  if (given !== undefined && given !== null && !isMap(given))
    throw turn.failure('BAD_ARGUMENT', 'clone takes an object of slots, such as {name: "acct", balance: 0}');
  const { name, ...slots } = given ?? {};
  const named = name === undefined || name === null ? null : await freeName(frame, name);
  const oid = await createObject(frame, [[PARENT_SLOT, refContent(frame.ownView.oid)]], slots);
  if (named !== null) setName(frame, named, oid);
  return new Ref(oid);
}

async function freeName(frame: Frame, name: unknown): Promise<NameView> {
  const view = await nameOf(frame, name);
  if (view.oid !== null)
    throw frame.turn.failure('NAME_TAKEN', `the name ${JSON.stringify(view.name)} is held by ${view.oid}`);
  return view;
}

async function nameOf(frame: Frame, name: unknown): Promise<NameView> {
  if (typeof name !== 'string' || name.length > 128 || !isName(name) || name === 'then') {
    throw frame.turn.failure(
      'BAD_NAME',
      `${typeof name === 'string' ? JSON.stringify(name.slice(0, 80)) : typeof name} is no name`,
    );
  }
  return frame.turn.findName(name);
}

function setName(frame: Frame, view: NameView, oid: Oid | null): void {
  const entry = view.write(oid, frame);
  if (entry !== null) frame.effect(entry);
}

// ---- slots -------------------------------------------------------------------------------------------------------------------------

async function setSlot(frame: Frame, [slot, value]: readonly unknown[]): Promise<Carried> {
  const { turn, ownView } = frame;
  if (ownView.oid === LOBBY && typeof slot === 'string' && !isParentSlot(slot)) return setLobbySlot(frame, slot, value);
  checkSlotName(turn, slot);
  if (isParentSlot(slot)) {
    const parent = await checkParent(frame, slot, value);
    refuseCycle(frame, parent);
    putSlot(frame, ownView, slot, refContent(parent.oid), false);
  } else {
    const content = turn.codec.encodePlain(value ?? null, `${turn.label(ownView.oid)}.${slot}`);
    putSlot(frame, ownView, slot, content, turn.hasNames);
  }
  return self(frame);
}

/** The receiver must not be among the ancestors of its new parent. Every step is a read: two that would close a cycle together conflict. */
function refuseCycle(frame: Frame, parent: ObjectView): void {
  const { turn, ownView } = frame;
  const seen = new Set<ObjectView>();
  const visit = (at: ObjectView, path: readonly ObjectView[]): void => {
    if (at === ownView) throw turn.lookup.cycle([...path, at]);
    if (seen.has(at)) return;
    seen.add(at);
    for (const oid of at.parents()) visit(turn.needView(oid), [...path, at]);
  };
  visit(parent, [ownView]);
}

async function setMethod(frame: Frame, [selector, source, meta]: readonly unknown[]): Promise<Carried> {
  const { turn, ownView } = frame;
  checkSlotName(turn, selector);
  if (isParentSlot(selector)) throw turn.failure('BAD_NAME', `${selector} is a parent slot and can not hold a method`);
  if (typeof source !== 'string')
    throw turn.failure(
      'BAD_ARGUMENT',
      `setMethod takes a selector and a source, a string such as 'async (self) => self.x', not ${typeof source}`,
    );
  if (source.length * 3 > turn.limits.maxBodyBytes)
    throw turn.failure('TOO_LARGE', `the source of ${selector} has ${source.length} characters`);
  if (meta !== undefined && meta !== null && !isMap(meta))
    throw turn.failure('BAD_ARGUMENT', 'the third argument of setMethod is an object, such as {description: "…"}');
  turn.compile(source);
  putSlot(frame, ownView, selector, methodContent({ ...textMeta(meta ?? {}), source }), false);
  return self(frame);
}

/** Only strings, so that no reference hides in a method's meta data. */
const textMeta = (meta: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(meta).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string' && !entry[0].startsWith('$'),
    ),
  );

async function removeSlot(frame: Frame, [slot]: readonly unknown[]): Promise<Carried> {
  const { turn, ownView } = frame;
  if (ownView.oid === LOBBY && typeof slot === 'string' && !isParentSlot(slot)) return removeLobbySlot(frame, slot);
  checkSlotName(turn, slot);
  if (ownView.own(slot) === undefined) return false;
  const entry = ownView.write(slot, null, true, false, frame);
  if (entry !== null) frame.effect(entry);
  return true;
}

async function slots(frame: Frame): Promise<Carried> {
  if (frame.ownView.oid === LOBBY) return list(frame, await lobbyNames(frame), 'the names');
  return list(frame, frame.ownView.list(), 'the slots');
}

const parents: Primitive = (frame) =>
  list(
    frame,
    frame.ownView.parents().map((oid) => new Ref(oid)),
    'the parents',
  );

// ---- the lobby ---------------------------------------------------------------------------------------------------------------------

async function setLobbySlot(frame: Frame, name: string, value: unknown): Promise<Carried> {
  const view = await nameOf(frame, name);
  if (!(value instanceof Ref)) throw frame.turn.failure('BAD_VALUE', `the name ${name} takes a reference to an object`);
  const target = await frame.turn.find(value.id);
  setName(frame, view, target.oid);
  return self(frame);
}

async function removeLobbySlot(frame: Frame, name: string): Promise<Carried> {
  const view = await nameOf(frame, name);
  if (view.oid === null) return false;
  setName(frame, view, null);
  return true;
}

/**
 * All names. They are of the shape that is read before the kernel is asked and read again when it has answered: between the two this host's own
 * turns may have changed it (a conflict here), and what the kernel accepts later is found by it.
 */
async function lobbyNames(frame: Frame): Promise<string[]> {
  frame.ownView.list();
  const told = (await askService(frame, 'kernel', 'names', [])) as [name: string, oid: string][];
  const names = new Set(told.map(([name]) => name));
  for (const { name, drafts } of frame.turn.names.values()) {
    const draft = drafts.get(name);
    if (draft === undefined) continue;
    if (draft.removed) names.delete(name);
    else names.add(name);
  }
  frame.ownView.list();
  return [...names].sort();
}

// ---- the rest ----------------------------------------------------------------------------------------------------------------------

/** Of the turns that the kernel has accepted when it is asked; those that come until this one counts are found by what was read before. */
async function history(frame: Frame, [limit]: readonly unknown[]): Promise<Carried> {
  frame.ownView.readWhole();
  const told = await askService(frame, 'kernel', 'history', [frame.ownView.oid, limit ?? null]);
  return frame.turn.codec.encodePlain(told, 'the history');
}

/** The default of `traits`: nobody understands it, and nothing is started. */
const doesNotUnderstand: Primitive = (frame, [message]) => {
  const selector =
    isMap(message) && typeof message['selector'] === 'string' ? message['selector'] : 'doesNotUnderstand_';
  throw notUnderstood(frame.turn, frame.ownView, selector);
};

/** Asks a service with the receiver and the arguments; its answer is the answer. */
const served =
  (service: string, op: string): Primitive =>
  async (frame, args) =>
    frame.turn.codec.encodePlain(
      await askService(frame, service, op, [self(frame), ...args]),
      `the answer of ${service}.${op}`,
    );

const SERVICE_OPS: Readonly<Record<string, readonly string[]>> = {
  mind: ['infer', 'reflectOn', 'fineTuneWith', 'ask', 'draft', 'consolidate'],
  memory: ['embed', 'search', 'remember', 'bind', 'unbind', 'bundle', 'permute', 'similarity'],
  backup: ['now', 'list', 'verify'],
};

export const standardPrimitives: ReadonlyMap<string, Primitive> = new Map<string, Primitive>([
  ['clone', clone],
  ['setSlot', setSlot],
  ['setMethod', setMethod],
  ['removeSlot', removeSlot],
  ['slots', slots],
  ['parents', parents],
  ['describe', describe],
  ['history', history],
  ['doesNotUnderstand_', doesNotUnderstand],
  ...Object.entries(SERVICE_OPS).flatMap(([service, ops]) =>
    ops.map((op): [string, Primitive] => [`${service}.${op}`, served(service, op)]),
  ),
]);
