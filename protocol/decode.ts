/**
 * Wire forms to values: fresh, mutable, plain data at each call. What a peer sent is checked while it is read.
 *
 *   D1  nothing in the result is a view on the input; byte strings are plain Uint8Array, never Buffers.
 *   D2  what could not have been stored is refused here too: a float that is not finite, an unknown map with a `$` key.
 */
import { Reader, setOwn } from './reader.js';
import { TelosError } from './errors.js';
import type { Bytes, Content } from './envelope.js';

export interface DecodeOptions {
  /** What stands for a reference in the result; `id` is an oid, or in requests a name. */
  makeRef(id: string): unknown;
  /** Nesting allowed; 256 when absent. */
  readonly maxDepth?: number;
}

const MAX_DEPTH = 256;
const DOLLAR = 0x24;

class ValueReader extends Reader {
  busy = false;
  private options!: DecodeOptions;

  read(bytes: Uint8Array, options: DecodeOptions, above: number): unknown {
    this.busy = true;
    this.options = options;
    this.open(bytes, (options.maxDepth ?? MAX_DEPTH) + above);
    try {
      const value = this.any();
      if (this.pos !== this.end) throw this.malformed('bytes are left over');
      return value;
    } finally {
      this.release();
      this.busy = false;
    }
  }

  protected bin(start: number, end: number): Uint8Array {
    const copy = new Uint8Array(end - start);
    const { bytes } = this;
    if (copy.length <= 48) for (let i = 0; i < copy.length; i++) copy[i] = bytes[start + i] as number;
    else copy.set(bytes.subarray(start, end));
    return copy;
  }

  protected override float(value: number): number {
    if (value - value !== 0) throw new TelosError('BAD_VALUE', `${value} is no finite number`);
    return value + 0;
  }

  protected map(count: number): unknown {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = this.key();
      if (key.charCodeAt(0) !== DOLLAR) setOwn(map, key, this.any());
      else if (key.charCodeAt(1) === DOLLAR) setOwn(map, key.slice(1), this.any());
      else return this.reference(key, count);
    }
    return map;
  }

  private reference(key: string, count: number): unknown {
    const id = this.any();
    if (key !== '$ref' || count !== 1) {
      throw new TelosError('BAD_VALUE', `the key ${JSON.stringify(key)} has a meaning of its own here`, {
        remedy: 'put one more $ in front of an own key that begins with $',
      });
    }
    if (typeof id !== 'string' || id === '')
      throw new TelosError('BAD_VALUE', `$ref holds ${typeof id} where an oid or name is expected`);
    return this.options.makeRef(id);
  }
}

const readers = [new ValueReader()];

function acquire(): ValueReader {
  for (const reader of readers) if (!reader.busy) return reader;
  const more = new ValueReader();
  if (readers.length < 8) readers.push(more);
  return more;
}

/** The value of a data slot or an answer. @throws TelosError MALFORMED, BAD_VALUE */
export function decodeContent(content: Content, options: DecodeOptions): unknown {
  return content instanceof Uint8Array ? acquire().read(content, options, 0) : content;
}

/** The arguments of a message. @throws TelosError MALFORMED, BAD_VALUE */
export function decodeArgs(args: Bytes, options: DecodeOptions): unknown[] {
  if (args.length === 1 && args[0] === 0x90) return [];
  const values = acquire().read(args, options, 1);
  if (!Array.isArray(values))
    throw new TelosError('MALFORMED', `arguments are ${typeof values} where a list is expected`);
  return values as unknown[];
}
