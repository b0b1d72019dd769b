/** The pure link, with a clock of the test's own: L1 gaps, L2 late ticks, L3 back-off, L4 after close. */
import {
  ClientLink,
  Backoff,
  Judge,
  Lease,
  RECONNECT,
  reconnectTimes,
  silenceMs,
  tickEveryMs,
  type LinkEffect,
} from '../../../protocol/index.js';
import { defaultConfig, parseConfig } from '../../../config/index.js';

const TIMES = { heartbeatIntervalMs: 1000, liveness: 3 };
const kinds = (effects: readonly LinkEffect[]): string[] => effects.map((effect) => effect.do);

class Bench {
  now = 50_000;
  readonly link: ClientLink;

  constructor(kind: 'worker' | 'client' = 'client') {
    this.link = new ClientLink(TIMES, RECONNECT[kind], () => 0, this.now);
  }

  up(): this {
    this.link.open(this.now);
    this.link.connected(this.now);
    this.link.welcomed(this.now);
    return this;
  }

  /** Ticks as a driver does, for `ms`; answers the effects with their times. */
  run(ms: number, meanwhile: () => void = () => undefined): [number, string][] {
    const seen: [number, string][] = [];
    const end = this.now + ms;
    while (this.now < end) {
      this.now += Math.min(end - this.now, this.link.dueIn(this.now));
      for (const effect of kinds(this.link.tick(this.now))) seen.push([this.now, effect]);
      meanwhile();
    }
    return seen;
  }
}

describe('greeting', () => {
  test('connect-greet-up', () => {
    const { link, now } = new Bench();
    expect(kinds(link.open(now))).toEqual(['connect']);
    expect(kinds(link.open(now))).toEqual([]);
    expect(kinds(link.welcomed(now))).toEqual([]);
    expect(kinds(link.connected(now))).toEqual(['greet']);
    expect(kinds(link.connected(now))).toEqual([]);
    expect(kinds(link.welcomed(now))).toEqual(['up']);
    expect(link.state).toBe('up');
  });

  test('unanswered-connect-and-unanswered-greeting-are-given-up', () => {
    const bench = new Bench();
    bench.link.open(bench.now);
    expect(bench.run(3000).map(([, what]) => what)).toEqual(['disconnect']);
    expect(bench.run(100).map(([, what]) => what)).toEqual(['connect']);
    bench.link.connected(bench.now);
    expect(bench.run(3000).map(([, what]) => what)).toEqual(['disconnect']);
  });
});

describe('times', () => {
  test('L5 those of the welcome count, whatever this end was configured with', () => {
    const bench = new Bench();
    bench.link.open(bench.now);
    bench.link.connected(bench.now);
    const begun = bench.now;
    bench.link.welcomed(bench.now, { heartbeatIntervalMs: 200, liveness: 4 });
    const seen = bench.run(1000);
    expect(seen.filter(([, what]) => what === 'heartbeat').map(([at]) => at - begun)).toEqual([200, 400, 600, 800]);
    expect(seen.find(([, what]) => what === 'lost')?.[0]).toBe(begun + 850);
  });

  test('pauses are those of the configuration, by kind', () => {
    const { link } = defaultConfig;
    for (const kind of ['worker', 'client'] as const) expect(reconnectTimes(kind, link)).toEqual(RECONNECT[kind]);
    const other = parseConfig({
      link: {
        reconnect_first_ms: 1,
        reconnect_soon_max_ms: 2,
        reconnect_soon_for_ms: 3,
        reconnect_worker_max_ms: 4,
        reconnect_client_max_ms: 5,
      },
    });
    expect(reconnectTimes('worker', other.link)).toEqual({ firstMs: 1, soonMaxMs: 2, soonForMs: 3, maxMs: 4 });
    expect(reconnectTimes('client', other.link)).toEqual({ firstMs: 1, soonMaxMs: 2, soonForMs: 3, maxMs: 5 });
  });
});

describe('frame numbers', () => {
  test('gap-and-repeat-break-the-link', () => {
    for (const second of [3, 1, 0, 2.5, Number.NaN]) {
      const { link, now } = new Bench().up();
      expect(link.work(1, now)).toBe(true);
      expect(link.work(second, now)).toBe(false);
      expect(kinds(link.broken('gap', now))).toEqual(['disconnect', 'lost']);
      expect(link.work(2, now)).toBe(false);
    }
  });

  test('heartbeat-with-another-number-breaks-the-link', () => {
    const { link, now } = new Bench().up();
    link.work(1, now);
    expect(kinds(link.heartbeat(1, now))).toEqual([]);
    expect(kinds(link.heartbeat(2, now))).toEqual(['disconnect', 'lost']);
  });

  test('numbers-begin-at-one-on-each-greeting', () => {
    const bench = new Bench().up();
    expect([bench.link.nextFrame(), bench.link.nextFrame()]).toEqual([1, 2]);
    bench.link.work(1, bench.now);
    bench.link.broken('x', bench.now);
    bench.run(100);
    bench.link.connected(bench.now);
    bench.link.welcomed(bench.now);
    expect(bench.link.nextFrame()).toBe(1);
    expect(bench.link.work(1, bench.now)).toBe(true);
  });
});

