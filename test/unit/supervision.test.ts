import { childOf, initialState, nextDue, step, statusOf } from '../../actors/supervisor/core.js';
import type { SupervisorEffect, SupervisorEvent, SupervisorState } from '../../actors/supervisor/core.js';
import { backoffMs, type ChildSpec, type Strategy } from '../../actors/supervisor/spec.js';
import { SilenceJudge } from '../../actors/supervisor/silence.js';

const spec = (id: string, over: Partial<ChildSpec> = {}): ChildSpec => ({
  id,
  role: 'host',
  kind: 'permanent',
  stage: 1,
  restarts: 3,
  windowMs: 60_000,
  backoffFirstMs: 100,
  backoffMaxMs: 30_000,
  startMs: 5_000,
  shutdownMs: 1_000,
  ...over,
});

/** The core with a clock that only moves when told, and a record of what it asked for. */
class Bench {
  now = 1_000_000;
  state: SupervisorState;
  effects: SupervisorEffect[] = [];

  constructor(children: ChildSpec[], strategy: Strategy = 'one-for-one') {
    this.state = initialState({ strategy, children });
  }

  send(event: SupervisorEvent): this {
    const [state, effects] = step(this.state, event, this.now);
    this.state = state;
    this.effects.push(...effects);
    return this;
  }

  /** Moves the clock and ticks wherever the core wants a tick. */
  pass(ms: number): this {
    const end = this.now + ms;
    for (let due = nextDue(this.state, this.now); due <= end; due = nextDue(this.state, this.now)) {
      this.now = Math.max(this.now, due);
      this.send({ type: 'tick' });
    }
    this.now = end;
    return this;
  }

  life(id: string): number {
    return childOf(this.state, id)?.life ?? 0;
  }

  ready(...ids: string[]): this {
    for (const id of ids) this.send({ type: 'ready', id, life: this.life(id) });
    return this;
  }

  exit(id: string, code: number | null = 1, signal: string | null = null): this {
    return this.send({ type: 'exited', id, life: this.life(id), exit: { code, signal } });
  }

  /** What was asked for since the last call, logs left out: `spawn a`, `ask b`, `kill c`. */
  asked(): string[] {
    const taken = this.effects.splice(0);
    return taken.flatMap((e) => (e.do === 'log' ? [] : e.do === 'ended' ? ['ended'] : [`${e.do} ${e.id}`]));
  }

  logs(event: string): Record<string, unknown>[] {
    return this.effects.flatMap((e) => (e.do === 'log' && e.event === event ? [e.data] : []));
  }

  status(id: string): string {
    const child = childOf(this.state, id);
    return child ? statusOf(child) : 'unknown';
  }
}

const begun = (children: ChildSpec[], strategy?: Strategy): Bench => {
  const bench = new Bench(children, strategy).send({ type: 'begin' });
  return bench.ready(...children.map((c) => c.id));
};

