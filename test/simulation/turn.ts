/**
 * One attempt at one message in the model host: its drafts, what it has read, and the interpreter of scripts. Nothing here knows the
 * kernel; a missing object or name, or a service, is asked for by yielding.
 *
 *   M1  A slot is noted as read when it is first looked at, with the attempt that made it, and not if the turn itself wrote it.
 *   M2  A turn that throws keeps its reads and nothing else.
 */
import { pack, unpack } from '../../protocol/codec.js';
import {
  WRITE,
  type Attempt,
  type CommitBody,
  type Content,
  type Oid,
  type Reply,
  type SlotWrite,
} from '../../protocol/envelope.js';
import type { WireError } from '../../protocol/errors.js';
import { diff } from '../../protocol/patch.js';
import type { NameSeen, SlotSeen } from './history.js';
import { encodeScript, SELECTOR, type Op } from './script.js';

export const LOBBY = '#lobby';

export interface CachedSlot {
  readonly attempt: number;
  readonly content: Content;
}

export interface CachedObject {
  exists: boolean;
  shape: number;
  parents: number;
  readonly slots: Map<string, CachedSlot>;
}

export interface CachedName {
  readonly oid: string | null;
  readonly attempt: number;
}

/** What the turn sees of the world; undefined: not here, load it. */
export interface View {
  object(oid: string): CachedObject | undefined;
  name(name: string): CachedName | undefined;
  /** Broken on purpose: the shape of the lobby is read only after its names were told. */
  readonly lateListing: boolean;
  /** Is the verdict on this attempt still awaited? */
  undecided(attempt: number): boolean;
}

export type Need =
  { object: string } | { name: string } | { names: true } | { service: string; question: string; key: string };

/** Ends this host at once (`poison`), or stops it without a word (`hang`). */
export class Doom extends Error {
  constructor(readonly kind: 'poison' | 'hang') {
    super(kind);
  }
}

class ScriptError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

interface Draft {
  readonly creates: boolean;
  readonly writes: Map<string, SlotWrite>;
  /** Content by slot, undefined for removed; what PATCH stands for is here in full. */
  readonly contents: Map<string, Content | undefined>;
}

const LARGE_BYTES = 1100;
const MAX_PARENTS = 8;
/** No attempt has this number: a turn that saw two states of one thing while it waited must run again. */
const NEVER = 1;

export class Turn {
  readonly reads = new Map<string, SlotSeen>();
  readonly names = new Map<string, NameSeen>();
  readonly drafts = new Map<string, Draft>();
  readonly nameWrites = new Map<string, string | null>();
  readonly #outbox: CommitBody[5] = [];
  readonly #timers: CommitBody[6] = [];
  readonly #results: unknown[] = [];
  #created = 0;
  #asked = 0;

  constructor(
    readonly attempt: Attempt,
    readonly token: string,
    private readonly view: View,
    /** The first run of this message on any host. */
    private readonly first: boolean,
  ) {}

  /** All keys that it has touched, as grants name them. */
  touched(): string[] {
    const keys = new Set<string>([...this.drafts.keys()]);
    for (const [oid] of this.reads.values()) keys.add(oid);
    for (const name of [...this.names.keys(), ...this.nameWrites.keys()]) keys.add(`=${name}`);
    return [...keys];
  }

  get wrote(): boolean {
    return this.drafts.size + this.nameWrites.size + this.#outbox.length + this.#timers.length > 0;
  }

  /** Runs the script. @returns the commit body */
  *run(ops: readonly Op[]): Generator<Need, CommitBody, string> {
    try {
      for (const op of ops) yield* this.#op(op);
    } catch (error) {
      if (!(error instanceof ScriptError)) throw error;
      this.drafts.clear();
      this.nameWrites.clear();
      this.#outbox.length = 0;
      this.#timers.length = 0;
      const wire: WireError = [error.code, 'TelosError', error.message, '', this.attempt];
      return this.#body([false, null, wire]);
    }
    return this.#body([true, pack([this.attempt, this.token, ...this.#results]), null]);
  }

