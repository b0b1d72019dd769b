/** What a message under a grant runs on: objects and names loaded for it alone, without this host's unanswered commits. */
import { type NameState, type ObjectState, type Oid, type TelosError } from '../../protocol/index.js';
import { CachedObject, type TurnPorts } from '../turn/index.js';
import type { Loader } from './loader.js';

export class PrivateView {
  readonly #objects = new Map<Oid, CachedObject>();
  readonly #names = new Map<string, NameState>();
  readonly ports: TurnPorts;

  constructor(
    private readonly loader: Loader,
    shared: TurnPorts,
  ) {
    this.ports = {
      ...shared,
      object: (oid) => this.#objects.get(oid),
      name: (name) => this.#names.get(name),
      load: (oids, names, resume) => this.#load(oids, names, resume),
    };
  }

  /** Loads all of these: oids, and names as `=name`. The answer is why that can't be done, if it can't. */
  load(keys: readonly string[]): Promise<TelosError | undefined> {
    const oids = keys.filter((key) => !key.startsWith('=')) as Oid[];
    const names = keys.filter((key) => key.startsWith('=')).map((key) => key.slice(1));
    return new Promise((resolve) => {
      this.#load(oids, names, resolve);
    });
  }

  #load(oids: readonly Oid[], names: readonly string[], resume: (refused?: TelosError) => void): void {
    this.loader.loadPrivate(oids, names, (objects, found, refused) => {
      this.#adopt(objects, found);
      resume(refused);
    });
  }

  #adopt(objects: readonly ObjectState[], names: readonly NameState[]): void {
    for (const state of objects) if (!this.#objects.has(state[0])) this.#objects.set(state[0], CachedObject.of(state));
    for (const state of names) if (!this.#names.has(state[0])) this.#names.set(state[0], state);
  }
}