describe('restarts', () => {
  test('a-worker-that-exits-is-restarted-at-once', () => {
    const bench = begun([spec('a'), spec('b')]);
    expect(bench.asked()).toEqual(['spawn a', 'spawn b']);
    bench.exit('a');
    expect(bench.asked()).toEqual(['spawn a']);
    expect(bench.status('a')).toBe('starting');
    expect(bench.status('b')).toBe('running');
  });

  test('back-off-doubles-and-is-capped', () => {
    expect([1, 2, 3, 4, 5, 100].map((n) => backoffMs(spec('a'), n))).toEqual([0, 100, 200, 400, 800, 30_000]);
  });

  test('repeated-deaths-wait-longer-each-time', () => {
    const bench = begun([spec('a')]);
    bench.asked();
    bench.exit('a').exit('a');
    expect(bench.asked()).toEqual(['spawn a']);
    expect(bench.pass(99).asked()).toEqual([]);
    expect(bench.pass(1).asked()).toEqual(['spawn a']);
    bench.exit('a');
    expect(bench.pass(199).asked()).toEqual([]);
    expect(bench.pass(1).asked()).toEqual(['spawn a']);
  });

  test('spent-budget-degrades-the-child-and-leaves-its-siblings (S4)', () => {
    const bench = begun([spec('a'), spec('b')]);
    for (let i = 0; i < 4; i++) bench.exit('a').pass(1_000);
    expect(bench.status('a')).toBe('degraded');
    expect(bench.status('b')).toBe('running');
    bench.asked();
    expect(bench.pass(28_999).asked()).toEqual([]);
    expect(bench.pass(1).asked()).toEqual(['spawn a']);
    expect(bench.status('a')).toBe('degraded');
    bench.ready('a');
    expect(bench.status('a')).toBe('running');
  });

  test('a-degraded-child-that-fails-again-waits-again', () => {
    const bench = begun([spec('a')]);
    for (let i = 0; i < 4; i++) bench.exit('a').pass(1_000);
    bench.pass(29_000).asked();
    bench.exit('a');
    expect(bench.status('a')).toBe('degraded');
    expect(bench.pass(29_999).asked()).toEqual([]);
    expect(bench.pass(1).asked()).toEqual(['spawn a']);
  });

  test('old-deaths-leave-the-window', () => {
    const bench = begun([spec('a')]);
    for (let i = 0; i < 20; i++) bench.exit('a').pass(500).ready('a').pass(20_001);
    expect(bench.status('a')).toBe('running');
    expect(childOf(bench.state, 'a')?.restarts).toBe(20);
  });

  test('every-restart-is-logged-with-cause-and-count (S6)', () => {
    const bench = begun([spec('a')]);
    bench.exit('a', null, 'SIGSEGV');
    bench.ready('a').exit('a', 3);
    const logged = bench.logs('child-restart');
    expect(logged.map((l) => [l['cause'], l['restarts']])).toEqual([
      ['ended by SIGSEGV', 1],
      ['exit code 3', 2],
    ]);
  });
});

describe('whose fault it is (S3)', () => {
  test('a-death-that-a-message-caused-is-not-charged', () => {
    const bench = begun([spec('a')]);
    for (let i = 0; i < 30; i++) {
      bench.send({ type: 'condemn', id: 'a', life: bench.life('a'), cause: 'silent', blame: 'message' });
      bench.exit('a', null, 'SIGKILL');
      expect(bench.asked().at(-1)).toBe('spawn a');
      bench.ready('a');
    }
    expect(childOf(bench.state, 'a')?.deaths).toEqual([]);
  });

  test('a-serving-child-killed-from-outside-is-not-charged', () => {
    const bench = begun([spec('a')]);
    for (let i = 0; i < 30; i++) bench.exit('a', null, 'SIGKILL').ready('a');
    expect(bench.status('a')).toBe('running');
    expect(childOf(bench.state, 'a')?.restarts).toBe(30);
  });

  test('killed-from-outside-again-and-again-before-it-serves-it-is-degraded (S4)', () => {
    const bench = begun([spec('a')]);
    bench.exit('a', null, 'SIGKILL');
    for (let i = 0; i < 3; i++) bench.exit('a', null, 'SIGKILL').pass(500);
    expect(bench.status('a')).toBe('starting');
    bench.exit('a', null, 'SIGKILL');
    expect(bench.status('a')).toBe('degraded');
    expect(childOf(bench.state, 'a')?.deaths).toEqual([]);
  });

  test('killed-from-outside-before-it-served-once-in-a-while-it-is-restarted-at-once', () => {
    const bench = begun([spec('a')]);
    for (let i = 0; i < 30; i++) {
      bench.exit('a', null, 'SIGKILL').asked();
      bench.exit('a', null, 'SIGKILL').pass(100);
      expect(bench.asked()).toEqual(['spawn a']);
      bench.ready('a');
    }
  });

  test('silence-is-charged', () => {
    const bench = begun([spec('a')]);
    bench.send({ type: 'condemn', id: 'a', life: bench.life('a'), cause: 'silent for 3000 ms', blame: 'child' });
    expect(bench.asked().at(-1)).toBe('kill a');
    bench.exit('a', null, 'SIGKILL');
    expect(childOf(bench.state, 'a')?.deaths.length).toBe(1);
    expect(childOf(bench.state, 'a')?.cause).toBe('silent for 3000 ms');
  });
});

