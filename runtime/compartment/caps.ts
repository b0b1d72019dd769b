/** Built-ins that grow data, with a bound. Installed after SES has repaired the intrinsics and before they are frozen. */
import { MAX_STRING } from './helpers.js';
import { running } from './meter.js';

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Replaces the methods in place. Answers the constructors that methods see instead of the originals. */
export function installCaps(): Record<string, unknown> {
  const text = String.prototype as unknown as Record<string, Method>;
  before(text, 'repeat', (self, [count]) => checkText(String(self).length * Number(count), 'a repeated string'));
  before(text, 'padStart', (_self, [length]) => checkText(Number(length), 'a padded string'));
  before(text, 'padEnd', (_self, [length]) => checkText(Number(length), 'a padded string'));
  return {};
}

function before(target: Record<string, Method>, name: string, check: (self: unknown, args: unknown[]) => void): void {
  const original = target[name];
  if (!original) return;
  const holder = {
    [name](this: unknown, ...args: unknown[]): unknown {
      check(this, args);
      return Reflect.apply(original, this, args);
    },
  };
  Object.defineProperty(target, name, { value: holder[name], writable: true, configurable: true, enumerable: false });
}

function checkText(length: number, what: string): void {
  if (!(length > 4096)) return;
  const m = running.meter;
  if (length > MAX_STRING) throw m ? m.exceed(`${what} of ${length} characters; at most ${MAX_STRING}`, 'turn.max_grow_bytes') : new RangeError('Invalid string length');
  if (m) m.grow(length, what);
}
