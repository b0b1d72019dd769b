/**
 * Owns: what this host holds of objects and names, in order of use. Doesn't own: what is true (the kernel), who waits for what (loader.ts).
 *
 *   O1  At most `objects` objects of together `bytes` bytes, the least used evicted first; one that a running turn looks at stays (what one turn
 *       may look at is bounded: turn.max_loaded_bytes). While it does, it is set aside when it is met: each `put` looks at few, however many stay.
 *   O2  Who evicts is told, so that the kernel is: it sends changes only for what is held.
 *   O3  Names are kept in two generations: the older one is forgotten when the younger one is full.
 */
import type { Attempt, NameState, Oid } from '../../protocol/index.js';
import type { CachedObject } from '../turn/index.js';

export interface CacheLimits {
  readonly objects: number;
  /** By estimate (CachedObject.memory). */
  readonly bytes: number;
}

export class ObjectCache {
  readonly #objects = new Map<Oid, CachedObject>();
  /** Ends of the order of use. */
  #newest: CachedObject | null = null;
  #oldest: CachedObject | null = null;
  #young = new Map<string, NameState>();
  #old = new Map<string, NameState>();
  #bytes = 0;

  constructor(
    private readonly limits: CacheLimits,
    private readonly evicted: (oid: Oid) => void,
  ) {}

  get size(): number {
    return this.#objects.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** For use: undefined when it is not held, or has to be loaded anew. */
  use(oid: Oid): CachedObject | undefined {
    const object = this.#objects.get(oid);
    if (object === undefined || object.stale) return undefined;
    if (object !== this.#newest) {
      this.#unlink(object);
      this.#link(object);
    }
    return object;
  }

  /** As it is, stale or not, without counting as use. */
  peek(oid: Oid): CachedObject | undefined {
    return this.#objects.get(oid);
  }

  put(object: CachedObject): void {
    const known = this.#objects.get(object.oid);
    if (known !== undefined) {
      this.#unlink(known);
      this.#uncount(known);
    }
    this.#objects.set(object.oid, object);
    this.#link(object);
    this.resized(object);
  }

  /** An object that is held may have another size now. */
  resized(object: CachedObject): void {
    this.#bytes += object.memory - object.counted;
    object.counted = object.memory;
    if (this.#objects.size > this.limits.objects || this.#bytes > this.limits.bytes) this.#evict();
  }

  #uncount(object: CachedObject): void {
    this.#bytes -= object.counted;
    object.counted = 0;
  }

  /** Forgets it; the kernel still thinks that it is held, which does no harm. */
  drop(oid: Oid): void {
    const object = this.#objects.get(oid);
    if (object === undefined) return;
    this.#unlink(object);
    this.#uncount(object);
    this.#objects.delete(oid);
  }

  clear(): void {
    this.#objects.clear();
    this.#bytes = 0;
    this.#newest = this.#oldest = null;
    this.#young.clear();
    this.#old.clear();
  }

  #evict(): void {
    const { objects, bytes } = this.limits;
    while (this.#objects.size > objects || this.#bytes > bytes) {
      const object = this.#oldest;
      if (object === null || object === this.#newest) return;
      if (object.pins > 0) this.#setAside(object);
      else {
        this.drop(object.oid);
        this.evicted(object.oid);
      }
    }
  }

  /** Out of the order of use, until no turn looks at it or it is used again. */
  #setAside(object: CachedObject): void {
    this.#unlink(object);
    object.newer = object.older = null;
    object.unpinned = () => {
      object.unpinned = null;
      if (this.#objects.get(object.oid) === object) this.#link(object);
    };
  }

  #link(object: CachedObject): void {
    object.unpinned = null;
    object.older = this.#newest;
    object.newer = null;
    if (this.#newest !== null) this.#newest.newer = object;
    this.#newest = object;
    this.#oldest ??= object;
  }

  #unlink(object: CachedObject): void {
    const { newer, older } = object;
    if (newer !== null) newer.older = older;
    else if (this.#newest === object) this.#newest = older;
    if (older !== null) older.newer = newer;
    else if (this.#oldest === object) this.#oldest = newer;
  }

  // ---- names -------------------------------------------------------------------------------------------------------------------

  name(name: string): NameState | undefined {
    return this.#young.get(name) ?? this.#old.get(name);
  }

  putName(name: string, oid: Oid | null, attempt: Attempt): void {
    if (this.#young.size >= this.limits.objects) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, [name, oid, attempt]);
  }

  dropName(name: string): void {
    this.#young.delete(name);
    this.#old.delete(name);
  }
}