describe('kinds', () => {
  test('transient-is-not-restarted-after-a-good-end', () => {
    const bench = begun([spec('a', { kind: 'transient' })]);
    bench.asked();
    bench.exit('a', 0);
    expect(bench.asked()).toEqual([]);
    expect(bench.status('a')).toBe('stopped');
  });

  test('transient-is-restarted-after-a-bad-end', () => {
    const bench = begun([spec('a', { kind: 'transient' })]);
    bench.asked();
    expect(bench.exit('a', 75).asked()).toEqual(['spawn a']);
  });

  test('temporary-is-never-restarted', () => {
    const bench = begun([spec('a', { kind: 'temporary' })]);
    bench.asked();
    expect(bench.exit('a', 1).pass(100_000).asked()).toEqual([]);
    bench.send({ type: 'add', spec: spec('a', { kind: 'temporary' }) });
    expect(bench.asked()).toEqual(['spawn a']);
  });
});

describe('lives', () => {
  test('no-second-life-before-the-first-has-ended (S1)', () => {
    const bench = begun([spec('a')]);
    bench.asked();
    bench.send({ type: 'condemn', id: 'a', life: bench.life('a'), cause: 'x', blame: 'child' });
    bench.send({ type: 'condemn', id: 'a', life: bench.life('a'), cause: 'y', blame: 'child' });
    expect(bench.pass(60_000).asked()).toEqual(['kill a']);
    expect(bench.exit('a', null, 'SIGKILL').asked()).toEqual(['spawn a']);
  });

  test('events-of-an-earlier-life-change-nothing (S2)', () => {
    const bench = begun([spec('a')]);
    const old = bench.life('a');
    bench.exit('a');
    const before = bench.state;
    bench.asked();
    bench.send({ type: 'exited', id: 'a', life: old, exit: { code: 1, signal: null } });
    bench.send({ type: 'ready', id: 'a', life: old });
    bench.send({ type: 'condemn', id: 'a', life: old, cause: 'x', blame: 'child' });
    expect(bench.asked()).toEqual([]);
    expect(bench.state).toEqual(before);
  });

  test('a-child-that-never-gets-ready-is-killed', () => {
    const bench = new Bench([spec('a')]).send({ type: 'begin' });
    bench.asked();
    expect(bench.pass(4_999).asked()).toEqual([]);
    expect(bench.pass(1).asked()).toEqual(['kill a']);
    expect(bench.exit('a', null, 'SIGKILL').asked()).toEqual(['spawn a']);
  });

  test('a-child-that-waits-for-us-is-given-time', () => {
    const bench = new Bench([spec('a')]).send({ type: 'begin' });
    bench.pass(4_000).send({ type: 'renew' }).asked();
    expect(bench.pass(4_999).asked()).toEqual([]);
    expect(bench.pass(1).asked()).toEqual(['kill a']);
  });

  test('added-while-its-former-self-stops-it-lives-again', () => {
    const bench = begun([spec('q')]);
    bench.asked();
    bench.send({ type: 'drop', id: 'q' });
    bench.send({ type: 'add', spec: spec('q') });
    expect(bench.asked()).toEqual(['ask q']);
    expect(bench.exit('q', 0).asked()).toEqual(['spawn q']);
    expect(childOf(bench.state, 'q')?.restarts).toBe(0);
  });
});

