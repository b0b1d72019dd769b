/** The link between processes, seen from outside: handshake, refusals, order, gaps, silence, floods, full lanes. */
import { cleanUp, ended, signal, until } from './support/processes.js';
import { LinkPeer } from './support/link-peer.js';

interface Keys {
  publicKey: string;
  secretKey: string;
}

interface World {
  server: LinkPeer;
  endpoint: string;
  serverKeys: Keys;
  admitted: Keys;
  /** Admitted too. */
  other: Keys;
}

afterAll(cleanUp);

async function world(options: object = {}): Promise<World> {
  const server = await LinkPeer.start('server');
  const serverKeys = await server.do<Keys>('keys');
  const admitted = await server.do<Keys>('keys');
  const other = await server.do<Keys>('keys');
  const { endpoint } = await server.do<{ endpoint: string }>('bind', {
    keys: serverKeys,
    admit: [admitted.publicKey, other.publicKey],
    ...options,
  });
  return { server, endpoint, serverKeys, admitted, other };
}

async function connect(w: World, options: object = {}): Promise<LinkPeer> {
  const client = await LinkPeer.start('client');
  await client.do('open', { endpoint: w.endpoint, serverKey: w.serverKeys.publicKey, keys: w.admitted, ...options });
  return client;
}

async function rawPeer(w: World, keys = w.admitted): Promise<LinkPeer> {
  const raw = await LinkPeer.start('dealer');
  await raw.do('connect', { endpoint: w.endpoint, serverKey: w.serverKeys.publicKey, keys });
  return raw;
}

const hex = async (peer: LinkPeer, value: unknown): Promise<string> => peer.do<string>('encode', { value });
const helloOf = (key: string, version = 1): unknown[] => ['TelOS', version, 'client', 0, key, 'token', 0, 'raw', []];

async function rawUp(w: World): Promise<LinkPeer> {
  const raw = await rawPeer(w);
  await raw.do('send', { parts: ['01', await hex(raw, helloOf(w.admitted.publicKey))] });
  await raw.event('message', ({ parts }) => (parts as string[])[0] === '01');
  return raw;
}

const codeOf = (message: string): string => Buffer.from(message, 'hex').toString('latin1');
const refusedWith = (raw: LinkPeer, code: string) =>
  raw.event(
    'message',
    ({ parts }) => (parts as string[])[0] === '04' && codeOf((parts as string[])[1] as string).includes(code),
  );

async function echoes(client: LinkPeer, from: number, count: number): Promise<void> {
  const before = client.numbers().length;
  await client.do('send', { from, count });
  await until(`${count} echoes`, () => client.numbers().length >= before + count, 10_000);
  expect(client.numbers().slice(before)).toEqual(Array.from({ length: count }, (_, i) => from + i));
}

