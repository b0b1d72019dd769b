/** Values of method code to carried ones and contents, with the turn's own handles, and the names that are left in them. */
import {
  decodeContent,
  encodeContent,
  TelosError,
  unpack,
  type Content,
  type EncodeOptions,
  type WireError,
} from '../../protocol/index.js';
import { carriedOf, contentOf, encodePlain, Ref, resolveNames, type Carried } from './carried.js';
import { toFailure } from './failure.js';
import { targetOf } from './handle.js';
import type { Frame } from './frame.js';
import type { Turn } from './turn.js';

export class Codec implements EncodeOptions {
  place = '';
  readonly maxBytes: number;
  readonly maxDepth: number;
  /** The value encoded last holds a name that was not yet looked up. */
  sawName = false;

  constructor(private readonly turn: Turn) {
    this.maxBytes = turn.limits.maxBodyBytes;
    this.maxDepth = turn.limits.maxValueDepth;
  }

  refOf(value: object): string | undefined {
    const target = targetOf(value);
    return target === null ? undefined : this.#idOf(target);
  }

  #idOf(target: { readonly id: string; readonly turn: object }): string {
    if (target.turn !== this.turn)
      throw this.turn.failure('REVOKED', `the reference ${target.id} is of a turn that has ended`);
    const { id } = target;
    if (id.charCodeAt(0) === 0x23) return id;
    const name = this.turn.nameView(id);
    if (name === undefined) {
      this.sawName = true;
      this.turn.hasNames = true;
      return id;
    }
    if (name.oid === null) throw this.turn.failure('UNKNOWN_NAME', `no object is named ${JSON.stringify(id)}`);
    return name.oid;
  }

  /** @throws BAD_VALUE, TOO_LARGE with the path, which begins with `place`; as method code may see them */
  encode(value: unknown, place: string): Content {
    this.place = place;
    this.sawName = false;
    try {
      return encodeContent(value, this);
    } catch (thrown) {
      throw toFailure(thrown, this.turn);
    }
  }

  /** A fresh, mutable value for this frame. */
  decode(content: Content, frame: Frame): unknown {
    return decodeContent(content, { makeRef: (id) => frame.handle(id) });
  }

  carry(value: unknown, place: string): Carried {
    switch (typeof value) {
      case 'boolean':
        return value;
      case 'undefined':
        return null;
      case 'object':
      case 'function': {
        if (value === null) return null;
        const id = this.refOf(value);
        return id === undefined ? carriedOf(this.encode(value, place)) : new Ref(id);
      }
      default:
        return this.encode(value, place);
    }
  }

  // ---- names -------------------------------------------------------------------------------------------------------------------

  /** Names that stand where oids have to stand in the commit. */
  namesLeft(reply: Carried): Set<string> {
    const names = new Set<string>();
    const collect = (content: Content): unknown =>
      decodeContent(content, {
        makeRef: (id) => {
          if (id.charCodeAt(0) !== 0x23) names.add(id);
          return null;
        },
      });
    collect(contentOf(reply));
    for (const view of this.turn.views.values())
      for (const draft of view.drafts.values()) if (draft.named) collect(draft.content);
    for (const { dead, named, args, target } of this.turn.departures) {
      if (dead || !named) continue;
      collect(args);
      if (target.charCodeAt(0) !== 0x23) names.add(target);
    }
    return names;
  }

  withoutNames(carried: Carried): Carried {
    if (!this.turn.hasNames || carried === null || typeof carried !== 'object') return carried;
    return carriedOf(this.resolved(contentOf(carried)));
  }

  /** The content with oids where names stood; all of them have been looked up. @throws UNKNOWN_NAME */
  resolved(content: Content): Content {
    return resolveNames(content, this.turn.resolveNow, this.#limits('a reference'));
  }

  /** Plain data of the runtime's own, with `Ref`s in it. */
  encodePlain(value: unknown, place: string): Content {
    return encodePlain(value, this.#limits(place));
  }

  /** The error that a service answered with. */
  wireErrorIn(body: Content): WireError {
    const wire = body instanceof Uint8Array ? unpack(body) : body;
    if (Array.isArray(wire) && wire.length === 5 && wire.slice(0, 4).every((part) => typeof part === 'string'))
      return wire as WireError;
    return new TelosError(
      'UNAVAILABLE',
      `a service answered with an error that can not be read: ${String(wire).slice(0, 200)}`,
    ).toWire();
  }

  #limits(place: string): Pick<EncodeOptions, 'place' | 'maxBytes' | 'maxDepth'> {
    return { place, maxBytes: this.maxBytes, maxDepth: this.maxDepth + 2 };
  }
}
