/** What waits for one peer: F1 order, F2 size of frames, F4 how much. */
import { readWork } from '../../../protocol/reader.js';
import { T, type Envelope, type TelosError } from '../../../protocol/index.js';
import { Lane } from '../../../protocol/zmq/frame.js';

const answer = (no: number, size: number): Envelope => [T.ANSWER, no, Buffer.alloc(size, 7), 0];

function laneOf(maxFrameBytes: number) {
  const unsent: [no: unknown, error: TelosError][] = [];
  const lane = new Lane(100, maxFrameBytes, (envelope, error) => unsent.push([envelope[1], error]));
  let no = 0;
  const frames = (): number[][] => {
    const sent: number[][] = [];
    for (let body = lane.nextFrame(() => ++no); body !== undefined; body = lane.nextFrame(() => ++no)) {
      expect(body.length).toBeLessThanOrEqual(maxFrameBytes);
      sent.push(readWork(body).envelopes.map((one) => (one as number[])[1] as number));
    }
    return sent;
  };
  return { lane, unsent, frames };
}

test('an-envelope-over-the-frame-limit-is-handed-back, alone, and the others leave in order (F1, F2)', async () => {
  const { lane, unsent, frames } = laneOf(2000);
  for (const [no, size] of [
    [1, 10],
    [2, 5000],
    [3, 10],
  ] as const)
    lane.push(answer(no, size));
  expect(frames()).toEqual([[1], [3]]);
  expect(unsent).toEqual([]);
  await Promise.resolve();
  expect(unsent.map(([no]) => no)).toEqual([2]);
  expect(unsent[0]?.[1]).toMatchObject({
    code: 'TOO_LARGE',
    message: expect.stringMatching(/type 16 takes 50\d\d bytes; link.max_frame_bytes is 2000/) as string,
    remedy: expect.stringContaining('link.max_frame_bytes') as string,
  });
});

test('nothing-but-oversized: no frame, all handed back, control lane too', async () => {
  const { lane, unsent, frames } = laneOf(1000);
  lane.push(answer(1, 1001));
  lane.pushControl(answer(2, 1001));
  expect(frames()).toEqual([]);
  expect(lane.length).toBe(0);
  await Promise.resolve();
  expect(unsent.map(([no]) => no)).toEqual([2, 1]);
});

test('a lane is full at its bytes too, whatever part of an envelope they are in; room comes back as frames leave (F4)', () => {
  const { lane, frames } = laneOf(2000);
  lane.maxBytes = 5000;
  const fits = (envelope: Envelope): boolean => lane.push(envelope);
  expect([1, 2, 3, 4].map((no) => fits(answer(no, 1000)))).toEqual([true, true, true, true]);
  expect(fits([T.ERROR, 5, ['BUSY', 'Error', 'x'.repeat(500), '', { list: ['y'.repeat(500)] }]])).toBe(true);
  expect([answer(6, 0), answer(7, 1000)].map(fits)).toEqual([false, false]);
  expect(frames().flat()).toEqual([1, 2, 3, 4, 5]);
  expect(fits([T.ANSWER, 8, 'z'.repeat(1500), 0])).toBe(true);
  for (let no = 9; no <= 40; no++) fits(answer(no, 100));
  expect(frames().flat().length).toBeLessThan(40);
  expect(fits(answer(41, 1000))).toBe(true);
});

test('an empty lane takes whatever fits a frame, and one that was cleared is empty; without a bound nothing is weighed (F4)', () => {
  const { lane } = laneOf(100_000);
  for (let no = 1; no <= 5; no++) expect(lane.push(answer(no, 50_000))).toBe(true);
  lane.clear();
  lane.maxBytes = 1000;
  expect(lane.push(answer(1, 50_000))).toBe(true);
  expect(lane.push(answer(2, 1))).toBe(false);
  lane.clear();
  expect(lane.push(answer(3, 50_000))).toBe(true);
});