describe('silence', () => {
  test('heartbeats-leave-each-interval', () => {
    const bench = new Bench().up();
    const beats = bench.run(5000, () => bench.link.heartbeat(0, bench.now)).filter(([, what]) => what === 'heartbeat');
    expect(beats).toHaveLength(5);
  });

  test('silent-peer-is-lost-after-liveness-intervals-and-not-before', () => {
    const bench = new Bench().up();
    const start = bench.now;
    const lost = bench.run(6000).find(([, what]) => what === 'lost');
    expect(lost?.[0]).toBeGreaterThan(start + silenceMs(TIMES));
    expect(lost?.[0]).toBeLessThanOrEqual(start + silenceMs(TIMES) + tickEveryMs(TIMES));
  });

  test('work-counts-as-a-sign-of-life', () => {
    const bench = new Bench().up();
    let no = 0;
    expect(bench.run(10_000, () => bench.link.work(++no, bench.now)).filter(([, what]) => what === 'lost')).toEqual([]);
  });

  test('late-tick-renews-the-lease', () => {
    const bench = new Bench().up();
    bench.run(2000);
    bench.now += 60_000;
    expect(kinds(bench.link.tick(bench.now))).not.toContain('lost');
    expect(bench.run(2900).map(([, what]) => what)).not.toContain('lost');
    expect(bench.run(500).map(([, what]) => what)).toContain('lost');
  });

  test('ticks-that-are-only-a-little-late-renew-nothing', () => {
    const judge = new Judge(TIMES, 0);
    const lease = new Lease(TIMES, 0);
    let now = 0;
    while (!lease.silent(now)) {
      now += 900;
      if (judge.tick(now)) lease.heard(now);
    }
    expect(now).toBe(3600);
  });

  test('late-tick-gives-an-attempt-its-time-again', () => {
    const bench = new Bench();
    bench.link.open(bench.now);
    bench.now += 60_000;
    expect(kinds(bench.link.tick(bench.now))).toEqual([]);
    expect(bench.run(3000).map(([, what]) => what)).toEqual(['disconnect']);
  });
});

describe('back-off', () => {
  test.each([
    ['worker', 5000],
    ['client', 32_000],
  ] as const)('%s', (kind, longest) => {
    const backoff = new Backoff(RECONNECT[kind], () => 0);
    const pauses: number[] = [];
    for (let now = 0; pauses.length < 40; now += pauses.at(-1) as number) pauses.push(backoff.next(now));
    expect(pauses.slice(0, 5)).toEqual([100, 200, 400, 500, 500]);
    const soon = pauses.filter((pause) => pause <= 500).reduce((sum, pause) => sum + pause, 0);
    expect(soon).toBeGreaterThanOrEqual(9500);
    expect(soon).toBeLessThanOrEqual(10_500);
    expect(pauses.at(-1)).toBe(longest);
    backoff.reset();
    expect(backoff.next(1e9)).toBe(100);
  });

  test('chance-shortens-a-pause-by-a-quarter-at-most', () => {
    expect(new Backoff(RECONNECT.worker, () => 0.999).next(0)).toBe(75);
  });

  test('a-refused-peer-comes-back-seldom', () => {
    const bench = new Bench('worker');
    bench.link.open(bench.now);
    bench.link.connected(bench.now);
    expect(kinds(bench.link.refused('no', bench.now))).toEqual(['disconnect']);
    expect(bench.run(4900)).toEqual([]);
    expect(bench.run(200).map(([, what]) => what)).toEqual(['connect']);
  });

  test('ten-attempts-against-nobody', () => {
    const bench = new Bench();
    bench.link.open(bench.now);
    let attempts = 0;
    while (attempts < 10) {
      expect(kinds(bench.link.broken('refused', bench.now))).toEqual(['disconnect']);
      expect(kinds(bench.link.broken('refused', bench.now))).toEqual([]);
      attempts += bench.run(600).filter(([, what]) => what === 'connect').length;
      expect(bench.link.state).toBe('connecting');
    }
  });
});

test('after-close-nothing-happens', () => {
  const bench = new Bench().up();
  expect(kinds(bench.link.close())).toEqual(['disconnect']);
  expect(bench.run(60_000)).toEqual([]);
  for (const event of [
    () => bench.link.broken('x', bench.now),
    () => bench.link.connected(bench.now),
    () => bench.link.welcomed(bench.now),
    () => bench.link.heartbeat(9, bench.now),
    () => bench.link.close(),
  ]) {
    expect(event()).toEqual([]);
  }
});
