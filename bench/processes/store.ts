/** A bare RocksDB with promises, for baselines; the product's own adapter is not used here on purpose. */
import { createRequire } from 'node:module';
import { promisify } from 'node:util';

export interface Store {
  /** Synced. */
  put(key: Buffer, value: Buffer): Promise<void>;
  getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]>;
  /** The first `limit` keys from `gte` on. */
  keys(gte: Buffer, lt: Buffer, limit: number): Promise<Buffer[]>;
  close(): Promise<void>;
}

interface Iterator_ {
  next(callback: (error: Error | null, key?: Buffer) => void): void;
  end(callback: (error?: Error | null) => void): void;
}

interface Bare {
  open(options: object, callback: (error?: Error | null) => void): void;
  put(key: Buffer, value: Buffer, options: object, callback: (error?: Error | null) => void): void;
  getMany(
    keys: Buffer[],
    options: object,
    callback: (error: Error | null, values?: (Buffer | undefined)[]) => void,
  ): void;
  iterator(options: object): Iterator_;
  close(callback: (error?: Error | null) => void): void;
}

const make = createRequire(import.meta.url)('rocksdb') as (dir: string) => Bare;

export interface StoreOptions {
  readonly cacheSize: number;
  readonly writeBufferSize: number;
  readonly maxOpenFiles: number;
}

/** @param options the add-on's own defaults when absent */
export async function openStore(dir: string, readOnly: boolean, options?: StoreOptions): Promise<Store> {
  const bare = make(dir);
  await promisify((all: object, done: (error?: Error | null) => void) => bare.open(all, done))({
    createIfMissing: !readOnly,
    readOnly,
    infoLogLevel: 'error',
    ...options,
  });
  return {
    put: (key, value) =>
      new Promise((resolve, reject) =>
        bare.put(key, value, { sync: true }, (error) => (error ? reject(error) : resolve())),
      ),
    getMany: (keys) =>
      new Promise((resolve, reject) =>
        bare.getMany(keys, { asBuffer: true }, (error, values) => (error ? reject(error) : resolve(values ?? []))),
      ),
    keys: (gte, lt, limit) => collect(bare.iterator({ gte, lt, limit, values: false, keyAsBuffer: true })),
    close: () => new Promise((resolve, reject) => bare.close((error) => (error ? reject(error) : resolve()))),
  };
}

async function collect(iterator: Iterator_): Promise<Buffer[]> {
  const keys: Buffer[] = [];
  try {
    for (;;) {
      const key = await new Promise<Buffer | undefined>((resolve, reject) =>
        iterator.next((error, found) => (error ? reject(error) : resolve(found))),
      );
      if (key === undefined) return keys;
      keys.push(key);
    }
  } finally {
    await new Promise<void>((resolve) => iterator.end(() => resolve()));
  }
}
