/**
 * Delegation: which slot answers to a name. Own slot first, else the parents, depth first in the order of their slots' names.
 *
 *   P1  Every miss is a read (attempt 0), every step to the parents a read of the pseudo slot `*`: whoever changes the outcome conflicts.
 *   P2  An object is searched once; one that comes up again below itself is a PARENT_CYCLE that names the path.
 *   P3  Receivers are prepared (ancestors loaded) before their code runs, so that look-up can be synchronous.
 */
import { isName, type Oid } from '../../protocol/index.js';
import { LOBBY } from './wellknown.js';
import { Cell } from './cell.js';
import { refContent } from './carried.js';
import type { Turn } from './turn.js';
import type { NameView, ObjectView } from './view.js';

/** Steps along single parents before the careful search takes over. */
const PLAIN_STEPS = 32;
const MAX_ROUNDS = 10_000;

export class Lookup {
  /** The object that holds what the last search found. */
  holder: ObjectView | null = null;
  #age = 0;
  #missing: Oid[] = [];

  constructor(private readonly turn: Turn) {}

  lineageChanged(): void {
    this.#age++;
  }

  find(receiver: ObjectView, slot: string): Cell | null {
    let at = receiver;
    for (let steps = 0; steps < PLAIN_STEPS; steps++) {
      const cell = this.#own(at, slot);
      if (cell !== undefined) {
        this.holder = at;
        return cell;
      }
      const parents = at.parents();
      if (parents.length === 0) return null;
      if (parents.length > 1) break;
      at = this.turn.needView(parents[0] as Oid);
    }
    return this.#search(receiver, slot, new Set(), []);
  }

  /** Search that begins in the parents of `below`, in which a running method was found. */
  findAbove(below: ObjectView, slot: string): Cell | null {
    const seen = new Set<ObjectView>([below]);
    return this.#searchParents(below, slot, seen, [below]);
  }

  #search(at: ObjectView, slot: string, seen: Set<ObjectView>, path: ObjectView[]): Cell | null {
    if (path.includes(at)) throw this.cycle([...path, at]);
    if (seen.has(at)) return null;
    seen.add(at);
    const cell = this.#own(at, slot);
    if (cell !== undefined) {
      this.holder = at;
      return cell;
    }
    path.push(at);
    const found = this.#searchParents(at, slot, seen, path);
    path.pop();
    return found;
  }

  #searchParents(at: ObjectView, slot: string, seen: Set<ObjectView>, path: ObjectView[]): Cell | null {
    if (path.length > this.turn.limits.maxDepth)
      throw this.turn.failure('TOO_DEEP', `${this.turn.label(at.oid)} has more than ${path.length} ancestors in a row`);
    for (const parent of at.parents()) {
      const cell = this.#search(this.turn.needView(parent), slot, seen, path);
      if (cell !== null) return cell;
    }
    return null;
  }

  #own(at: ObjectView, slot: string): Cell | undefined {
    const cell = at.own(slot);
    return cell === undefined && at.oid === LOBBY && isName(slot) ? nameCell(this.turn.needName(slot)) : cell;
  }

  cycle(path: readonly ObjectView[]): Error {
    const names = path.map(({ oid }) => this.turn.label(oid)).join(' > ');
    return this.turn.failure('PARENT_CYCLE', `an object is its own ancestor: ${names}`);
  }

  // ---- loading ahead -------------------------------------------------------------------------------------------------------------

  /** The object, if it and all its ancestors are loaded. @throws UNKNOWN_NAME */
  ready(id: string): ObjectView | null {
    const oid = this.#oidOf(id);
    if (oid === null) return null;
    const view = this.turn.view(oid);
    return view !== undefined && this.#complete(view) ? view : null;
  }

  /** Loads the object and all its ancestors. @throws UNKNOWN_NAME */
  async prepare(id: string): Promise<ObjectView> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      this.#missing = [];
      const view = this.ready(id);
      if (view !== null) return view;
      const oid = this.#oidOf(id);
      if (oid === null) await this.turn.load([], [id]);
      else await this.turn.load(this.#missing.length > 0 ? this.#missing : [oid], []);
      this.turn.alive();
    }
    throw this.turn.failure('TOO_DEEP', `${id} has too many ancestors`);
  }

  #oidOf(id: string): Oid | null {
    if (id.charCodeAt(0) === 0x23) return id as Oid;
    const view = this.turn.nameView(id);
    if (view === undefined) return null;
    if (view.oid === null) throw this.turn.failure('UNKNOWN_NAME', `no object is named ${JSON.stringify(id)}`);
    return view.oid;
  }

  #complete(view: ObjectView): boolean {
    if (view.lineageSeen === this.#age) return true;
    view.lineageSeen = this.#age;
    let whole = true;
    for (const oid of view.peekParents()) {
      const parent = this.turn.view(oid);
      if (parent === undefined) this.#missing.push(oid);
      if (parent === undefined || !this.#complete(parent)) whole = false;
    }
    if (!whole) view.lineageSeen = -1;
    return whole;
  }
}

/** A name of the lobby, as a slot of it. */
function nameCell(name: NameView): Cell | undefined {
  const { oid } = name;
  return oid === null ? undefined : new Cell(name.attempt, 1, refContent(oid));
}
