/**
 * Completion: names of the image where a word begins, slots and selectors after `name.`; everything else is left to Node.
 * What an object understands is asked of the kernel, walking up its parents, and remembered for a moment.
 */
import type { Image } from '../library/index.js';
import { kindOf } from '../terminal/index.js';
import type { Names } from './names.js';

export type Completion = [matches: string[], word: string];
type Fallback = (line: string, callback: (error: Error | null, result: Completion) => void) => void;

const AFTER_DOT = /(?:^|[^\p{ID_Continue}$.])([\p{ID_Start}$_][\p{ID_Continue}$]*)\.([\p{ID_Continue}$]*)$/u;
const WORD = /(?:^|[^\p{ID_Continue}$."'`])([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u;
const REMEMBER_MS = 2000;
const MAX_ANCESTORS = 32;
const ASK_MS = 1500;
const MAX_SHOWN = 500;

export class Completer {
  private readonly known = new Map<string, { at: number; slots: Promise<string[]> }>();
  private readonly image: Image;

  constructor(
    image: Image,
    private readonly names: Names,
    /** The target of the handle that a variable holds, undefined when it holds none. */
    private readonly targetOfVariable: (name: string) => string | undefined,
    private readonly fallback: Fallback,
  ) {
    this.image = image.with({ deadlineMs: ASK_MS });
  }

  complete(line: string, callback: (error: Error | null, result: Completion) => void): void {
    const dotted = AFTER_DOT.exec(line);
    const target = dotted === null ? undefined : this.targetOf(dotted[1] as string);
    if (dotted !== null && target !== undefined) {
      const word = dotted[2] as string;
      void this.slotsOf(target).then((slots) => callback(null, [matching(slots, word), word]));
      return;
    }
    this.fallback(line, (error, result) => {
      const word = WORD.exec(line)?.[1];
      if (error !== null || word === undefined || dotted !== null) return callback(error, result);
      callback(null, [merge(matching(this.names.all, word), result), word]);
    });
  }

  private targetOf(variable: string): string | undefined {
    return this.targetOfVariable(variable) ?? (this.names.offers(variable) ? variable : undefined);
  }

  /** Slots and selectors that the object understands, its own first. */
  private slotsOf(target: string): Promise<string[]> {
    const now = Date.now();
    const before = this.known.get(target);
    if (before !== undefined && now - before.at < REMEMBER_MS) return before.slots;
    if (this.known.size > MAX_SHOWN) this.known.clear();
    const slots = this.look(target).catch(() => []);
    this.known.set(target, { at: now, slots });
    return slots;
  }

  private async look(target: string): Promise<string[]> {
    const slots = new Set<string>();
    const seen = new Set<string>();
    const open = [target];
    for (let next = open.shift(); next !== undefined && seen.size < MAX_ANCESTORS; next = open.shift()) {
      if (seen.has(next)) continue;
      seen.add(next);
      const object = await this.image.inspect(next);
      for (const { slot } of object.slots) if (!slot.endsWith('*')) slots.add(slot);
      for (const { content } of object.parents)
        if (kindOf(content) === 'reference') open.push((content as { $ref: string }).$ref);
    }
    return [...slots];
  }
}

const matching = (all: readonly string[], word: string): string[] =>
  all.filter((one) => one.startsWith(word)).slice(0, MAX_SHOWN);

/** Names of the image first, then what Node finds, which completes the same word. */
function merge(names: string[], [others, word]: Completion): string[] {
  if (names.length === 0) return others;
  const rest = others.filter((one) => one !== '' && one.startsWith(word) && !names.includes(one));
  return rest.length === 0 ? names : [...names, '', ...rest];
}