describe('strategies', () => {
  const three = (): ChildSpec[] => [spec('a', { stage: 1 }), spec('b', { stage: 2 }), spec('c', { stage: 3 })];
  const allUp = (strategy: Strategy): Bench => {
    const bench = new Bench(three(), strategy).send({ type: 'begin' });
    for (const id of ['a', 'b', 'c']) bench.ready(id);
    return bench;
  };

  test('dependent-stages-start-one-after-the-other', () => {
    const bench = new Bench(three(), 'rest-for-one').send({ type: 'begin' });
    expect(bench.asked()).toEqual(['spawn a']);
    expect(bench.ready('a').asked()).toEqual(['spawn b']);
    expect(bench.ready('b').asked()).toEqual(['spawn c']);
  });

  test('rest-for-one-recycles-what-stands-after', () => {
    const bench = allUp('rest-for-one');
    bench.asked();
    bench.exit('b');
    expect(bench.asked()).toEqual(['ask c']);
    expect(bench.exit('c', 0).asked()).toEqual(['spawn b']);
    expect(bench.ready('b').asked()).toEqual(['spawn c']);
    expect(childOf(bench.state, 'c')?.restarts).toBe(0);
    expect(bench.life('a')).toBe(1);
  });

  test('one-for-all-recycles-everybody-from-the-last-stage-on', () => {
    const bench = allUp('one-for-all');
    bench.asked();
    bench.exit('b');
    expect(bench.asked()).toEqual(['ask c']);
    expect(bench.exit('c', 0).asked()).toEqual(['ask a']);
    expect(bench.exit('a', 0).asked()).toEqual(['spawn a']);
    expect(bench.ready('a').asked()).toEqual(['spawn b']);
  });

  test('a-life-that-was-never-ready-takes-nobody-with-it', () => {
    const bench = new Bench(three(), 'one-for-all').send({ type: 'begin' });
    bench.ready('a').asked();
    expect(bench.exit('b').asked()).toEqual(['spawn b']);
  });

  test('a-degraded-child-holds-no-later-stage-up (S4)', () => {
    const bench = new Bench(three(), 'rest-for-one').send({ type: 'begin' });
    for (let i = 0; i < 4; i++) bench.exit('a').pass(1_000);
    expect(bench.status('a')).toBe('degraded');
    expect(bench.asked()).toContain('spawn b');
  });

  test('a-sibling-that-ignores-the-request-is-killed', () => {
    const bench = allUp('rest-for-one');
    bench.asked();
    bench.exit('b');
    expect(bench.pass(1_000).asked()).toEqual(['ask c', 'kill c']);
    expect(bench.exit('c', null, 'SIGKILL').asked()).toEqual(['spawn b']);
  });
});

describe('stop (S5)', () => {
  test('stages-end-from-last-to-first', () => {
    const bench = begun([spec('s', { stage: 1 }), spec('h1', { stage: 2 }), spec('h2', { stage: 2 })]);
    bench.asked();
    bench.send({ type: 'stop' });
    expect(bench.asked()).toEqual(['ask h1', 'ask h2']);
    expect(bench.exit('h1', 0).asked()).toEqual([]);
    expect(bench.exit('h2', 0).asked()).toEqual(['ask s']);
    expect(bench.exit('s', 0).asked()).toEqual(['ended']);
  });

  test('past-its-deadline-a-child-is-killed', () => {
    const bench = begun([spec('a')]);
    bench.asked();
    bench.send({ type: 'stop' });
    expect(bench.pass(1_000).asked()).toEqual(['ask a', 'kill a']);
    expect(bench.exit('a', null, 'SIGKILL').asked()).toEqual(['ended']);
  });

  test('nothing-is-spawned-after', () => {
    const bench = begun([spec('a'), spec('b')]);
    bench.exit('a').exit('a');
    bench.asked();
    bench.send({ type: 'stop' }).send({ type: 'add', spec: spec('z') });
    expect(bench.pass(100_000).asked()).toEqual(['ask b', 'kill b']);
  });

  test('without-children-it-ends-at-once', () => {
    expect(new Bench([]).send({ type: 'begin' }).send({ type: 'stop' }).asked()).toEqual(['ended']);
  });

  test('no-patience-kills-at-once', () => {
    const bench = begun([spec('s', { stage: 1 }), spec('h', { stage: 2 })]);
    bench.asked();
    bench.send({ type: 'stop' }).send({ type: 'killAll' });
    expect(bench.asked()).toEqual(['ask h', 'kill s', 'kill h']);
  });
});

