/** What stands in a slot: its content, who made it, and what the look-up has found out about it. */
import {
  contentKind,
  methodOf,
  primitiveOf,
  unpack,
  type Attempt,
  type Bytes,
  type Content,
} from '../../protocol/index.js';

/** REFERENCE: the content is one reference and nothing else. BOX: any other value that is no primitive one. */
export const KIND = { UNKNOWN: 0, PLAIN: 1, BOX: 2, REFERENCE: 3, METHOD: 4, PRIMITIVE: 5 } as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** `{"$ref": …}` as msgpack begins with these bytes. */
const REF_MARK = [0x81, 0xa4, 0x24, 0x72, 0x65, 0x66] as const;

export class Cell {
  private known: Kind = KIND.UNKNOWN;
  private told = '';
  /** What the engine made of the source; filled by it at the first send. */
  compiled: unknown = undefined;

  constructor(
    readonly attempt: Attempt,
    readonly version: number,
    public content: Content,
  ) {}

  get kind(): Kind {
    return this.known === KIND.UNKNOWN ? this.classify() : this.known;
  }

  /** REFERENCE: the oid. METHOD: the source. PRIMITIVE: its name. */
  get text(): string {
    if (this.known === KIND.UNKNOWN) this.classify();
    return this.told;
  }

  replace(content: Content): void {
    this.content = content;
    this.known = KIND.UNKNOWN;
    this.told = '';
    this.compiled = undefined;
  }

  private classify(): Kind {
    const { content } = this;
    if (!(content instanceof Uint8Array)) return (this.known = KIND.PLAIN);
    switch (contentKind(content)) {
      case 'method':
        this.told = methodOf(content)?.source ?? '';
        return (this.known = KIND.METHOD);
      case 'primitive':
        this.told = primitiveOf(content) ?? '';
        return (this.known = KIND.PRIMITIVE);
      case 'data': {
        const id = referenceOf(content);
        this.told = id ?? '';
        return (this.known = id === undefined ? KIND.BOX : KIND.REFERENCE);
      }
    }
  }
}

/** The oid (or name) if the content is one reference and nothing else. */
export function referenceOf(content: Bytes): string | undefined {
  for (let i = 0; i < REF_MARK.length; i++) if (content[i] !== REF_MARK[i]) return undefined;
  const id = (unpack(content) as { $ref: unknown }).$ref;
  return typeof id === 'string' ? id : undefined;
}

/** Equal contents, byte by byte. */
export function sameContent(a: Content, b: Content): boolean {
  if (a === b) return true;
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array) || a.length !== b.length) return false;
  return Buffer.compare(a, b) === 0;
}

export const isParentSlot = (slot: string): boolean => slot.charCodeAt(slot.length - 1) === 0x2a;
