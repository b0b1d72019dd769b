/** Handles, calls and the pieces of the session that need no kernel. */
import { inspect } from 'node:util';
import {
  TelosError,
  ORIGIN,
  T,
  encodeContent,
  toJson,
  unpack,
  type Envelope,
  type FromClient,
} from '../../protocol/index.js';
import { Connection, type Link, type LinkHandlers } from '../../clients/library/connection.js';
import { makeHandle, targetOf } from '../../clients/library/handle.js';
import { Image } from '../../clients/library/image.js';
import { connect, sessionLimits } from '../../clients/library/connect.js';
import { defaultConfig } from '../../config/index.js';
import { identifiersIn } from '../../clients/repl/identifiers.js';
import { forPipe, referencesIn } from '../../clients/repl/print.js';
import { readyFields } from '../../clients/cli/guardian.js';
import { readyLine } from '../../actors/supervisor/ready-line.js';
import { known } from '../../clients/cli/context.js';
import { allGone } from '../../clients/cli/up.js';
import { contentJson, errorJson, showError } from '../../clients/terminal/index.js';

describe('a handle', () => {
  const sent: unknown[] = [];
  const handle = makeHandle(
    'acct',
    (...message) => sent.push(message),
    (target) => `<${target}>`,
  );

  test('sends what is called, and nothing when it is only looked at', async () => {
    expect(handle.then).toBeUndefined();
    expect(handle[Symbol.iterator]).toBeUndefined();
    expect(handle[Symbol.toPrimitive]).toBeUndefined();
    expect(await handle).toBe(handle);
    expect(`${handle}`).toBe('acct');
    expect(JSON.stringify([handle])).toBe('[{"$ref":"acct"}]');
    expect(inspect({ handle })).toBe('{ handle: <acct> }');
    expect(Object.keys(handle)).toEqual([]);
    expect(sent).toEqual([]);
    handle.deposit(1, 2);
    expect(sent).toEqual([['acct', 'deposit', [1, 2]]]);
    expect(targetOf(handle)).toBe('acct');
    expect(targetOf({ target: 'acct' })).toBeUndefined();
  });

  test('refuses to be written to, with the message to send instead', () => {
    expect(() => (handle.balance = 1)).toThrow(
      expect.objectContaining({ code: 'READ_ONLY', remedy: expect.stringContaining('setSlot("balance"') }),
    );
    expect(() => delete handle.balance).toThrow(TelosError);
  });
});

/** A kernel end of a link in the test's hand. */
class FakeLink implements Link {
  sent: Envelope[] = [];
  opened = 0;
  constructor(readonly handlers: LinkHandlers) {}
  open = (): void => {
    this.opened++;
  };
  full = false;
  send = (envelope: Envelope): boolean => !this.full && this.sent.push(envelope) > 0;
  goodbye = async (): Promise<void> => undefined;
  close = async (): Promise<void> => undefined;

  welcome(session: number, { intervalMs = 1000, maxBodyBytes = 1e6 } = {}): void {
    this.handlers.welcomed(['TelOS', 1, 1, 'image', session, intervalMs, 3, 1e6, maxBodyBytes, 64]);
  }

  last(): FromClient {
    return this.sent.at(-1) as FromClient;
  }
}

interface Opened {
  readonly links: FakeLink[];
  readonly image: Image;
  readonly connection: Connection;
  readonly hellos: () => number;
}

function open(): Opened {
  const links: FakeLink[] = [];
  let hello: () => readonly unknown[] = () => [];
  let now = 0;
  const connection = new Connection({
    limits: sessionLimits(defaultConfig),
    publicKey: 'key',
    token: 'token',
    agent: 'test',
    makeLink: (handlers, greet) => {
      hello = greet;
      links.push(new FakeLink(handlers));
      return links.at(-1) as FakeLink;
    },
    now: () => now++,
    random: () => 0.5,
  });
  const image = new Image(connection, { maxBodyBytes: 1e6, maxDepth: 64, noticeCredit: 8 });
  links[0]?.welcome(7);
  return { links, image, connection, hellos: () => hello()[6] as number };
}

const answer = (link: FakeLink, no: number, value: unknown): void => {
  const body = encodeContent(value, { place: 'answer', refOf: targetOf, maxBytes: 1e6, maxDepth: 64 });
  link.handlers.work([[T.ANSWER, no, body, 1]]);
};

