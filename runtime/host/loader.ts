/**
 * Owns: what is being loaded and who waits for it. What is asked for in one turn of the event loop goes out as one LOAD (split at a limit).
 *
 *   L1  An oid or name is asked for once at a time, however many wait.
 *   L2  Those who wait go on one after another, each in an event-loop turn of its own.
 *   L3  A private load (for a turn under a grant) is the kernel's own state, without this host's unanswered commits.
 */
import { T, type Load, type Loaded, type NameState, type ObjectState, type Oid } from '../../protocol/index.js';

const MAX_KEYS = 4096;

export interface LoaderPorts {
  send(envelope: Load): void;
  defer(task: () => void): void;
}

type Resume = () => void;
export type PrivateState = (objects: readonly ObjectState[], names: readonly NameState[]) => void;

/** Resumes when all its keys are there. */
interface Waiter {
  left: number;
  readonly resume: Resume;
}

export class Loader {
  #requests = 0;
  /** Waiters by oid, or by `=name`. A key with no waiters is being loaded ahead. */
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #private = new Map<number, PrivateState>();
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
    const waiter: Waiter = { left: keys.size, resume };
    if (waiter.left === 0) this.ports.defer(resume);
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
    this.#private.set(request, done);
    this.ports.send([T.LOAD, request, [...oids], [...names]]);
  }

  loaded([, request, objects, names]: Loaded): void {
    const own = this.#private.get(request);
    if (own !== undefined) {
      this.#private.delete(request);
      this.ports.defer(() => own(objects, names));
      return;
    }
    this.adopt(objects, names);
    for (const [oid] of objects) this.#arrived(oid);
    for (const [name] of names) this.#arrived(`=${name}`);
  }

  #arrived(key: string): void {
    const waiters = this.#waiting.get(key);
    if (waiters === undefined) return;
    this.#waiting.delete(key);
    for (const waiter of waiters) if (--waiter.left === 0) this.ports.defer(waiter.resume);
  }

  clear(): void {
    this.#waiting.clear();
    this.#private.clear();
    this.#oids = [];
    this.#names = [];
  }
}
