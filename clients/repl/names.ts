/**
 * The names of the image as variables of the session.
 *
 * Owns: the accessors that it put on the global object, and what is known about which oid has which name.
 *
 *   R1  A name is looked up when a line mentions it, and again after each answer of that line: a new one is a variable at once.
 *   R2  A variable of the user's own hides the name. So does what the language and Node have (`Math`, `process`), which is told once;
 *       the modules that Node's REPL makes variables of (`events`, `path`) give way.
 *   R3  Only names that exist become variables: all others stay undefined, also to `typeof`.
 */
import { isName } from '../../protocol/index.js';
import type { Holder } from './globals.js';
import { identifiersIn } from './identifiers.js';

const LOOK_UP = `async (names) => {
  const found = [];
  for (const name of names) if ((await image.get(name)) !== undefined) found.push(name);
  return found;
}`;
const LOOK_UP_MS = 2000;

/** The part of an Image that is used here. */
export interface NameSource {
  readonly connected: boolean;
  names(): Promise<[name: string, oid: string][]>;
  turn(fn: string, ...args: unknown[]): PromiseLike<unknown>;
  with(options: { deadlineMs: number }): NameSource;
}

export class Names {
  /** Candidates of the line that runs: mentioned, and no name of the image so far. */
  private readonly pending = new Set<string>();
  private readonly defined = new Set<string>();
  private readonly told = new Set<string>();
  private byOid = new Map<string, string>();
  private sorted: string[] = [];
  private known = new Set<string>();
  private readonly quick: NameSource;

  constructor(
    /** Without hooks: what is looked up here is no call of the user's. */
    private readonly image: NameSource,
    /** A handle as the user sees it. */
    private readonly handleTo: (name: string) => unknown,
    /** Who has a variable of this name, other than this. */
    private readonly holderOf: (name: string) => Holder,
    /** A line means an object of the image, and says a variable of Node's. */
    private readonly onHidden: (name: string) => void,
    private readonly scope: object = globalThis,
  ) {
    this.quick = image.with({ deadlineMs: LOOK_UP_MS });
  }

  /** Known names, in order, for completion. */
  get all(): readonly string[] {
    return this.sorted;
  }

  /** The name of an oid, or the oid. */
  show = (target: string): string => this.byOid.get(target) ?? target;

  /** Reads all names, for completion and for showing references. An image with too many for one answer goes without. */
  async refresh(): Promise<void> {
    const pairs = await this.image.names().catch(() => null);
    if (pairs === null) return;
    const byOid = new Map<string, string>();
    for (const [name, oid] of pairs) if (!byOid.has(oid)) byOid.set(oid, name);
    this.byOid = byOid;
    this.sorted = pairs.map(([name]) => name);
    this.known = new Set(this.sorted);
  }

  knows(oid: string): boolean {
    return this.byOid.has(oid);
  }

  /** Whether a variable of this name is, or would be, the image's. */
  offers(name: string): boolean {
    return this.defined.has(name) || (this.known.has(name) && this.gives(name));
  }

  /** Before a line runs: makes variables of the names in it. Undefined when there is nothing to ask. */
  begin(code: string): Promise<void> | undefined {
    for (const name of identifiersIn(code)) {
      if (!isName(name) || this.defined.has(name)) continue;
      if (this.gives(name)) this.pending.add(name);
      else this.tell(name);
    }
    return this.lookUp();
  }

  /** After each answer of the line: it may have given a name. */
  lookUp(): Promise<void> | undefined {
    if (this.pending.size === 0 || !this.image.connected) return undefined;
    return Promise.resolve(this.quick.turn(LOOK_UP, [...this.pending])).then(
      (found) => {
        for (const name of found as string[]) if (this.pending.delete(name) && this.gives(name)) this.define(name);
      },
      () => undefined,
    );
  }

  /** After the line. */
  end(): void {
    this.pending.clear();
  }

  private gives(name: string): boolean {
    const holder = this.holderOf(name);
    return holder === 'nobody' || holder === 'module';
  }

  private tell(name: string): void {
    if (this.told.has(name) || !this.known.has(name) || this.holderOf(name) !== 'node') return;
    this.told.add(name);
    this.onHidden(name);
  }

  private define(name: string): void {
    this.defined.add(name);
    Object.defineProperty(this.scope, name, {
      configurable: true,
      enumerable: false,
      get: () => this.handleTo(name),
      set: (value: unknown) => {
        this.defined.delete(name);
        Object.defineProperty(this.scope, name, { value, configurable: true, enumerable: true, writable: true });
      },
    });
  }
}