  #body(reply: Reply): CommitBody {
    const reads = new Map<string, (string | Attempt)[]>();
    for (const [oid, slot, attempt] of this.reads.values()) {
      const list = reads.get(oid) ?? [];
      list.push(slot, attempt as Attempt);
      reads.set(oid, list);
    }
    return [
      [...reads] as CommitBody[0],
      [...this.names.values()].map(([name, attempt]) => [name, attempt as Attempt]),
      [...this.drafts].filter(([, draft]) => draft.creates).map(([oid]) => oid as Oid),
      [...this.drafts]
        .filter(([, draft]) => draft.writes.size > 0)
        .map(([oid, draft]) => [oid as Oid, [...draft.writes.values()]]),
      [...this.nameWrites] as CommitBody[4],
      this.#outbox,
      this.#timers,
      reply,
    ];
  }

  // ---- what a turn can see -------------------------------------------------------------------------------------------------

  *#object(oid: string): Generator<Need, CachedObject, string> {
    for (;;) {
      const object = this.view.object(oid);
      if (object !== undefined) return object;
      yield { object: oid };
    }
  }

  *#lookUp(name: string): Generator<Need, string | null, string> {
    const draft = this.nameWrites.get(name);
    if (draft !== undefined) return draft;
    const seen = this.names.get(name);
    if (seen !== undefined) return seen[2];
    for (;;) {
      const entry = this.view.name(name);
      if (entry === undefined) {
        yield { name };
        continue;
      }
      this.names.set(name, [name, entry.attempt, entry.oid]);
      return entry.oid;
    }
  }

  /** The oid of an object that exists, drafts included. */
  *#who(who: string): Generator<Need, string, string> {
    const oid = who.startsWith('#') ? who : yield* this.#lookUp(who);
    if (oid === null) throw new ScriptError('UNKNOWN_NAME', `no object has the name ${who}`);
    if (this.drafts.get(oid)?.creates) return oid;
    const object = yield* this.#object(oid);
    if (object.exists) return oid;
    this.#note(oid, '', object.shape, null);
    throw new ScriptError('UNKNOWN_OBJECT', `there is no ${oid}`);
  }

  #note(oid: string, slot: string, attempt: number, content: Content): void {
    const key = `${oid} ${slot}`;
    const listing = slot === '' || slot === '*';
    if (listing && this.view.undecided(attempt)) attempt = NEVER;
    const seen = this.reads.get(key);
    if (seen === undefined) this.reads.set(key, [oid, slot, attempt, content]);
    else if (seen[2] !== attempt) this.reads.set(key, [oid, slot, NEVER, content]);
  }

  *#get(oid: string, slot: string): Generator<Need, Content | undefined, string> {
    const draft = this.drafts.get(oid);
    if (draft?.contents.has(slot)) return draft.contents.get(slot);
    if (draft?.creates) return undefined;
    const seen = this.reads.get(`${oid} ${slot}`);
    if (seen !== undefined) return seen[2] === 0 ? undefined : seen[3];
    const found = (yield* this.#object(oid)).slots.get(slot);
    this.#note(oid, slot, found?.attempt ?? 0, found?.content ?? null);
    return found?.content;
  }

  #draft(oid: string): Draft {
    let draft = this.drafts.get(oid);
    if (draft === undefined) this.drafts.set(oid, (draft = { creates: false, writes: new Map(), contents: new Map() }));
    return draft;
  }

  #set(oid: string, slot: string, content: Content): void {
    const draft = this.#draft(oid);
    draft.writes.set(slot, [slot, WRITE.SET, content]);
    draft.contents.set(slot, content);
  }

  *#add(oid: string, slot: string, amount: number): Generator<Need, number, string> {
    const sum = Number((yield* this.#get(oid, slot)) ?? 0) + amount;
    this.#set(oid, slot, sum);
    return sum;
  }

  // ---- operations -----------------------------------------------------------------------------------------------------------

  *#op(op: Op): Generator<Need, void, string> {
    switch (op[0]) {
      case 'get':
        this.#results.push((yield* this.#get(yield* this.#who(op[1]), op[2])) ?? null);
        return;
      case 'add':
        this.#results.push(yield* this.#add(yield* this.#who(op[1]), op[2], op[3]));
        return;
      case 'move':
        yield* this.#add(yield* this.#who(op[1]), 'balance', -op[3]);
        yield* this.#add(yield* this.#who(op[2]), 'balance', op[3]);
        return;
      case 'pay':
        yield* this.#add(yield* this.#who(op[1]), 'balance', -op[3]);
        this.#send(op[4], yield* this.#who(op[2]), [['add', op[2], 'balance', op[3]]]);
        return;
      case 'set':
        this.#set(yield* this.#who(op[1]), op[2], op[3]);
        return;
      case 'edit':
        return yield* this.#edit(yield* this.#who(op[1]), op[2], op[3]);
      case 'remove':
        return yield* this.#remove(yield* this.#who(op[1]), op[2]);
      case 'list':
        return yield* this.#list(yield* this.#who(op[1]));
      case 'look':
        this.#results.push(yield* this.#look(yield* this.#who(op[1]), op[2], 0));
        return;
      case 'parent':
        this.#set(yield* this.#who(op[1]), 'parent*', yield* this.#who(op[2]));
        return;
      case 'create':
        return yield* this.#create(op[1], op[2]);
      case 'forget':
        yield* this.#who(op[1]);
        this.nameWrites.set(op[1], null);
        return;
      case 'tell':
        return this.#send(0, yield* this.#who(op[1]), op[2]);
      case 'after':
        return this.#send(op[1], yield* this.#who(op[2]), op[3]);
      case 'serve':
        this.#results.push(yield { service: op[2], question: op[1], key: `${op[2]}|${op[1]}|${this.#asked++}` });
        return;
      case 'throw':
        throw new ScriptError('METHOD_FAILED', op[1]);
      case 'poison':
        throw new Doom('poison');
      case 'hang':
        if (this.first) throw new Doom('hang');
        return;
    }
  }

  #send(delay: number, target: string, ops: Op[]): void {
    const args = encodeScript(`${this.token}>`, ops);
    if (delay > 0) this.#timers.push([delay, target as Oid, SELECTOR, args]);
    else this.#outbox.push([target as Oid, SELECTOR, args]);
  }

  *#edit(oid: string, at: number, value: number): Generator<Need, void, string> {
    const before = yield* this.#get(oid, 'text');
    const written = this.drafts.get(oid)?.writes.has('text') ?? false;
    const after = before instanceof Uint8Array ? Uint8Array.from(before) : pack('x'.repeat(LARGE_BYTES));
    after[16 + at] = value;
    this.#set(oid, 'text', after);
    const patch = written || before === undefined ? undefined : diff(before, after);
    if (patch !== undefined) this.#draft(oid).writes.set('text', ['text', WRITE.PATCH, patch]);
  }

  *#remove(oid: string, slot: string): Generator<Need, void, string> {
    if ((yield* this.#get(oid, slot)) === undefined) return;
    const draft = this.#draft(oid);
    draft.contents.set(slot, undefined);
    draft.writes.set(slot, [slot, WRITE.REMOVE, null]);
  }

  /** The names come from the kernel; the shape before and after says whether they are of one moment. */
  *#listNames(): Generator<Need, void, string> {
    if (!this.view.lateListing) this.#note(LOBBY, '', (yield* this.#object(LOBBY)).shape, null);
    const told = unpack(Buffer.from(yield { names: true }, 'latin1')) as [name: string, oid: string][];
    this.#note(LOBBY, '', (yield* this.#object(LOBBY)).shape, null);
    const names = new Set(told.map(([name]) => name));
    for (const [name, oid] of this.nameWrites) {
      if (oid === null) names.delete(name);
      else names.add(name);
    }
    this.#results.push([...names].sort());
  }

  *#list(oid: string): Generator<Need, void, string> {
    if (oid === LOBBY) return yield* this.#listNames();
    const object = yield* this.#object(oid);
    this.#note(oid, '', object.shape, null);
    const slots = new Set(object.slots.keys());
    for (const [slot, content] of this.drafts.get(oid)?.contents ?? []) {
      if (content === undefined) slots.delete(slot);
      else slots.add(slot);
    }
    this.#results.push([...slots].sort());
  }

  *#look(oid: string, slot: string, depth: number): Generator<Need, Content, string> {
    const own = yield* this.#get(oid, slot);
    if (own !== undefined || depth > MAX_PARENTS) return own ?? null;
    if (!this.drafts.get(oid)?.creates) this.#note(oid, '*', (yield* this.#object(oid)).parents, null);
    const parent = yield* this.#get(oid, 'parent*');
    return typeof parent === 'string' ? yield* this.#look(parent, slot, depth + 1) : null;
  }

  #make(name: string, slots: Record<string, Content>): string {
    const oid = `#${this.attempt.toString(36)}.${this.#created++}`;
    this.drafts.set(oid, { creates: true, writes: new Map(), contents: new Map() });
    for (const [slot, content] of Object.entries(slots)) this.#set(oid, slot, content);
    this.nameWrites.set(name, oid);
    return oid;
  }

  *#create(name: string, parent: string): Generator<Need, void, string> {
    const original = yield* this.#who(parent);
    if ((yield* this.#lookUp(name)) !== null) throw new ScriptError('NAME_TAKEN', `${name} is taken`);
    this.#make(name, { 'parent*': original, own: 1 });
  }
}
