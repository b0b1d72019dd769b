/**
 * Messages that end their host again and again: a death is charged to the message that ran, never to its company or to the host; after three
 * strikes it is given up, its sender is told, and it is listed. The only host of the image goes on.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, telos, temporary } from './support/processes.js';

const MiB = 2 ** 20;
const STRIKES = 3;
const COMPANY = 30;
/** Fewer than the deaths that messages cause here: charged to the host, they would end it for half a minute. */
const RESTARTS = 1;
/**
 * A method may run for long enough to be caught in the act, and may fill more memory than its process may hold: the heap's own limit, which
 * counts three quarters of the resident bound and the young generation, does not stop it first.
 */
const CONFIG = {
  turn: {
    run_time_ms: 1400,
    fuel: 100_000_000_000,
    resident_bytes: 180 * MiB,
    max_grow_bytes: 160 * MiB,
    max_loaded_bytes: 32 * MiB,
  },
  host: { max_cached_bytes: 32 * MiB },
  supervisor: { restarts: RESTARTS },
};

const GROW = `const all = [];
  for (let i = 1; i <= 5; i++) all.push(new Uint8Array(${30 * MiB}).fill(i));
  for (;;) all[0][0]++;`;
const METHODS = {
  spin: 'async (self) => { for (;;) {} }',
  grow: `async (self) => { ${GROW} }`,
  growUnserved: `async (self) => { try { await image.ref('memory').search('x') } catch (error) { if (error.code !== 'UNAVAILABLE') throw error } ${GROW} }`,
  growTold: `async (self) => { ${GROW} }`,
};

let running: Running;
let driver: Driver;
let watcher: Driver;

beforeAll(async () => {
  const home = temporary();
  const config = join(home, 'config.json');
  writeFileSync(config, JSON.stringify(CONFIG));
  running = await Running.up(join(home, 'image'), ['--hosts', '1'], { env: { TELOS_CONFIG: config } });
  driver = await Driver.connect({ image: running.image });
  watcher = await Driver.connect({ image: running.image });
  await driver.run(async (image: RemoteImage, methods: Record<string, string>) => {
    const villain = await image.actor('genesis').clone({ name: 'villain', done: 0 });
    for (const [name, source] of Object.entries(methods)) await villain.setMethod(name, source);
    const innocent = await image.actor('genesis').clone({ name: 'innocent', count: 0 });
    await innocent.setMethod('add', 'async (self) => { self.count = self.count + 1; return self.count }');
  }, METHODS);
});
afterAll(async () => {
  await driver.close();
  await watcher.close();
  await running.down();
  expect((await telos(['verify', '--image', running.image])).code).toBe(0);
  await cleanUp();
});

/** Sends these to the villain, with innocent messages all around them. Answers how each ended, and what the innocent were answered. */
const crowd = (selectors: string[]): Promise<[string[], (number | string)[]]> =>
  driver.run<[string[], (number | string)[]]>(
    async (image: RemoteImage, evil: string[], company: number) => {
      const patient = image.with({ deadlineMs: 120_000 });
      const codeOf = ({ code, message }: { code: string; message: string }): string =>
        code === 'DEAD_LETTER' ? code : `${code}: ${message}`;
      const add = (): Promise<number | string>[] =>
        Array.from({ length: company / 2 }, () => patient.send('innocent', 'add').catch(codeOf));
      const before = add();
      const ends = evil.map((selector) => patient.send('villain', selector).then(() => 'answered', codeOf));
      const answers = [...before, ...add()];
      return [await Promise.all(ends), await Promise.all(answers)];
    },
    selectors,
    COMPANY,
  );

/**
 * Stops (SIGSTOP) whichever host one message has been running on for a while, until `times` of them were stopped. In the client's process: no
 * `telos status` could be started as often.
 */
