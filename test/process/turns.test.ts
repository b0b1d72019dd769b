/** What turns promise and only a locked-down host can show: nothing of the host leaks to methods, nothing that fails unawaited is lost. */
import { join } from 'node:path';
import { Driver, type RemoteImage } from './support/driver.js';
import { Running, cleanUp, temporary } from './support/processes.js';

const image = join(temporary(), 'image');
let running: Running;
let driver: Driver;

beforeAll(async () => {
  running = await Running.up(image, ['--hosts', '1']);
  driver = await Driver.connect({ image });
  await driver.run(async (it: RemoteImage) => {
    const subject = await it.actor('genesis').clone({ name: 'subject', n: 0, list: [1] });
    await subject.setMethod('fail', 'async (self) => { self.n = 99; throw new RangeError("no"); }');
    await subject.setMethod('inc', 'async (self) => { self.n += 1; return self.n; }');
    return null;
  });
});
afterAll(async () => {
  await driver.close();
  await running.down();
  await cleanUp();
});

/** Runs a method of this source on the subject. */
async function method(source: string, ...args: unknown[]): Promise<unknown> {
  await driver.send('subject', 'setMethod', 'probe', source);
  return driver.send('subject', 'probe', ...args);
}

describe('unawaited-send-that-fails: fails the turn, and nothing of it is written', () => {
  test.each([
    ['plain', 'image.ref(self).fail();'],
    ['with a then but no catch', 'image.ref(self).fail().then(() => 1);'],
    ['inside Promise.all', 'Promise.all([image.ref(self).fail(), image.ref(self).inc()]);'],
    ['inside a function that nobody awaits', '(async () => { await image.ref(self).fail(); })();'],
    ['behind another send', 'image.ref(self).inc(); image.ref(self).fail();'],
  ])('%s', async (_name, statement) => {
    const before = await driver.send('subject', 'n');
    const refused = await driver.refusal(method(`async (self) => { self.n = 5; ${statement} return 'fine'; }`));
    expect([refused.code, refused.message]).toEqual(['METHOD_FAILED', 'METHOD_FAILED RangeError: no']);
    expect(await driver.send('subject', 'n')).toBe(before);
  });

  test.each([
    ['caught', 'image.ref(self).fail().catch(() => 1);'],
    ['awaited late', 'const late = image.ref(self).fail(); await image.ref(self).inc(); try { await late; } catch {}'],
  ])('%s: does not', async (_name, statement) => {
    expect(await method(`async (self) => { ${statement} return 'fine'; }`)).toBe('fine');
  });
});

test('what unawaited sends do counts, and so does what is done after them', async () => {
  await method('async (self) => { self.n = 0; }');
  await method(
    'async (self) => { image.ref(self).inc(); image.ref(self).inc().then(() => { self.list = [self.n]; }); }',
  );
  expect([await driver.send('subject', 'n'), await driver.send('subject', 'list')]).toEqual([2, [2]]);
});

test('host-objects: no error, handle, power or proxy leads out of the compartment', async () => {
  const source = `async (self) => {
    const seen = [];
    const look = (what, value, depth) => {
      if (depth > 6 || value === null || (typeof value !== 'object' && typeof value !== 'function')) return;
      for (const key of Reflect.ownKeys(value)) {
        const part = Object.getOwnPropertyDescriptor(value, key);
        if (typeof part.value === 'function' && !Object.isFrozen(part.value)) seen.push(what + '.' + String(key) + ' is not frozen');
        look(what + '.' + String(key), part.value, depth + 1);
      }
      const above = Object.getPrototypeOf(value);
      if (above !== null && !Object.isFrozen(above)) seen.push('prototype of ' + what + ' is not frozen');
    };
    const errors = [];
    for (const act of [
      () => self.nothing(), () => image.ref(self).nope(), () => image.ref('nobody').x(), () => image.ref(self).fail(), () => { self.n = () => 1; },
      () => image.ref(5), () => image.create({ f: () => 1 }), () => image.tell(self, 5), () => image.ref(self).setMethod('x', 'nonsense('),
    ]) { try { await act(); } catch (error) { errors.push(error); } }
    errors.forEach((error, i) => look('error ' + i, error, 0));
    errors.forEach((error) => { if (Object.getPrototypeOf(error).constructor.name === 'TelosError') seen.push('a class of the host'); });
    look('image', image, 0);
    look('date', Date, 0);
    return [errors.length, seen];
  }`;
  expect(await method(source)).toEqual([9, []]);
});

test('state hidden in functions, handles and powers is gone in the next message', async () => {
  const source = `async (self) => {
    const kept = [];
    for (const thing of [image, image.ref, image.ref(self), self.inc, Date, Math, Object, Array.prototype]) {
      try { thing.kept = 1; } catch {}
    }
    for (const thing of [image, image.ref, image.ref(self), self.inc, Date, Math, Object, Array.prototype]) kept.push(thing.kept === 1);
    return kept.filter(Boolean).length;
  }`;
  await method(source);
  expect(
    await method(
      'async (self) => [image.kept, image.ref.kept, self.inc.kept, Date.kept, Math.kept].every((x) => x === undefined)',
    ),
  ).toBe(true);
});

test('catch-and-go-on after the budget is spent: the turn fails all the same, and the host answers others', async () => {
  const spend = '() => { for (;;) {} }';
  for (const after of [
    'return 1;',
    'await new Promise(() => {});',
    'return self.inc();',
    'for (;;) { try { await 0; } catch {} }',
  ]) {
    const source = `async (self) => { self.n = 1000; try { (${spend})(); } catch {} ${after} }`;
    expect((await driver.refusal(method(source))).code).toBe('BUDGET');
    expect(await driver.send('genesis', 'greet', 'you')).toContain('you');
  }
  expect(await driver.send('subject', 'n')).toBeLessThan(1000);
});

test('a chain of microtasks that goes on after the answer ends with the turn', async () => {
  const source = 'async (self) => { const f = () => Promise.resolve().then(f); f(); return 7; }';
  expect(await method(source)).toBe(7);
  expect(await driver.send('genesis', 'greet', 'you')).toContain('you');
});

test('large values: bytes, nesting and text come back as they went', async () => {
  await driver.run(async (it: RemoteImage) => {
    const bytes = new Uint8Array(300_000).map((_, i) => i);
    await it.actor('subject').setSlot('bytes', { deep: [bytes, 'x'.repeat(100_000), 2n ** 60n] });
    return null;
  });
  const source =
    'async (self) => { const b = self.bytes.deep; b[0][7] = 99; return [b[0].length, b[0][255], b[1].length, b[2] === 2n ** 60n]; }';
  expect(await method(source)).toEqual([300_000, 255, 100_000, true]);
  expect(await method('async (self) => self.bytes.deep[0][7]')).toBe(99);
});
