/** Random values from a seed, for property tests. */
export interface Random {
  below(limit: number): number;
  pick<T>(items: readonly T[]): T;
}

export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return { below, pick: (items) => items[below(items.length)] as never };
}

/** The seed of this run: TELOS_SEED, else the clock; print it where a test fails. */
export const runSeed = (): number => Number(process.env['TELOS_SEED'] ?? Date.now() % 1_000_000);

const EDGES = [
  0,
  1,
  -1,
  31,
  32,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
];
const KEYS = [
  'a',
  'b',
  'when',
  '$ref',
  '$$',
  '$',
  '__proto__',
  'constructor',
  'toString',
  'ключ',
  '',
  'a key with spaces',
  'k'.repeat(40),
];

function text(random: Random): string {
  const alphabet = random.pick(['abcdefghij', 'äöüß', '漢字かな', 'a😀b', '\u0000\u001f\u007f\u0080']);
  const letters = Array.from(alphabet);
  return Array.from({ length: random.pick([0, 1, 5, 23, 24, 25, 31, 32, 33, 84, 255, 256, 300]) }, () =>
    random.pick(letters),
  ).join('');
}

const number = (random: Random): number => {
  const edge = random.pick(EDGES);
  return random.pick([edge, -edge, edge + 0.5, random.below(1e9) / 7, -1e300, 5e-324]) + 0;
};

const bigint = (random: Random): bigint =>
  random.pick([0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n, BigInt(random.below(1e9))]);
const bytes = (random: Random): Uint8Array =>
  Uint8Array.from({ length: random.pick([0, 1, 48, 49, 64, 65, 300]) }, () => random.below(256));

export function randomValue(random: Random, depth = 4): unknown {
  const kind = random.below(depth > 0 ? 8 : 6);
  if (kind === 0) return random.pick([null, true, false]);
  if (kind === 1) return number(random);
  if (kind === 2) return text(random);
  if (kind === 3) return bigint(random);
  if (kind === 4) return bytes(random);
  if (kind === 5) return random.below(200) - 100;
  const count = random.pick([0, 1, 2, 3, 5, 15, 16, 17]);
  if (kind === 6)
    return Array.from({ length: Math.min(count, depth === 4 ? 17 : 4) }, () => randomValue(random, depth - 1));
  const map: Record<string, unknown> = {};
  for (let i = 0; i < Math.min(count, 5); i++) {
    Object.defineProperty(map, random.pick(KEYS), {
      value: randomValue(random, depth - 1),
      enumerable: true,
      writable: true,
      configurable: true,
    });
  }
  return map;
}