describe('greeting', () => {
  test('curve-handshake-then-thousand-envelopes-in-order-in-few-frames', async () => {
    const w = await world({ laneLimit: 5000 });
    const client = await connect(w, { laneLimit: 5000 });
    expect((await client.event('welcomed'))['session']).toBe(7);
    expect(await w.server.event('hello')).toMatchObject({ session: 5, agent: 'test', key: w.admitted.publicKey });
    await echoes(client, 1, 1000);
    expect(w.server.count('work')).toBeLessThan(20);
  });

  test('unknown-key-is-refused-and-others-are-served', async () => {
    const w = await world();
    const stranger = await connect(w, { keys: await w.server.do<Keys>('keys') });
    expect((await stranger.event('refused'))['code']).toBe('UNAUTHORIZED');
    const client = await connect(w);
    await client.event('welcomed');
    await echoes(client, 1, 10);
    expect(w.server.count('hello')).toBe(1);
  });

  test('claiming-a-key-that-never-connected-is-refused', async () => {
    const w = await world();
    const liar = await connect(w, { claim: (await w.server.do<Keys>('keys')).publicKey });
    expect((await liar.event('refused'))['code']).toBe('UNAUTHORIZED');
    expect(w.server.count('hello')).toBe(0);
  });

  test('who-only-named-the-key-of-another-does-not-count-it-off', async () => {
    const w = await world({ welcome: false });
    await connect(w);
    await w.server.event('hello');
    for (let peer = 2; peer <= 4; peer++) {
      const liar = await rawPeer(w, w.other);
      await liar.do('send', { parts: ['01', await hex(liar, helloOf(w.admitted.publicKey))] });
      await w.server.event('hello', (heard) => heard['peer'] === peer);
      await liar.do('send', { parts: ['05', await hex(liar, null)] });
      await w.server.event('goodbye', (heard) => heard['peer'] === peer);
    }
  });

  test('peer-without-curve-gets-nowhere', async () => {
    const w = await world();
    const plain = await connect(w, { plain: true });
    await plain.event('log', ({ name }) => name === 'link.attempt-failed');
    expect(w.server.count('hello')).toBe(0);
  });

  test('other-version-is-refused-as-such', async () => {
    const w = await world();
    const raw = await rawPeer(w);
    await raw.do('send', { parts: ['01', await hex(raw, ['TelOS', 99, { whatever: true }])] });
    await refusedWith(raw, 'VERSION_MISMATCH');
    expect(w.server.count('hello')).toBe(0);
  });

  test('refused-peer-is-told-and-deaf-after', async () => {
    const w = await world({ welcome: false });
    const raw = await rawPeer(w);
    await raw.do('send', { parts: ['01', await hex(raw, helloOf(w.admitted.publicKey))] });
    const { peer } = await w.server.event('hello');
    await w.server.do('refuse', { peer, code: 'FORBIDDEN' });
    await refusedWith(raw, 'FORBIDDEN');
    await raw.do('send', { parts: ['03', await hex(raw, [1, [2, 1]])] });
    const client = await connect(w);
    await w.server.event('hello', ({ agent }) => agent === 'test');
    expect(w.server.count('work')).toBe(0);
    await client.do('close');
  });

  test('port-in-use-is-an-error-with-its-code', async () => {
    const w = await world();
    const second = await LinkPeer.start('server');
    await expect(second.do('bind', { keys: w.serverKeys, endpoint: w.endpoint })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
    });
    await expect(second.do('bind', { keys: w.serverKeys, endpoint: 'nonsense' })).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
  });
});

