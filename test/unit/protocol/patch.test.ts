/** Patches: whatever changes, before plus patch is after, and a patch for something else is refused. */
import { applyPatch, diff, encodeContent, type Content } from '../../../protocol/index.js';
import { runSeed, seeded, type Random } from './random.js';

const bytes = (random: Random, length: number): Uint8Array => Uint8Array.from({ length }, () => random.below(256));

function edited(before: Uint8Array, random: Random): Uint8Array {
  let list = [...before];
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(list.length);
    const length = random.pick([0, 1, 5, 200]);
    const change = random.below(4);
    if (change === 0) list.splice(at, 0, ...bytes(random, length));
    else if (change === 1) list.splice(at, length);
    else if (change === 2) list.splice(at, length, ...bytes(random, length));
    else list = [...list.slice(at), ...list.slice(0, at)];
  }
  return Uint8Array.from(list);
}

test('random-edits-are-undone-exactly', () => {
  const seed = runSeed();
  const random = seeded(seed);
  let patches = 0;
  for (let i = 0; i < 150; i++) {
    const before = bytes(random, random.pick([1024, 2000, 10_000]));
    const after = edited(before, random);
    const patch = diff(before, after);
    if (patch === undefined) continue;
    patches++;
    expect(patch.length).toBeLessThanOrEqual(after.length / 4);
    expect(Buffer.compare(diff(before, after) as Uint8Array, patch)).toBe(0);
    if (Buffer.compare(applyPatch(before, patch) as Uint8Array, after) !== 0)
      throw new Error(`seed ${seed}, round ${i}`);
  }
  expect(patches).toBeGreaterThan(50);
});

test('small-change-in-large-content-is-a-small-patch', () => {
  const options = { place: '', refOf: () => undefined, maxBytes: 1e7, maxDepth: 64 };
  const rows = Array.from({ length: 2000 }, (_, i) => ({ id: i, name: `row ${i}` }));
  const before = encodeContent(rows, options);
  rows.push({ id: 2000, name: 'new' });
  (rows[3] as { name: string }).name = 'another';
  const after = encodeContent(rows, options);
  const patch = diff(before, after) as Uint8Array;
  expect(patch.length).toBeLessThan(200);
  expect(Buffer.compare(applyPatch(before, patch) as Uint8Array, after as Uint8Array)).toBe(0);
});

test.each<[string, Content, Content]>([
  ['primitive', 1, new Uint8Array(2000)],
  ['small', new Uint8Array(1000), new Uint8Array(1001)],
  ['shrunk-to-little', new Uint8Array(5000), new Uint8Array(900)],
  ['all-new', new Uint8Array(5000), Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) % 251)],
])('not-worth-it-%s', (_, before, after) => {
  expect(diff(before, after)).toBeUndefined();
});

test('equal-contents', () => {
  const same = Uint8Array.from({ length: 3000 }, (_, i) => i % 256);
  const patch = diff(same, same.slice()) as Uint8Array;
  expect(applyPatch(same, patch)).toEqual(same);
});

test('repetitive-content-takes-no-quadratic-time', () => {
  const before = new Uint8Array(1 << 20);
  const after = new Uint8Array(1 << 20).fill(1, 5000, 5100);
  expect(Buffer.compare(applyPatch(before, diff(before, after) as Uint8Array) as Uint8Array, after)).toBe(0);
});

test('patch-for-another-content-is-damage', () => {
  const random = seeded(1);
  const before = bytes(random, 4000);
  const patch = diff(before, Uint8Array.from([...before, 1, 2, 3])) as Uint8Array;
  for (const other of [before.slice(1), bytes(random, 4000), 'text', null] as Content[]) {
    expect(() => applyPatch(other, patch)).toThrow(expect.objectContaining({ code: 'DAMAGED' }));
  }
  for (const bad of ['90', '93cd0fa00101', '95cd0fa0050005cdffff', '01'] as const) {
    expect(() => applyPatch(before, Buffer.from(bad, 'hex'))).toThrow(expect.objectContaining({ code: 'DAMAGED' }));
  }
});
