/** The Python program of protocol/README.md, taken from the page and run: over CURVE, and over a server that dies in between. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LinkPeer } from './support/link-peer.js';
import { pythonWith, testNeeding } from './support/needs.js';
import { cleanUp, ended, ROOT, run, signal, temporary } from './support/processes.js';

afterAll(cleanUp);

interface Keys {
  publicKey: string;
  secretKey: string;
}

const python = pythonWith(['zmq', 'msgpack']);
const program = /```python\n([^`]*)```/.exec(readFileSync(join(ROOT, 'protocol/README.md'), 'utf8'))?.[1] as string;

/** What of an image the program reads. */
function imageFor(endpoint: string, serverKey: string, keys: Keys): string {
  const image = temporary();
  const write = (folder: string, file: string, content: object): void => {
    mkdirSync(join(image, folder));
    writeFileSync(join(image, folder, file), JSON.stringify(content));
  };
  write('run', 'endpoint.json', { endpoint, serverKey });
  write('keys', 'owner.json', { ...keys, token: 'token' });
  writeFileSync(join(image, 'client.py'), program);
  return image;
}

async function serve(
  options: object = {},
): Promise<{ server: LinkPeer; serverKeys: Keys; keys: Keys; endpoint: string }> {
  const server = await LinkPeer.start('server');
  const serverKeys = await server.do<Keys>('keys');
  const keys = await server.do<Keys>('keys');
  const bound = await server.do<{ endpoint: string }>('bind', {
    keys: serverKeys,
    admit: [keys.publicKey],
    ...options,
  });
  return { server, serverKeys, keys, endpoint: bound.endpoint };
}

testNeeding(
  'python3 with zmq and msgpack',
  python !== undefined,
  'readme-client-asks-and-prints-the-answer',
  async () => {
    const { server, serverKeys, keys, endpoint } = await serve();
    const image = imageFor(endpoint, serverKeys.publicKey, keys);
    const { code, stdout } = await run(python as string, [
      join(image, 'client.py'),
      image,
      'acct',
      'deposit',
      '42',
      '{"$ref": "bob"}',
    ]);
    expect([code, stdout.trim()]).toEqual([0, '[42, {"$ref": "bob"}]']);
    await server.event('goodbye');
    expect(server.numbers()).toEqual([1]);
  },
);

testNeeding(
  'python3 with zmq and msgpack',
  python !== undefined,
  'readme-client-survives-a-kernel-that-dies',
  async () => {
    const { server, serverKeys, keys, endpoint } = await serve({ echo: false });
    const image = imageFor(endpoint, serverKeys.publicKey, keys);
    const answer = run(python as string, [join(image, 'client.py'), image, 'acct', 'balance']);
    await server.event('work');
    signal(server.pid, 'SIGKILL');
    await ended(server.child);
    const again = await LinkPeer.start('server');
    await again.do('bind', { keys: serverKeys, admit: [keys.publicKey], endpoint });
    const { code, stdout } = await answer;
    expect([code, stdout.trim()]).toEqual([0, '[]']);
    expect(again.numbers()).toEqual([1]);
    expect((await again.event('hello'))['session']).toBe(7);
  },
);