describe('a peer that breaks the rules', () => {
  test('lost-frame-to-the-server-breaks-the-link', async () => {
    const w = await world();
    const raw = await rawUp(w);
    await raw.do('send', { parts: ['03', await hex(raw, [1, [2, 1]])] });
    await raw.do('send', { parts: ['03', await hex(raw, [3, [2, 3]])] });
    expect((await w.server.event('lost'))['why']).toMatch(/LINK_LOST: frame 3 came after frame 1/);
    await refusedWith(raw, 'LINK_LOST');
    expect(w.server.numbers()).toEqual([1]);
  });

  test('heartbeat-shows-that-the-last-frame-was-lost', async () => {
    const w = await world();
    const raw = await rawUp(w);
    await raw.do('send', { parts: ['02', await hex(raw, [1])] });
    expect((await w.server.event('lost'))['why']).toMatch(/heartbeat names frame 1 after frame 0/);
  });

  test('lost-frame-to-the-client-breaks-the-link-and-it-greets-anew', async () => {
    const router = await LinkPeer.start('router');
    const { endpoint } = await router.do<{ endpoint: string }>('bind');
    const client = await LinkPeer.start('client');
    await client.do('open', { endpoint, plain: true });
    const first = (await router.event('message'))['parts'] as string[];
    const welcome = await hex(router, ['TelOS', 1, 1, 'image', 7, 200, 3, 1 << 20, 1 << 19, 64]);
    await router.do('send', { parts: [first[0], '01', welcome] });
    await client.event('welcomed');
    await router.do('send', { parts: [first[0], '03', await hex(router, [2, [16, 1, null, 0]])] });
    expect((await client.event('lost'))['why']).toMatch(/frame 2 came after frame 0/);
    await router.event(
      'message',
      ({ parts }) => (parts as string[])[0] !== first[0] && (parts as string[])[1] === '01',
    );
    expect(client.count('work')).toBe(0);
  });

  test('work-before-the-greeting-is-answered-with-link-lost', async () => {
    const w = await world();
    const raw = await rawPeer(w);
    await raw.do('send', { parts: ['03', await hex(raw, [1, [2, 1]])] });
    await refusedWith(raw, 'LINK_LOST');
  });

  test.each([
    ['truncated-frame', ['03', '92']],
    ['unknown-signal', ['63', '90']],
    ['too-many-parts', ['03', '9101', '00']],
    ['no-list', ['03', 'a3616263']],
    ['map-that-claims-four-billion-keys', ['03', '9201dfffffffff']],
    ['extension-type', ['03', '9201d40100']],
  ])('%s-drops-the-peer-only', async (_, parts) => {
    const w = await world();
    const client = await connect(w);
    await client.event('welcomed');
    const raw = await rawUp(w);
    await raw.do('send', { parts });
    expect((await w.server.event('lost'))['why']).toMatch(/^MALFORMED/);
    await echoes(client, 1, 20);
  });

  test('flood-of-garbage-from-some-while-others-are-served', async () => {
    const w = await world();
    const client = await connect(w);
    await client.event('welcomed');
    const raws = [await rawUp(w), await rawPeer(w)];
    const flood = Promise.all(raws.map((raw, i) => raw.do('flood', { seed: 4711 + i, count: 20_000 })));
    for (let round = 0; round < 10; round++) await echoes(client, 1 + round * 50, 50);
    await flood;
    await echoes(client, 1001, 50);
    expect(client.count('lost')).toBe(0);
  });

  test('oversize-frame-ends-that-connection-only', async () => {
    const w = await world();
    const client = await connect(w);
    await client.event('welcomed');
    const raw = await rawUp(w);
    await raw.do('sizes', { length: 4 << 20 });
    await w.server.event('lost');
    await echoes(client, 1, 20);
  });

  test('own-envelope-over-the-frame-limit-is-handed-back-to-its-sender', async () => {
    const w = await world();
    const client = await connect(w);
    await client.event('welcomed');
    const { peer } = await w.server.event('hello');
    await client.do('send', { from: 1, size: 2 << 20 });
    expect(await client.event('unsent')).toMatchObject({
      number: 1,
      code: 'TOO_LARGE',
      message: expect.stringMatching(/takes \d+ bytes; link.max_frame_bytes is 1048576/) as string,
    });
    await echoes(client, 2, 3);
    await w.server.do('send', { peer, from: 4, size: 2 << 20 });
    expect(await w.server.event('unsent')).toMatchObject({ peer, number: 4, code: 'TOO_LARGE' });
    await echoes(client, 5, 6);
  });

  test('large-envelopes-are-split-over-frames', async () => {
    const w = await world();
    const client = await connect(w);
    await client.event('welcomed');
    await client.do('send', { from: 1, count: 10, size: 300_000 });
    await until('ten echoes', () => client.numbers().length === 10, 10_000);
    expect(w.server.count('work')).toBeGreaterThanOrEqual(4);
    expect(client.numbers()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
});

describe('silence', () => {
  test('killed-client-is-noticed-from-the-socket', async () => {
    const w = await world({ heartbeatIntervalMs: 60_000 });
    const client = await connect(w, { heartbeatIntervalMs: 60_000 });
    await client.event('welcomed');
    signal(client.pid, 'SIGKILL');
    expect((await w.server.event('lost'))['why']).toBe('its connection broke');
  });

  test('stopped-client-is-lost-and-greets-anew-when-it-goes-on', async () => {
    const w = await world({ liveness: 3 });
    const client = await connect(w);
    await client.event('welcomed');
    signal(client.pid, 'SIGSTOP');
    expect((await w.server.event('lost'))['why']).toBe('it was silent');
    signal(client.pid, 'SIGCONT');
    await until('a second welcome', () => client.count('welcomed') === 2, 10_000);
    await echoes(client, 1, 5);
  });

  test('stopped-server-is-lost-and-found', async () => {
    const w = await world({ liveness: 3 });
    const client = await connect(w);
    await client.event('welcomed');
    signal(w.server.pid, 'SIGSTOP');
    expect((await client.event('lost'))['why']).toMatch(/silent/);
    signal(w.server.pid, 'SIGCONT');
    await until('a second welcome', () => client.count('welcomed') === 2, 10_000);
    await echoes(client, 1, 5);
  });

  test('times-and-frame-size-of-the-welcome-count-for-a-client-that-was-configured-otherwise', async () => {
    const w = await world({ heartbeatIntervalMs: 100, liveness: 3, maxFrameBytes: 65_536 });
    const client = await connect(w, { heartbeatIntervalMs: 60_000, liveness: 50 });
    await client.event('welcomed');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await echoes(client, 1, 5);
    expect(w.server.count('lost')).toBe(0);
    await client.do('send', { from: 6, size: 100_000 });
    await client.event('log', ({ name }) => name === 'link.envelope-too-large');
    await echoes(client, 7, 5);
    expect([w.server.count('lost'), client.count('lost')]).toEqual([0, 0]);
  });

  test('judge-that-was-stopped-itself-renews-all-leases', async () => {
    const w = await world({ liveness: 3 });
    const client = await connect(w, { liveness: 3 });
    await client.event('welcomed');
    signal(client.pid, 'SIGSTOP');
    signal(w.server.pid, 'SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    signal(w.server.pid, 'SIGCONT');
    signal(client.pid, 'SIGCONT');
    await echoes(client, 1, 5);
    expect(w.server.count('lost')).toBe(0);
    expect(client.count('lost')).toBe(0);
  });

  test('restarted-server-on-the-same-port-is-greeted-again', async () => {
    const w = await world();
    const client = await connect(w);
    await client.event('welcomed');
    signal(w.server.pid, 'SIGKILL');
    await client.event('lost');
    const again = await LinkPeer.start('server');
    await again.do('bind', { keys: w.serverKeys, admit: [w.admitted.publicKey], endpoint: w.endpoint });
    await until('a second welcome', () => client.count('welcomed') === 2, 10_000);
    await echoes(client, 1, 5);
  });
});

describe('lanes', () => {
  test.each([
    ['in-number', {}, 1000],
    ['in-bytes', { laneBytes: 1_000_000 }, 10],
  ])('full-lane-of-a-stopped-client-answers-false-and-wedges-nobody, %s', async (_, limits, most) => {
    const w = await world({ liveness: 300, echo: false, ...limits });
    const slow = await connect(w, { liveness: 300 });
    const { peer } = await w.server.event('hello');
    await slow.event('welcomed');
    signal(slow.pid, 'SIGSTOP');
    await until(
      'a full lane',
      async () => (await w.server.do<{ taken: number }>('send', { peer, count: 100, size: 100_000 })).taken === 0,
      30_000,
    );
    expect(await w.server.do('pending', { peer })).toBeLessThanOrEqual(most);
    const client = await connect(w);
    const second = await w.server.event('hello', (heard) => heard['peer'] !== peer);
    await client.event('welcomed');
    await w.server.do('send', { peer: second['peer'], from: 1, count: 10 });
    await until('ten envelopes', () => client.numbers().length === 10, 10_000);
    signal(slow.pid, 'SIGCONT');
    await until('an empty lane', async () => (await w.server.do('pending', { peer })) === 0, 30_000);
    expect(w.server.count('lost')).toBe(0);
    expect(slow.count('lost')).toBe(0);
  });

  test('goodbye-arrives-though-the-process-exits-at-once', async () => {
    const w = await world();
    const client = await connect(w);
    await client.event('welcomed');
    await client.do('send', { from: 1, count: 50 });
    void client.do('goodbyeAndExit');
    await w.server.event('goodbye');
    await ended(client.child);
    expect(w.server.numbers()).toHaveLength(50);
    expect(w.server.count('lost')).toBe(0);
  });

  test('what-was-sent-before-close-arrives', async () => {
    const w = await world({ echo: false });
    const client = await connect(w);
    const { peer } = await w.server.event('hello');
    await client.event('welcomed');
    await w.server.do('send', { peer, count: 500 });
    await w.server.do('close');
    await until('all', () => client.numbers().length === 500, 10_000);
  });

  test('what-was-sent-before-close-arrives-at-one-that-looks-later', async () => {
    for (let round = 0; round < 5; round++) {
      const w = await world({ echo: false });
      const client = await connect(w, { liveness: 300 });
      const { peer } = await w.server.event('hello');
      await client.event('welcomed');
      signal(client.pid, 'SIGSTOP');
      await w.server.do('send', { peer, count: 500 });
      await w.server.do('close');
      signal(client.pid, 'SIGCONT');
      await until('all', () => client.numbers().length === 500, 10_000);
    }
  });

  test('after-drop-nothing-is-sent-or-heard', async () => {
    const w = await world();
    const raw = await rawUp(w);
    const { peer } = await w.server.event('hello');
    await w.server.do('drop', { peer });
    expect(await w.server.do('send', { peer })).toEqual({ taken: 0, pending: 0 });
    await raw.do('send', { parts: ['03', await hex(raw, [1, [2, 1]])] });
    const client = await connect(w);
    await client.event('welcomed');
    await echoes(client, 1, 5);
    expect(w.server.numbers()).toEqual([1, 2, 3, 4, 5]);
    expect(w.server.count('lost')).toBe(0);
  });
});