const stopHosts = (times: number): Promise<string[]> =>
  watcher.run<string[]>(async (image: RemoteImage, wanted: number) => {
    interface Seen {
      queues: { inFlight: number; quarantine: number };
      processes: { role: string; pid: number; state: string }[];
    }
    const stopped = new Map<number, string>();
    let [sight, since] = ['', 0];
    while (stopped.size < wanted) {
      const { queues, processes } = (await image.with({ deadlineMs: 60_000 }).status()) as Seen;
      const host = processes.find(({ role }) => role === 'quarantine') ?? processes.find(({ role }) => role === 'host');
      const now = JSON.stringify([queues.inFlight, queues.quarantine, host]);
      if (sight !== now || queues.inFlight === 0) [sight, since] = [now, performance.now()];
      else if (host?.state === 'running' && !stopped.has(host.pid) && performance.now() - since > 150) {
        process.kill(host.pid, 'SIGSTOP');
        stopped.set(host.pid, host.role);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return [...stopped.values()];
  }, times);

const counted = (counts: readonly (number | string)[]): (number | string)[] =>
  [...counts].sort((a, b) => Number(a) - Number(b));
const from = (first: number): number[] => Array.from({ length: COMPANY }, (_, i) => first + i);

interface Letter {
  readonly id: number;
  readonly target: string;
  readonly selector: string;
  readonly error: { readonly code: string; readonly message: string };
  readonly history: [number, string][];
}

async function letters(): Promise<Letter[]> {
  const { code, stdout, stderr } = await telos(['dead-letters', 'list', '--json', '--image', running.image]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Letter[];
}

test('host-stopped-each-time-a-message-runs: three strikes, its sender gets DEAD_LETTER, its company the right answers', async () => {
  const stopped = stopHosts(1 + STRIKES);
  const [[end], counts] = await crowd(['spin']);
  expect(end).toBe('DEAD_LETTER');
  expect(await stopped).toEqual(['host', ...Array.from({ length: STRIKES }, () => 'quarantine')]);
  expect(counted(counts)).toEqual(from(1));
});

test('methods-that-outgrow-their-process: also after a service that nobody serves, also told and not asked; each is given up, nobody else is', async () => {
  await driver.run((image: RemoteImage) => image.tell('villain', 'growTold'));
  const [ends, counts] = await crowd(['grow', 'growUnserved']);
  expect(ends).toEqual(['DEAD_LETTER', 'DEAD_LETTER']);
  expect(counted(counts)).toEqual(from(1 + COMPANY));
});

test('dead-letters: all of them are listed with their deaths; one that is mended and sent again takes effect', async () => {
  const villain = await driver.run<{ $ref: string }>((image: RemoteImage) =>
    image.turn("async () => image.get('villain')"),
  );
  const listed = await letters();
  expect(listed.map(({ selector }) => selector).sort()).toEqual(Object.keys(METHODS).sort());
  for (const { target, error, history, selector } of listed) {
    expect([selector, target, error.code]).toEqual([selector, villain.$ref, 'DEAD_LETTER']);
    expect(history.filter(([, event]) => event.includes('running')).length).toBe(STRIKES);
  }
  await driver.send('villain', 'setMethod', 'spin', 'async (self) => { self.done = self.done + 1 }');
  const { id } = listed.find(({ selector }) => selector === 'spin') as Letter;
  expect((await telos(['dead-letters', 'retry', String(id), '--image', running.image])).code).toBe(0);
  await driver.run(async (image: RemoteImage) => {
    while ((await image.send('villain', 'done')) !== 1) await new Promise((resolve) => setTimeout(resolve, 20));
  });
  expect((await letters()).map(({ selector }) => selector)).not.toContain('spin');
});

test('single-host-is-never-given-up: no death was charged to it, it runs and answers', async () => {
  const { processes } = await running.status();
  const host = processes.find(({ role }) => role === 'host');
  expect(host).toMatchObject({ name: 'host-1', state: 'running' });
  expect(host?.restarts).toBeGreaterThan(RESTARTS);
  expect(await driver.send('innocent', 'count')).toBe(2 * COMPANY);
});
