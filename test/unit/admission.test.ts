import { Admission, hashToken } from '../../actors/supervisor/admission.js';
import { Incarnations, WORKER_BASE, type NumberStore } from '../../actors/supervisor/incarnations.js';
import { MAGIC, PROTOCOL_VERSION, TelosError, type Hello } from '../../protocol/index.js';

const OWNER = 'owner-key';
const HOST = 'host-key';

const hello = (over: Partial<Record<'version' | 'role' | 'incarnation' | 'key' | 'token', unknown>> = {}): Hello =>
  [
    MAGIC,
    over.version ?? PROTOCOL_VERSION,
    over.role ?? 'client',
    over.incarnation ?? 0,
    over.key ?? OWNER,
    over.token ?? 'owner-token',
    0,
    'test',
    [],
  ] as unknown as Hello;

const asHost = { role: 'host', incarnation: 7, key: HOST, token: 'host-token' } as const;

function codeOf(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    return error instanceof TelosError ? error.code : String(error);
  }
}

describe('admission', () => {
  const admission = new Admission();
  admission.addClient(OWNER, { rights: ['author'], tokenHash: hashToken('owner-token') });
  admission.addWorker(HOST, { life: 3, role: 'host', incarnation: 7, tokenHash: hashToken('host-token') });

  test('owner-and-worker-come-in', () => {
    expect(admission.judge(hello(), OWNER)).toEqual({ kind: 'client', key: OWNER, rights: ['author'] });
    expect(admission.judge(hello(asHost), HOST)).toEqual({ kind: 'worker', life: 3 });
    expect([OWNER, HOST, 'stranger'].map((key) => admission.admits(key))).toEqual([true, true, false]);
  });

  test.each([
    ['stranger', hello({ key: 'stranger' }), 'stranger', 'UNAUTHORIZED'],
    ['wrong-token', hello({ token: 'guess' }), OWNER, 'UNAUTHORIZED'],
    ['no-token', hello({ token: '' }), OWNER, 'UNAUTHORIZED'],
    ['names-a-key-that-it-did-not-prove', hello(), HOST, 'UNAUTHORIZED'],
    ['client-says-it-is-a-host (N1)', hello({ role: 'host', incarnation: 7 }), OWNER, 'FORBIDDEN'],
    ['client-says-it-is-memory (N1)', hello({ role: 'memory' }), OWNER, 'FORBIDDEN'],
    ['worker-says-it-is-a-client (N1)', hello({ ...asHost, role: 'client' }), HOST, 'FORBIDDEN'],
    ['host-says-it-is-the-quarantine', hello({ ...asHost, role: 'quarantine' }), HOST, 'FORBIDDEN'],
    ['host-of-another-incarnation', hello({ ...asHost, incarnation: 6 }), HOST, 'FORBIDDEN'],
    ['other-version', hello({ version: PROTOCOL_VERSION + 1 }), OWNER, 'VERSION_MISMATCH'],
  ])('%s', (_what, greeting, proved, code) => {
    expect(codeOf(() => admission.judge(greeting, proved))).toBe(code);
  });

  test('without-CURVE-the-token-alone-counts (N2)', () => {
    expect(admission.judge(hello(), '')).toMatchObject({ kind: 'client' });
    expect(codeOf(() => admission.judge(hello({ token: 'guess' }), ''))).toBe('UNAUTHORIZED');
  });

  test('key-of-a-life-that-is-over-admits-nobody', () => {
    const short = new Admission();
    short.addWorker(HOST, { life: 3, role: 'host', incarnation: 7, tokenHash: hashToken('host-token') });
    short.removeWorker(HOST);
    expect(short.admits(HOST)).toBe(false);
    expect(codeOf(() => short.judge(hello(asHost), HOST))).toBe('UNAUTHORIZED');
  });
});

/** Keeps what was written when the write was durable. */
class Store implements NumberStore {
  value: Buffer | undefined;
  writes = 0;

  async read(): Promise<Buffer | undefined> {
    return this.value;
  }

  async write(_key: Buffer, value: Buffer): Promise<void> {
    await Promise.resolve();
    this.value = value;
    this.writes++;
  }
}

describe('incarnations of workers', () => {
  test('no-number-twice-over-many-lives-of-the-kernel (W1)', async () => {
    const store = new Store();
    const given = new Set<number>();
    let count = 0;
    for (let life = 0; life < 20; life++) {
      const numbers = await Incarnations.open(store, 3);
      for (let i = 0; i < life * 3; i++, count++) given.add(await numbers.take());
    }
    expect(given.size).toBe(count);
    expect(Math.min(...given)).toBeGreaterThanOrEqual(WORKER_BASE);
  });

  test('taken-at-once-beyond-what-is-reserved: each waits for the write', async () => {
    const store = new Store();
    const numbers = await Incarnations.open(store, 1);
    const taken = await Promise.all(Array.from({ length: 50 }, () => numbers.take()));
    expect(new Set(taken).size).toBe(50);
    const next = await (await Incarnations.open(store, 1)).take();
    expect(next).toBeGreaterThan(Math.max(...taken));
  });

  test('write-that-fails-gives-no-number (W1)', async () => {
    const store = new Store();
    const numbers = await Incarnations.open(store, 1);
    for (let i = 0; i < 8; i++) await numbers.take();
    store.write = () => Promise.reject(new TelosError('DISK_FULL', 'no room'));
    await expect(numbers.take()).rejects.toMatchObject({ code: 'DISK_FULL' });
  });
});
