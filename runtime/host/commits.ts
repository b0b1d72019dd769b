/**
 * Owns: this host's commits without a verdict, in the order in which they were sent, and how they and the kernel's news come into the cache.
 *
 *   Q1  A turn's writes are visible to the next turn at once, under the attempt that made them: turns of one object are pipelined.
 *   Q2  State that is loaded while commits are unanswered gets them on top, in order: what the kernel had accepted by then is in it, and its
 *       verdict came before it.
 *   Q3  A refused attempt leaves nothing in the cache: what it wrote and what it had read stale is dropped, and loaded anew at the next use.
 *   Q4  A listing stands on decided attempts only: before an undecided one of this host, another host's may come, of which it has not heard.
 */
import {
  ABSENT,
  type Attempt,
  type Changed,
  type NameState,
  type ObjectState,
  type Oid,
} from '../../protocol/index.js';
import { CachedObject, keepContent, listedOf, LOBBY, type Turn, type TurnWrites } from '../turn/index.js';
import type { ObjectCache } from './cache.js';

export class Commits<J> {
  readonly #open = new Map<
    Attempt,
    { readonly job: J; readonly writes: TurnWrites; readonly awaited: (() => void)[] }
  >();

  constructor(
    private readonly cache: ObjectCache,
    private readonly dropped: (oid: Oid) => void,
    private readonly defer: (task: () => void) => void,
  ) {}

  get size(): number {
    return this.#open.size;
  }

  /** The turn's commit goes out. `shared`: it ran on the cache, so its writes belong on top of it. */
  add(attempt: Attempt, job: J, writes: TurnWrites, shared: boolean): void {
    this.#open.set(attempt, { job, writes, awaited: [] });
    if (shared) this.#apply(attempt, writes);
    else this.#dropWritten(writes);
  }

  /** The verdict is there. `keep` false: nothing of the attempt may stay in the cache. */
  close(attempt: Attempt, keep: boolean): J | undefined {
    const entry = this.#open.get(attempt);
    if (entry === undefined) return undefined;
    this.#open.delete(attempt);
    if (!keep) this.#dropWritten(entry.writes);
    for (const task of entry.awaited) this.defer(task);
    return entry.job;
  }

  /** Q4: what the turn has listed is of an attempt without a verdict. Then `task` runs when that is there. */
  awaits(turn: Turn, task: () => void): boolean {
    const open = this.#open.size === 0 ? undefined : listedOf(turn, (attempt) => this.#open.has(attempt));
    if (open === undefined) return false;
    this.#open.get(open)?.awaited.push(task);
    return true;
  }

  clear(): void {
    this.#open.clear();
  }

  // ---- own writes ----------------------------------------------------------------------------------------------------------------

  #apply(attempt: Attempt, { creates, slots, names }: TurnWrites): void {
    for (const oid of creates) this.cache.put(created(oid, attempt));
    for (const { oid, slot, content } of slots) {
      const object = this.cache.peek(oid);
      if (object === undefined) continue;
      write(object, slot, content, attempt);
      this.cache.resized(object);
    }
    for (const [name, oid] of names) this.#applyName(name, oid, attempt);
  }

  #applyName(name: string, oid: Oid | null, attempt: Attempt): void {
    const before = this.cache.name(name);
    this.cache.putName(name, oid, oid === null ? ABSENT : attempt);
    const lobby = this.cache.peek(LOBBY);
    if (lobby !== undefined && ((before?.[1] ?? null) === null) !== (oid === null)) lobby.shape = attempt;
  }

  #dropWritten({ creates, slots, names }: TurnWrites): void {
    for (const oid of creates) this.drop(oid);
    for (const { oid } of slots) this.drop(oid);
    for (const [name] of names) {
      this.cache.dropName(name);
      this.drop(LOBBY);
    }
  }

  /** Keys of a conflict: oids, and names as `=name`. */
  dropStale(keys: readonly string[]): void {
    for (const key of keys) {
      if (key.startsWith('=')) this.cache.dropName(key.slice(1));
      else this.drop(key as Oid);
    }
  }

  drop(oid: Oid): void {
    if (this.cache.peek(oid) === undefined) return;
    this.cache.drop(oid);
    this.dropped(oid);
  }

  // ---- the kernel's news -----------------------------------------------------------------------------------------------------------

  /** Loaded state, with the unanswered commits on top. */
  adopt(states: readonly ObjectState[], names: readonly NameState[]): void {
    if (states.length > 0) this.#adoptObjects(states);
    const loaded = new Set(names.map(([name]) => name));
    for (const [name, oid, attempt] of names) this.cache.putName(name, oid, attempt);
    if (loaded.size === 0) return;
    for (const [attempt, { writes }] of this.#open) {
      for (const [name, oid] of writes.names)
        if (loaded.has(name)) this.cache.putName(name, oid, oid === null ? ABSENT : attempt);
    }
  }

  #adoptObjects(states: readonly ObjectState[]): void {
    const loaded = new Map(states.map((state) => [state[0], CachedObject.of(state)]));
    for (const [attempt, { writes }] of this.#open) {
      for (const oid of writes.creates) if (loaded.has(oid)) loaded.set(oid, created(oid, attempt));
      for (const { oid, slot, content } of writes.slots) {
        const object = loaded.get(oid);
        if (object !== undefined) write(object, slot, content, attempt);
      }
      const lobby = writes.names.length > 0 ? loaded.get(LOBBY) : undefined;
      if (lobby !== undefined) lobby.shape = attempt;
    }
    for (const object of loaded.values()) this.cache.put(object);
  }

  /** Another host's accepted turn. What this host has itself written and not yet heard about stays on top. */
  changed([, oid, shape, parents, changes]: Changed): void {
    const object = this.cache.peek(oid);
    if (object === undefined) return;
    if (this.#open.has(object.shape) || this.#open.has(object.parents)) object.stale = true;
    for (const [slot, attempt, version, removed, content] of changes) {
      const own = object.slots.get(slot);
      if (own !== undefined && this.#open.has(own.attempt)) {
        object.stale = true;
        continue;
      }
      if (removed) object.remove(slot, attempt);
      else object.adopt(slot, attempt, version, keepContent(content));
    }
    object.shape = shape;
    object.parents = parents;
    this.cache.resized(object);
  }

  named(name: string, oid: Oid | null, attempt: Attempt): void {
    const known = this.cache.name(name);
    if (known === undefined || this.#open.has(known[2])) return;
    this.cache.putName(name, oid, attempt);
  }
}

function created(oid: Oid, attempt: Attempt): CachedObject {
  const object = new CachedObject(oid);
  object.exists = true;
  object.shape = attempt;
  object.born = attempt;
  return object;
}

function write(
  object: CachedObject,
  slot: string,
  content: Parameters<CachedObject['set']>[2] | undefined,
  attempt: Attempt,
): void {
  if (content === undefined) object.remove(slot, attempt);
  else object.set(slot, attempt, content);
}
