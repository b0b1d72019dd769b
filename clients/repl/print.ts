/** How the session shows what it answers. */
import { inspect, type InspectOptions } from 'node:util';

/** For people: laid out, bounded. */
export const forTerminal = (value: unknown, colors: boolean): string =>
  value instanceof Error ? `[${value.name}: ${value.message}]` : laidOut(value, colors);

const laidOut = (value: unknown, colors: boolean): string =>
  inspect(value, {
    colors,
    depth: 6,
    maxArrayLength: 200,
    maxStringLength: 20_000,
    breakLength: Math.min(process.stdout.columns ?? 80, 120),
  });

const ON_ONE_LINE: InspectOptions = {
  colors: false,
  depth: Infinity,
  breakLength: Infinity,
  compact: true,
  maxArrayLength: null,
  maxStringLength: null,
  sorted: false,
};

/** For programs: everything, on one line. */
export const forPipe = (value: unknown): string => inspect(value, ON_ONE_LINE).replace(/\s*\n\s*/g, ' ');

const MAX_LOOK = 10_000;

/** The references in a value, for finding out their names before it is shown. */
export function referencesIn(value: unknown, idOf: (x: unknown) => string | undefined): Set<string> {
  const found = new Set<string>();
  const seen = new Set<object>();
  const open: unknown[] = [value];
  for (let looked = 0; open.length > 0 && looked < MAX_LOOK; looked++) {
    const item = open.pop();
    const id = idOf(item);
    if (id !== undefined) found.add(id);
    else if (typeof item === 'object' && item !== null && !seen.has(item)) {
      seen.add(item);
      if (Array.isArray(item)) open.push(...(item as unknown[]).slice(0, MAX_LOOK));
      else if (Object.getPrototypeOf(item) === Object.prototype) open.push(...(Object.values(item) as unknown[]));
    }
  }
  return found;
}
