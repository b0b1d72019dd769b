/**
 * The names of the image as variables of the session.
 *
 * Owns: the accessors that it put on the global object, and what is known about which oid has which name.
 *
 *   R1  A name is looked up when a line mentions it, and again after each answer of that line: a new one is a variable at once.
 *   R2  A variable of the user's own hides the name; nothing that Node has is ever replaced.
 *   R3  After a line, only names that exist are left behind.
 */
import { isName } from '../../protocol/index.js';
import type { Image } from '../library/index.js';
import { identifiersIn } from './identifiers.js';

const LOOK_UP = `async (names) => {
  const found = [];
  for (const name of names) if ((await image.get(name)) !== undefined) found.push(name);
  return found;
}`;
const LOOK_UP_MS = 2000;

export class Names {
  /** Candidates of the line that runs: mentioned, and no name of the image so far. */
  private readonly pending = new Set<string>();
  private readonly defined = new Set<string>();
  private byOid = new Map<string, string>();
  private sorted: string[] = [];
  private readonly quick: Image;

  constructor(
    /** Without hooks: what is looked up here is no call of the user's. */
    private readonly image: Image,
    /** A handle as the user sees it. */
    private readonly handleTo: (name: string) => unknown,
    /** Is there a variable of this name that is not ours? */
    private readonly isTaken: (name: string) => boolean,
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
  }

  knows(oid: string): boolean {
    return this.byOid.has(oid);
  }

  /** Names that the line mentions and that are not known yet. */
  newIn(code: string): string[] {
    return identifiersIn(code).filter((name) => isName(name) && !this.defined.has(name) && !this.isTaken(name));
  }

  /** Before a line runs: makes variables of the candidates that exist, and watches for the others. */
  async begin(candidates: string[]): Promise<void> {
    for (const name of candidates) {
      this.pending.add(name);
      this.define(name);
    }
    await this.lookUp();
  }

  /** After each answer of the line: it may have given a name. */
  lookUp(): Promise<void> | undefined {
    if (this.pending.size === 0 || !this.image.connected) return undefined;
    return this.quick.turn(LOOK_UP, [...this.pending]).then(
      (found) => {
        for (const name of found as string[]) if (this.pending.delete(name)) this.defined.add(name);
      },
      () => undefined,
    );
  }

  /** After the line. */
  end(): void {
    for (const name of this.pending) {
      if (Object.getOwnPropertyDescriptor(this.scope, name)?.get === undefined) continue;
      Reflect.deleteProperty(this.scope, name);
    }
    this.pending.clear();
  }

  private define(name: string): void {
    Object.defineProperty(this.scope, name, {
      configurable: true,
      enumerable: false,
      get: () => {
        if (this.pending.has(name)) throw new ReferenceError(`${name} is not defined`);
        return this.handleTo(name);
      },
      set: (value: unknown) => {
        this.pending.delete(name);
        this.defined.delete(name);
        Object.defineProperty(this.scope, name, { value, configurable: true, enumerable: true, writable: true });
      },
    });
  }
}