describe('random schedules', () => {
  /** mulberry32 */
  const generator = (seed: number) => (): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const STRATEGIES: Strategy[] = ['one-for-one', 'one-for-all', 'rest-for-one'];

  function run(seed: number): void {
    const random = generator(seed);
    const pick = <X>(list: readonly X[]): X => list[Math.floor(random() * list.length)] as X;
    const ids = ['a', 'b', 'c', 'd'];
    const bench = new Bench(
      ids.map((id) => spec(id, { stage: 1 + Math.floor(random() * 3) })),
      pick(STRATEGIES),
    );
    const alive = new Map<string, number>();
    let stopped = false;
    const follow = (): void => {
      for (const e of bench.effects.splice(0)) {
        if (e.do !== 'spawn') continue;
        expect(stopped).toBe(false);
        expect(alive.has(e.id)).toBe(false);
        alive.set(e.id, e.life);
      }
    };
    const die = (id: string): void => {
      const life = alive.get(id);
      if (life === undefined) return;
      alive.delete(id);
      bench.send({ type: 'exited', id, life, exit: { code: pick([0, 1]), signal: pick([null, 'SIGKILL']) } });
    };
    bench.send({ type: 'begin' });
    follow();
    for (let i = 0; i < 200; i++) {
      const id = pick(ids);
      const life = bench.life(id);
      const roll = random();
      if (roll < 0.4) bench.send({ type: 'ready', id, life });
      else if (roll < 0.6) die(id);
      else if (roll < 0.7)
        bench.send({ type: 'condemn', id, life, cause: 'random', blame: pick(['child', 'message', 'outside']) });
      else if (roll < 0.95) bench.pass(Math.floor(random() * 2_000));
      else bench.pass(40_000);
      follow();
    }
    for (let i = 0; i < 100; i++) {
      bench.pass(1_000);
      follow();
      for (const id of ids) bench.ready(id);
      for (const child of bench.state.children)
        if (child.phase === 'killed' || child.phase === 'stopping') die(child.spec.id);
      follow();
    }
    for (const id of ids) expect(`${seed}: ${bench.status(id)}`).toBe(`${seed}: running`);
    bench.send({ type: 'stop' });
    stopped = true;
    for (let i = 0; i < 10; i++) {
      bench.pass(5_000);
      follow();
      for (const id of ids) die(id);
    }
    expect(bench.state.phase).toBe('ended');
  }

  test('seeds-1-to-300-heal-and-stop', () => {
    for (let seed = 1; seed <= 300; seed++) run(seed);
  });
});

describe('silence', () => {
  const judge = (): SilenceJudge => new SilenceJudge({ intervalMs: 1_000, liveness: 3, firstMs: 15_000 }, 0);

  test('a-peer-that-beats-is-never-silent', () => {
    const j = judge();
    for (let now = 0; now < 60_000; now += 500) {
      if (now % 1_000 === 0) j.heard(now);
      expect(j.tick(now)).toBe(0);
    }
  });

  test('silence-is-found-after-the-lease', () => {
    const j = judge();
    j.heard(0);
    for (let now = 0; now <= 3_000; now += 500) expect(j.tick(now)).toBe(0);
    expect(j.tick(3_500)).toBe(3_500);
  });

  test('before-its-first-beat-a-peer-has-longer (H2)', () => {
    const j = judge();
    for (let now = 0; now <= 15_000; now += 500) expect(j.tick(now)).toBe(0);
    expect(j.tick(15_500)).toBeGreaterThan(0);
  });

  test('a-judge-that-slept-renews-the-lease (H1)', () => {
    const j = judge();
    j.heard(0);
    j.tick(500);
    expect(j.tick(3_600_000)).toBe(0);
    for (let now = 3_600_500; now <= 3_603_000; now += 500) expect(j.tick(now)).toBe(0);
    expect(j.tick(3_603_500)).toBeGreaterThan(0);
  });
});