describe('an image', () => {
  test('answers references as handles that send again', async () => {
    const { links, image } = open();
    const link = links[0] as FakeLink;
    const call = image.actor('genesis').clone({ name: 'acct', parent: image.ref('traits') });
    expect(link.last().slice(0, 7)).toEqual([T.ASK, 1, 1, 20_000, expect.any(String), 'genesis', 'clone']);
    answer(link, 1, [makeHandle('#12', () => null)]);
    const [acct] = await call;
    const balance = acct.balance();
    expect(link.last()[5]).toBe('#12');
    expect(link.last()[8]).toBe(ORIGIN.PROGRAM);
    await image.close();
    await expect(balance).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('a value that can not be sent fails the call and nothing leaves', async () => {
    const { links, image } = open();
    await expect(image.actor('acct').deposit(new Map())).rejects.toMatchObject({ code: 'BAD_VALUE' });
    await expect(image.with({ deadlineMs: 0 }).actor('acct').deposit(1)).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
    expect(() => image.actor('no name')).toThrow(expect.objectContaining({ code: 'BAD_NAME' }));
    expect(links[0]?.sent).toEqual([]);
    await image.close();
  });

  test('partial answers come as a stream, then the answer', async () => {
    const { links, image } = open();
    const link = links[0] as FakeLink;
    const call = image.send('alfred', 'ask', 'why?');
    const parts: unknown[] = [];
    const reading = (async () => {
      for await (const { part, value } of call.partials()) parts.push([part, value]);
    })();
    link.handlers.work([[T.PARTIAL, 1, 1, 'be']]);
    link.handlers.work([[T.PARTIAL, 1, 2, 'cause']]);
    answer(link, 1, 'because');
    await reading;
    expect(parts).toEqual([
      [1, 'be'],
      [2, 'cause'],
    ]);
    expect(await call).toBe('because');
    await image.close();
  });

  test('an aborted signal cancels, also one that was aborted before', async () => {
    const { links, image } = open();
    const link = links[0] as FakeLink;
    const control = new AbortController();
    const call = image.with({ signal: control.signal }).send('acct', 'wait');
    control.abort();
    expect(link.last()).toEqual([T.CANCEL, 1]);
    link.handlers.work([[T.ERROR, 1, new TelosError('CANCELLED', 'done').toWire()]]);
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    const late = image.with({ signal: control.signal }).send('acct', 'wait');
    expect(link.last()).toEqual([T.CANCEL, 2]);
    await image.close();
    await expect(late).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('a session that the kernel has forgotten is replaced by a new one over a new link', async () => {
    const { links, image, hellos } = open();
    const call = image.send('acct', 'deposit', 1);
    expect(hellos()).toBe(7);
    links[0]?.handlers.refused(new TelosError('EXPIRED', 'gone').toWire());
    await expect(call).rejects.toMatchObject({ code: 'EXPIRED' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(links).toHaveLength(2);
    expect(hellos()).toBe(0);
    links[0]?.handlers.work([[T.ANSWER, 1, 1, 1]]);
    links[1]?.welcome(8);
    const again = image.send('acct', 'deposit', 1);
    expect(links[1]?.last()[1]).toBe(1);
    await image.close();
    await expect(again).rejects.toMatchObject({ code: 'CLOSED' });
  });

  test('an envelope that is not of the protocol harms no other', async () => {
    const { links, image } = open();
    const call = image.send('acct', 'balance');
    links[0]?.handlers.work([[T.ANSWER, 'x'], 17, [T.ANSWER, 1, 5, 1]]);
    expect(await call).toBe(5);
    await image.close();
  });

  test('notices come as an async iterator, and a gap is told', async () => {
    const { links, image } = open();
    const link = links[0] as FakeLink;
    const watch = image.subscribe('*');
    link.handlers.work([[T.NOTICE, 1, 1, 5, 99, ['#1', ['a']]]]);
    link.handlers.work([[T.NOTICE, 1, 3, 7, 99, []]]);
    expect((await watch.next()).value).toMatchObject({ seq: 5, gap: false, changes: [{ oid: '#1', slots: ['a'] }] });
    expect((await watch.next()).value).toMatchObject({ seq: 7, gap: true });
    watch.close();
    expect((await watch.next()).done).toBe(true);
    await image.close();
  });
});

describe('a connection', () => {
  test('limits are those of the welcome, also when the kernel comes back with others', async () => {
    const { links, image, connection } = open();
    const link = links[0] as FakeLink;
    const send = (): Promise<unknown> => image.send('acct', 'note', 'x'.repeat(1000));
    link.welcome(7, { maxBodyBytes: 500, intervalMs: 10 });
    await expect(send()).rejects.toMatchObject({ code: 'TOO_LARGE' });
    link.welcome(7, { maxBodyBytes: 5000, intervalMs: 10 });
    const asked = send();
    expect(link.last()[0]).toBe(T.ASK);
    connection.session.tick(20_000 + 100);
    await expect(asked).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await image.close();
  });

  test('a kernel that has no room is waited for, one that refuses is not', async () => {
    const { links, connection } = open();
    const link = links[0] as FakeLink;
    let first = 'waits';
    const refused = (code: 'BUSY' | 'UNAUTHORIZED'): void => link.handlers.refused(new TelosError(code, 'no').toWire());
    const welcomed = connection.welcomed().then(() => (first = 'let in'));
    refused('BUSY');
    await new Promise((resolve) => setImmediate(resolve));
    expect([first, connection.refusal?.code]).toEqual(['waits', 'BUSY']);
    link.welcome(7);
    expect(await welcomed).toBe('let in');
    const second = connection.welcomed();
    refused('UNAUTHORIZED');
    await expect(second).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    await connection.close();
  });

  test('an endpoint without the key of its server is refused at once', async () => {
    const keys = { publicKey: 'p', secretKey: 's', token: '' };
    const lonely = connect({ image: '/nowhere/at/all', endpoint: 'tcp://127.0.0.1:9', keys });
    await expect(lonely).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining('tcp://127.0.0.1:9'),
      remedy: expect.stringContaining('serverKey'),
    });
  });
});

describe('a watch', () => {
  const notices = (from: number, count: number): Envelope[] =>
    Array.from({ length: count }, (_, i) => [T.NOTICE, 1, from + i, from + i, 99, []]);

  test('next asked for twice at once answers two notices, and both end', async () => {
    const { links, image } = open();
    const watch = image.subscribe('*');
    const both = [watch.next(), watch.next()];
    links[0]?.handlers.work(notices(1, 2));
    expect((await Promise.all(both)).map(({ value }) => value.seq)).toEqual([1, 2]);
    const last = [watch.next(), watch.next()];
    watch.close();
    expect((await Promise.all(last)).map(({ done }) => done)).toEqual([true, true]);
    await image.close();
  });

  test('S3 a credit that found the lane full is given back later, and so is a subscription made meanwhile', async () => {
    const { links, image, connection } = open();
    const link = links[0] as FakeLink;
    const watch = image.subscribe('*');
    link.handlers.work(notices(1, 8));
    link.full = true;
    for (let i = 0; i < 8; i++) await watch.next();
    const second = image.subscribe('acct');
    link.full = false;
    connection.session.tick(0);
    expect(link.sent.slice(1)).toEqual([
      [T.CREDIT, 1, 8],
      [T.SUBSCRIBE, 2, 'acct', 8],
    ]);
    expect(connection.session.busy).toBe(false);
    for (const one of [watch, second]) one.close();
    await image.close();
  });

  test('S3 one that is closed while the lane is full is taken back later; what is still under way to it is passed over', async () => {
    const { links, image, connection } = open();
    const link = links[0] as FakeLink;
    const heard: number[] = [];
    const watch = image.subscribe('*', ({ seq }) => heard.push(seq));
    link.full = true;
    watch.close();
    link.handlers.work(notices(1, 2));
    expect(connection.session.busy).toBe(true);
    link.full = false;
    connection.session.tick(0);
    connection.session.tick(0);
    expect(link.sent.slice(1)).toEqual([[T.UNSUBSCRIBE, 1]]);
    expect(connection.session.busy).toBe(false);
    expect(heard).toEqual([]);
    await image.close();
  });

  test('S3 one that was closed when the link is lost is not established anew', async () => {
    const { links, image } = open();
    const link = links[0] as FakeLink;
    const watch = image.subscribe('*');
    link.full = true;
    watch.close();
    link.handlers.lost('gone');
    link.full = false;
    link.welcome(7);
    expect(link.sent.slice(1)).toEqual([]);
    await image.close();
  });

  describe('with a listener', () => {
    const refusal = (): Envelope => [T.UNSUBSCRIBED, 1, new TelosError('BAD_NAME', 'no such pattern').toWire()];
    const later = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));

    test('tells onError of a refusal, and of what the listener throws; the next notices come all the same', async () => {
      const { links, image } = open();
      const heard: unknown[] = [];
      const listener = async ({ seq }: { seq: number }): Promise<void> => {
        if (seq === 1) throw new Error('one');
        heard.push(seq);
      };
      image.subscribe('*', listener, (error) => heard.push((error as Error).message));
      links[0]?.handlers.work([...notices(1, 2), refusal()]);
      await later();
      expect(heard).toEqual(['one', 2, 'no such pattern']);
      await image.close();
    });

    test('warns of them without onError, and of what onError throws: nothing is rejected unheard', async () => {
      const { links, image } = open();
      const heard: string[] = [];
      const emitWarning = process.emitWarning.bind(process);
      process.emitWarning = (what: string | Error) => void heard.push(what instanceof Error ? what.message : what);
      try {
        const fail = (what: string) => () => {
          throw new Error(what);
        };
        image.subscribe('*', fail('one'));
        image.subscribe('#1', fail('two'), fail('three'));
        links[0]?.handlers.work([...notices(1, 1), [T.NOTICE, 2, 1, 1, 99, []], refusal()]);
        await later();
      } finally {
        process.emitWarning = emitWarning;
      }
      expect(heard.sort()).toEqual(['no such pattern', 'one', 'three']);
      await image.close();
    });
  });
});

describe('the session', () => {
  test('identifiers that may be names: no keywords, no properties, no strings', () => {
    expect(identifiersIn('await acct.deposit("x y", ...rest) // zed')).toEqual(['acct', 'rest']);
    expect(identifiersIn('const a = b?.c + `${d}`')).toEqual(['a', 'b', 'd']);
    expect(identifiersIn('größe.x = 1')).toEqual(['größe']);
  });

  test('an answer stands alone on its line, whatever it holds', () => {
    const deep = { a: { b: { c: { d: ['x\ny', 1n, new Uint8Array(2)] } } }, e: new Error('two\nlines') };
    expect(forPipe(deep)).not.toContain('\n');
    expect(forPipe('a\nb')).toBe("'a\\nb'");
    expect(forPipe(142)).toBe('142');
  });

  test('references in a value are found, cycles end', () => {
    const handle = makeHandle('#9', () => null);
    const value: Record<string, unknown> = { list: [handle], more: { handle } };
    value['self'] = value;
    expect([...referencesIn(value, targetOf)]).toEqual(['#9']);
  });

  test('an error is its code, name, message and remedy, without a stack', () => {
    const error = new TelosError('METHOD_FAILED', 'deposit needs a positive amount', {
      name: 'RangeError',
      remedy: 'pay',
    });
    expect(showError(error)).toBe('METHOD_FAILED RangeError: deposit needs a positive amount\n  pay');
    expect(showError(new TypeError('x is not a function'))).toBe('TypeError: x is not a function');
  });

  test('errors of the system have a code and a remedy on the command line, details may hold bigints', () => {
    const denied = Object.assign(new Error("EACCES: permission denied, open '/x'"), { code: 'EACCES' });
    expect(known(denied)).toMatchObject({ code: 'NO_PERMISSION', message: denied.message });
    expect(showError(known(new TypeError('x')))).toMatch(/^INTERNAL TypeError: x\n {2}.+/);
    expect(known(new TelosError('BUSY', 'full')).code).toBe('BUSY');
    const json = JSON.stringify(errorJson(new TelosError('BAD_VALUE', 'no', { details: { n: 5n } })));
    expect(json).toContain('"details":{"n":{"$int":"5"}}');
  });

  test('what has not ended by the deadline of `down` is named, with what to do', async () => {
    await expect(allGone([process.pid], 30)).rejects.toMatchObject({
      code: 'STOP_FAILED',
      message: expect.stringContaining(`process ${process.pid} did not end within 0.03 s`),
      remedy: expect.stringContaining(`kill -9 ${process.pid}`),
    });
    await allGone([], 0);
  });

  test('contents are shown as send shows the values that they stand for', () => {
    const value = { $price: 1, $ref: 2, $$ref: 3, $int: { $bytes: [new Uint8Array(1), 9n] } };
    const wire = unpack(
      encodeContent(value, { place: 'slot', refOf: targetOf, maxBytes: 1e6, maxDepth: 64 }) as Uint8Array,
    );
    expect(contentJson(wire, String)).toEqual(toJson(value));
  });

  test('the ready line is read also when the path of the image has spaces', () => {
    for (const path of ['/image', '/my image', '/a "b"\\c image=x endpoint=y', 'C:\\image'])
      expect(readyFields(readyLine(path, 'tcp://127.0.0.1:5', 7))).toEqual({
        image: path,
        endpoint: 'tcp://127.0.0.1:5',
        pid: 7,
      });
  });
});
