import { Proven } from '../../../protocol/zmq/proven.js';

const all = (): boolean => true;

test('a key is proved until the last of its connections is over (V1)', () => {
  const proven = new Proven(all);
  const [first, second] = [{}, {}];
  expect(proven.has('A')).toBe(false);
  proven.connected('A');
  proven.connected('A');
  proven.greeted(first, 'A');
  proven.over(first);
  proven.over(first);
  expect(proven.has('A')).toBe(true);
  proven.greeted(second, 'A');
  proven.over(second);
  expect([proven.has('A'), proven.size]).toEqual([false, 0]);
});

test('the end of an old connection does not take the key from the one that follows it', () => {
  const proven = new Proven(all);
  const old = {};
  proven.connected('A');
  proven.greeted(old, 'A');
  proven.connected('A');
  proven.over(old);
  expect(proven.has('A')).toBe(true);
});

test('a connection that greets anew is one', () => {
  const proven = new Proven(all);
  const one = {};
  proven.connected('A');
  for (let i = 0; i < 3; i++) proven.greeted(one, 'A');
  proven.over(one);
  expect(proven.has('A')).toBe(false);
});

test('what is admitted no more is proved no more, and forgotten (V2)', () => {
  const admitted = new Set(['A', 'B']);
  const proven = new Proven((key) => admitted.has(key));
  proven.connected('A');
  admitted.delete('A');
  expect(proven.has('A')).toBe(false);
  proven.connected('B');
  expect(proven.size).toBe(1);
});
