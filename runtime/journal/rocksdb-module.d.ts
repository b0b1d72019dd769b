/** The part of rocksdb 5 that the adapter uses. */
declare module 'rocksdb' {
  export type Callback<R = void> = (error: Error | null | undefined, result: R) => void;

  export interface OpenOptions {
    createIfMissing?: boolean;
    errorIfExists?: boolean;
    readOnly?: boolean;
    cacheSize?: number;
    writeBufferSize?: number;
    maxOpenFiles?: number;
  }

  export interface IteratorOptions {
    gt?: Buffer;
    gte?: Buffer;
    lt?: Buffer;
    lte?: Buffer;
    reverse?: boolean;
    limit?: number;
    highWaterMark?: number;
    fillCache?: boolean;
  }

  export interface RocksIterator {
    next(callback: (error: Error | null | undefined, key?: Buffer, value?: Buffer) => void): void;
    end(callback: Callback): void;
  }

  export type Operation = { type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer };

  export interface RocksDb {
    open(options: OpenOptions, callback: Callback): void;
    close(callback: Callback): void;
    getMany(
      keys: readonly Buffer[],
      options: { fillCache?: boolean },
      callback: Callback<(Buffer | undefined)[]>,
    ): void;
    batch(operations: readonly Operation[], options: { sync: boolean }, callback: Callback): void;
    iterator(options: IteratorOptions): RocksIterator;
    getProperty(property: string): string;
  }

  const rocksdb: (location: string) => RocksDb;
  export default rocksdb;
}
