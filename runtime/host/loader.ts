/**
 * Owns: what is being loaded and who waits for it. What is asked for in one turn of the event loop goes out as one LOAD (split at a limit).
 *
 *   L1  An oid or name is asked for once at a time, however many wait.
 *   L2  Those who wait go on one after another, each in an event-loop turn of its own.
 *   L3  A key that is refused is told to those who wait for it, and asked for anew by the next: nobody waits for ever.
 *   L4  A private load (for a turn under a grant) is the kernel's own state, without this host's unanswered commits.
 */
import {
  T,
  TelosError,
  type Load,
  type Loaded,
  type NameState,
  type ObjectState,
  type Oid,
} from '../../protocol/index.js';

const MAX_KEYS = 4096;

export interface LoaderPorts {
  send(envelope: Load): void;
  defer(task: () => void): void;
}

/** `refused`: why one of the keys can't be loaded. */
type Resume = (refused?: TelosError) => void;
export type PrivateState = (
  objects: readonly ObjectState[],
  names: readonly NameState[],
  refused: TelosError | undefined,
) => void;

/** Resumes when all its keys are there. */
interface Waiter {
  left: number;
  refused: TelosError | undefined;
  readonly resume: Resume;
}

interface PrivateLoad {
  left: number;
  refused: TelosError | undefined;
  readonly objects: ObjectState[];
  readonly names: NameState[];
  readonly done: PrivateState;
}

export class Loader {
  #requests = 0;
  /** Waiters by oid, or by `=name`. A key with no waiters is being loaded ahead. */
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #private = new Map<number, PrivateLoad>();
  #oids: Oid[] = [];
  #names: string[] = [];

  constructor(
    private readonly ports: LoaderPorts,
    private readonly adopt: (objects: readonly ObjectState[], names: readonly NameState[]) => void,
  ) {}

  get pending(): number {
    return this.#waiting.size;
  }

  load(oids: readonly Oid[], names: readonly string[], resume: Resume): void {
    const keys = new Set<string>(oids);
    for (const name of names) keys.add(`=${name}`);
    const waiter: Waiter = { left: keys.size, refused: undefined, resume };
    if (waiter.left === 0) this.ports.defer(() => resume());
    for (const key of keys) this.#ask(key).push(waiter);
  }

  /** Loads it if nobody does yet; nobody waits. */
  ahead(oid: Oid): void {
    this.#ask(oid);
  }

  #ask(key: string): Waiter[] {
    const known = this.#waiting.get(key);
    if (known !== undefined) return known;
    const waiters: Waiter[] = [];
    this.#waiting.set(key, waiters);
    if (this.#oids.length + this.#names.length === 0) this.ports.defer(() => this.#flush());
    if (key.startsWith('=')) this.#names.push(key.slice(1));
    else this.#oids.push(key as Oid);
    return waiters;
  }

  #flush(): void {
    const oids = this.#oids;
    const names = this.#names;
    this.#oids = [];
    this.#names = [];
    while (oids.length + names.length > 0) {
      this.ports.send([T.LOAD, ++this.#requests, oids.splice(0, MAX_KEYS), names.splice(0, MAX_KEYS)]);
    }
  }

  loadPrivate(oids: readonly Oid[], names: readonly string[], done: PrivateState): void {
    const request = ++this.#requests;
    const left = oids.length + names.length;
    this.#private.set(request, { left, refused: undefined, objects: [], names: [], done });
    this.ports.send([T.LOAD, request, [...oids], [...names]]);
  }

  /** All or some of what was asked for. */
  loaded(loaded: Loaded): void {
    const [, request, objects, names, refused] = loaded;
    const own = this.#private.get(request);
    if (own !== undefined) {
      this.#loadedFor(own, loaded);
      return;
    }
    this.adopt(objects, names);
    for (const [oid] of objects) this.#arrived(oid);
    for (const [name] of names) this.#arrived(`=${name}`);
    for (const [oid, error] of refused) this.#arrived(oid, TelosError.fromWire(error));
  }

  #loadedFor(own: PrivateLoad, [, request, objects, names, refused]: Loaded): void {
    own.objects.push(...objects);
    own.names.push(...names);
    for (const [, error] of refused) own.refused = TelosError.fromWire(error);
    own.left -= objects.length + names.length + refused.length;
    if (own.left > 0) return;
    this.#private.delete(request);
    this.ports.defer(() => own.done(own.objects, own.names, own.refused));
  }

  /** The request fits no frame. */
  unsent([, request, oids, names]: Load, error: TelosError): void {
    const own = this.#private.get(request);
    this.#private.delete(request);
    if (own !== undefined) this.ports.defer(() => own.done([], [], error));
    for (const oid of oids) this.#arrived(oid, error);
    for (const name of names) this.#arrived(`=${name}`, error);
  }

  #arrived(key: string, refused?: TelosError): void {
    const waiters = this.#waiting.get(key);
    if (waiters === undefined) return;
    this.#waiting.delete(key);
    for (const waiter of waiters) {
      waiter.refused ??= refused;
      if (--waiter.left === 0) this.ports.defer(() => waiter.resume(waiter.refused));
    }
  }

  clear(): void {
    this.#waiting.clear();
    this.#private.clear();
    this.#oids = [];
    this.#names = [];
  }
}
