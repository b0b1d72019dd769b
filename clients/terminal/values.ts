/** Contents of slots, in their wire form, as people read them. */

export type NameOf = (oid: string) => string;

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

export type ContentKind = 'data' | 'reference' | 'method' | 'primitive';

export function kindOf(content: unknown): ContentKind {
  if (!isMap(content)) return 'data';
  if (typeof content['$method'] === 'string') return 'method';
  if (typeof content['$primitive'] === 'string') return 'primitive';
  return typeof content['$ref'] === 'string' ? 'reference' : 'data';
}

/** One line, at most `width` characters. */
export function briefly(content: unknown, nameOf: NameOf, width = 60): string {
  const text = whole(content, nameOf).replace(/\s+/g, ' ');
  return text.length > width ? `${text.slice(0, width - 1)}…` : text;
}

export function whole(content: unknown, nameOf: NameOf): string {
  if (!isMap(content)) return JSON.stringify(contentJson(content, nameOf));
  switch (kindOf(content)) {
    case 'method':
      return String(content['$method']);
    case 'primitive':
      return `primitive ${String(content['$primitive'])}`;
    case 'reference':
      return nameOf(String(content['$ref']));
    case 'data':
      return JSON.stringify(contentJson(content, nameOf));
  }
}

/** The wire form puts one more `$` before an own key that begins with one, JSON only where the key would have a meaning. */
function ownKey(key: string): string {
  const own = key.startsWith('$$') ? key.slice(1) : key;
  return /^\$+(?:bytes|int|ref)$/.test(own) ? `$${own}` : own;
}

/** The JSON form of a wire form, as `send` prints the same value: bytes, bigints and keys escaped alike, references by name. */
export function contentJson(content: unknown, nameOf: NameOf): unknown {
  if (content instanceof Uint8Array) return { $bytes: Buffer.from(content).toString('base64') };
  if (typeof content === 'bigint') return { $int: String(content) };
  if (Array.isArray(content)) return content.map((item) => contentJson(item, nameOf));
  if (!isMap(content)) return content ?? null;
  if (kindOf(content) === 'reference') return { $ref: nameOf(String(content['$ref'])) };
  return Object.fromEntries(Object.entries(content).map(([key, item]) => [ownKey(key), contentJson(item, nameOf)]));
}
