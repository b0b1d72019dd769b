/** How genesis writes an object down, and what becomes of it. */
import { encodeContent, methodContent, primitiveContent, type Content, type Oid } from '../../protocol/index.js';

export interface Definition {
  readonly oid: string;
  /** Name in the lobby; the oid without `#` when absent. */
  readonly name?: string;
  /** Oid of the parent; null for `traits`. */
  readonly parent: string | null;
  /** What the object is for. */
  readonly doc: string;
  readonly data?: Readonly<Record<string, readonly [value: unknown, doc: string]>>;
  readonly methods?: Readonly<Record<string, readonly [source: string, doc: string]>>;
  /** Slots of the runtime's own: name of the primitive, text. */
  readonly primitives?: Readonly<Record<string, readonly [name: string, doc: string]>>;
}

/** A reference in the data of a definition. */
export class To {
  constructor(readonly oid: string) {}
}
export const to = (oid: string): To => new To(oid);

const options = {
  place: 'genesis',
  maxBytes: 1 << 20,
  maxDepth: 32,
  refOf: (value: object) => (value instanceof To ? value.oid : undefined),
};
const encode = (value: unknown): Content => encodeContent(value, options);

/** Slots in the order of their creation: parent, documentation, data, methods, primitives. */
export function slotsOf({
  parent,
  doc,
  data = {},
  methods = {},
  primitives = {},
}: Definition): [slot: string, content: Content][] {
  const docs: Record<string, string> = { self: doc };
  for (const [slot, [, text]] of [...Object.entries(data), ...Object.entries(methods), ...Object.entries(primitives)])
    docs[slot] = text;
  const slots: [string, Content][] = parent === null ? [] : [['parent*', encode(to(parent))]];
  slots.push(['documentation', encode(docs)]);
  for (const [slot, [value]] of Object.entries(data)) slots.push([slot, encode(value)]);
  for (const [slot, [source, description]] of Object.entries(methods))
    slots.push([slot, methodContent({ source, author: 'genesis', description })]);
  for (const [slot, [name]] of Object.entries(primitives)) slots.push([slot, primitiveContent(name)]);
  return slots;
}

export const oidOf = ({ oid }: Definition): Oid => oid as Oid;
export const nameOf = ({ oid, name }: Definition): string => name ?? oid.slice(1);
