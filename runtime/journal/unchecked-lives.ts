/**
 * Owns: `run/unchecked`, which counts the lives of a large journal that ended before its tables had been checked in the background.
 *
 * An iterator of RocksDB that meets a damaged block ends the process without an error. So after a few such lives the next one checks
 * everything before it serves, and says DAMAGED instead of falling again.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ImagePaths } from '../image/index.js';

const MOST_LIVES = 2;

export class UncheckedLives {
  readonly #path: string;
  readonly #before: number;

  constructor(paths: ImagePaths) {
    this.#path = join(paths.run, 'unchecked');
    this.#before = this.#read();
  }

  get tooMany(): boolean {
    return this.#before >= MOST_LIVES;
  }

  #read(): number {
    try {
      return Number(readFileSync(this.#path, 'latin1')) || 0;
    } catch {
      return 0;
    }
  }

  /** A life begins whose tables are not checked. On a full disk the count stays as it is. */
  begin(): void {
    try {
      writeFileSync(this.#path, String(this.#before + 1));
    } catch {
      // counting is a help, not a condition
    }
  }

  /** The tables were checked, or the life ended in order. */
  done(): void {
    rmSync(this.#path, { force: true });
  }
}
