/**
 * JSON. The native `stringify` visits a value once for each path to it, so a small graph with shared parts fills gigabytes; ours is charged for
 * each visit. Semantics of ECMA-262, section 25.5.2.
 */
import { MAX_STRING } from './helpers.js';
import { exceed, grow, growText, isObject, replace, work, type Native, textOf } from './caps-common.js';
import { running, type Meter } from './meter.js';

/** Bytes of the heap that one character of JSON can become. */
const BYTES_PER_CHARACTER = 4;

export function capJson(): void {
  const json = JSON as unknown as Record<string, unknown>;
  replace(json, 'stringify', (original) =>
    native('stringify', (value, replacer, space) => stringify(original, value, replacer, space)),
  );
  replace(json, 'parse', (original) => native('parse', (text, reviver) => parse(original, text, reviver)));
  for (const name of ['rawJSON', 'isRawJSON']) Reflect.deleteProperty(JSON, name);
}

function native(name: string, body: (...args: unknown[]) => unknown): Native {
  const holder = {
    [name](...args: unknown[]): unknown {
      return body(...args);
    },
  };
  return holder[name] as Native;
}

type Original = (self: unknown, ...args: unknown[]) => unknown;

function parse(original: Original, value: unknown, reviver: unknown): unknown {
  const text = typeof value === 'string' ? value : textOf(value);
  work(text.length >>> 2, 'JSON');
  grow(text.length * BYTES_PER_CHARACTER, 'JSON');
  return typeof reviver === 'function' ? original(JSON, text, reviver) : original(JSON, text);
}

function stringify(original: Original, value: unknown, replacer: unknown, space: unknown): unknown {
  const m = running.meter;
  if (m === null) return original(JSON, value, replacer, space);
  if (typeof value === 'string') growText(value.length * 2, 'JSON');
  if (!isObject(value) && replacer === undefined) return original(JSON, value);
  return new Writer(m, (text) => original(JSON, text) as string, replacer, space).write(value);
}

class Writer {
  private length = 0;
  private readonly path: object[] = [];
  private readonly replace: Native | null;
  private readonly only: string[] | null;
  private readonly gap: string;

  constructor(
    private readonly meter: Meter,
    private readonly quote: (text: string) => string,
    replacer: unknown,
    space: unknown,
  ) {
    this.replace = typeof replacer === 'function' ? (replacer as Native) : null;
    this.only = Array.isArray(replacer)
      ? [...new Set(replacer.filter((k) => typeof k === 'string' || typeof k === 'number').map(String))]
      : null;
    this.gap =
      typeof space === 'number'
        ? ' '.repeat(Math.max(0, Math.min(10, Math.trunc(space) || 0)))
        : typeof space === 'string'
          ? space.slice(0, 10)
          : '';
  }

  write(value: unknown): string | undefined {
    return this.property({ '': value }, '', value, '');
  }

  private property(holder: unknown, key: string, given: unknown, indent: string): string | undefined {
    if (--this.meter.left < 0) this.meter.check();
    let value = given;
    if ((isObject(value) || typeof value === 'bigint') && typeof (value as { toJSON?: unknown }).toJSON === 'function')
      value = Reflect.apply((value as unknown as { toJSON: Native }).toJSON, value, [key]);
    if (this.replace) value = Reflect.apply(this.replace, holder, [key, value]);
    const text = this.text(value, indent);
    if (text !== undefined) this.count(text.length);
    return text;
  }

  private text(given: unknown, indent: string): string | undefined {
    const value = typeof given === 'object' && given !== null ? unboxed(given) : given;
    switch (typeof value) {
      case 'string':
        if (value.length > 4096) growText(value.length * 2, 'JSON');
        return this.quoted(value);
      case 'number':
        return Number.isFinite(value) ? String(value) : 'null';
      case 'boolean':
        return String(value);
      case 'bigint':
        throw new TypeError('Do not know how to serialize a BigInt');
      case 'object':
        return value === null ? 'null' : this.nested(value, indent);
      default:
        return undefined;
    }
  }

  private nested(value: object, indent: string): string {
    if (this.path.includes(value)) throw new TypeError('Converting circular structure to JSON');
    this.path.push(value);
    const inner = indent + this.gap;
    const text = Array.isArray(value)
      ? this.list(value, inner, indent)
      : this.record(value as Record<string, unknown>, inner, indent);
    this.path.pop();
    return text;
  }

  private list(value: unknown[], inner: string, indent: string): string {
    const parts: string[] = [];
    for (let i = 0; i < value.length; i++) parts.push(this.property(value, String(i), value[i], inner) ?? 'null');
    return this.wrapped('[', parts, ']', inner, indent);
  }

  private record(value: Record<string, unknown>, inner: string, indent: string): string {
    const parts: string[] = [];
    for (const key of this.only ?? Object.keys(value)) {
      const text = this.property(value, key, value[key], inner);
      if (text !== undefined) parts.push(`${this.quoted(key)}:${this.gap === '' ? '' : ' '}${text}`);
    }
    return this.wrapped('{', parts, '}', inner, indent);
  }

  private wrapped(open: string, parts: readonly string[], close: string, inner: string, indent: string): string {
    if (parts.length === 0) return open + close;
    if (this.gap === '') return open + this.joined(parts, ',') + close;
    this.count(parts.length * (inner.length + 2));
    return `${open}\n${inner}${this.joined(parts, `,\n${inner}`)}\n${indent}${close}`;
  }

  private joined(parts: readonly string[], between: string): string {
    let text = parts[0] ?? '';
    for (let i = 1; i < parts.length; i++) text += between + (parts[i] ?? '');
    return text;
  }

  /** Short plain text needs no native call. */
  private quoted(text: string): string {
    if (text.length > 48) return this.quote(text);
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (c < 32 || c === 34 || c === 92 || c > 0xd7ff) return this.quote(text);
    }
    return `"${text}"`;
  }

  private count(length: number): void {
    this.length += length;
    if (this.length > MAX_STRING * 4) throw exceed(`JSON of more than ${MAX_STRING} characters`);
  }
}

function unboxed(value: object): unknown {
  const parent = Object.getPrototypeOf(value) as unknown;
  if (parent === Object.prototype || parent === Array.prototype) return value;
  if (value instanceof String) return textOf(value);
  if (value instanceof Number) return Number(value);
  if (value instanceof Boolean) return Boolean.prototype.valueOf.call(value);
  return value;
}
