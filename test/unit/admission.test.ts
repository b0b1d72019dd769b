import { Admission, hashToken } from '../../actors/supervisor/admission.js';
import { Incarnations } from '../../actors/supervisor/incarnations.js';
import { MAGIC, PROTOCOL_VERSION, TelosError, type Hello } from '../../protocol/index.js';
import { MemoryJournal, MemoryStore } from '../../runtime/journal/index.js';

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

describe('incarnations of workers', () => {
  test('no-number-twice-over-many-lives-of-the-kernel, its own included (W1)', async () => {
    const store = new MemoryStore('image');
    const given = new Set<number>();
    let count = 0;
    for (let life = 0; life < 20; life++) {
      const journal = new MemoryJournal(store);
      given.add(journal.identity.incarnation);
      const numbers = new Incarnations(journal);
      const taken = await Promise.all(Array.from({ length: life * 3 }, () => numbers.take()));
      for (const number of taken) given.add(number);
      count += taken.length + 1;
      await journal.close();
    }
    expect(given.size).toBe(count);
  });

  test('counter-that-can-not-be-raised-gives-no-number (W1)', async () => {
    const raiseIncarnation = (): Promise<number> => Promise.reject(new TelosError('STORAGE_FAILED', 'head'));
    await expect(new Incarnations({ raiseIncarnation }).take()).rejects.toMatchObject({ code: 'STORAGE_FAILED' });
  });

  test('number-beyond-what-attempts-can-hold-is-refused (W2)', async () => {
    const at = (number: number): Promise<number> =>
      new Incarnations({ raiseIncarnation: () => Promise.resolve(number) }).take();
    expect(await at(2 ** 21 - 1)).toBe(2 ** 21 - 1);
    await expect(at(2 ** 21)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
