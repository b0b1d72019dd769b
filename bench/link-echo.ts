/**
 * What the link costs: two processes echo small messages, once over bare sockets (one 200-byte message a frame), once over
 * LinkClient and LinkServer with envelopes and CURVE. Both with 256 outstanding. Prints both rates and their ratio.
 *
 *     node dist/bench/link-echo.js [seconds] [outstanding] [plain]
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Dealer, Router } from 'zeromq';
import {
  checkFromClient,
  curveKeyPair,
  LinkClient,
  LinkServer,
  MAGIC,
  ORIGIN,
  pack,
  PROTOCOL_VERSION,
  T,
  type Ask,
  type Hello,
  type Welcome,
} from '../protocol/index.js';
import { zmq } from '../protocol/zmq/zeromq.js';

const OUTSTANDING = Number(process.argv[3] ?? 256);
const SECONDS = Number(process.argv[2] ?? 3);
const CURVE = process.argv[4] !== 'plain';
const LIMITS = { heartbeatIntervalMs: 1000, liveness: 3, maxFrameBytes: 16 * 1024 * 1024, laneLimit: 65_536 };
const log = (level: string, event: string, data: object): void => console.error(level, event, data);

// ---- bare ----------------------------------------------------------------------------------------------------------------------

async function bareServer(): Promise<void> {
  const socket: Router = new (zmq().Router)();
  await socket.bind('tcp://127.0.0.1:*');
  process.send?.(socket.lastEndpoint);
  for await (const [id, body] of socket) await socket.send([id as Buffer, body as Buffer]);
}

async function bareClient(endpoint: string): Promise<number> {
  const socket: Dealer = new (zmq().Dealer)();
  socket.connect(endpoint);
  const message = Buffer.alloc(200, 7);
  for (let i = 0; i < OUTSTANDING; i++) await socket.send(message);
  const meter = new Meter();
  while (!meter.over()) {
    await socket.receive();
    meter.count++;
    await socket.send(message);
  }
  socket.close();
  return meter.rate();
}

// ---- ours ----------------------------------------------------------------------------------------------------------------------

async function linkServer(): Promise<void> {
  const keys = curveKeyPair();
  const server: LinkServer = await LinkServer.bind(
    { endpoint: 'tcp://127.0.0.1:*', curve: CURVE ? keys : null, admit: () => true, ...LIMITS },
    {
      hello: (peer) =>
        server.welcome(peer, [MAGIC, PROTOCOL_VERSION, 1, 'bench', 1, 1000, 3, 1 << 24, 1 << 23, 4096] as Welcome),
      work: (peer, envelopes) => {
        for (const envelope of envelopes) {
          const ask = checkFromClient(envelope) as Ask;
          server.send(peer, [T.ANSWER, ask[1], ask[7], 0]);
        }
      },
      lost: () => process.exit(0),
      goodbye: () => process.exit(0),
      unsent: (_peer, _envelope, error) => console.error(error.message),
      log,
    },
  );
  process.send?.(JSON.stringify({ endpoint: server.endpoint, serverKey: keys.publicKey }));
}

async function linkClient(announced: string): Promise<number> {
  const { endpoint, serverKey } = JSON.parse(announced) as { endpoint: string; serverKey: string };
  const keys = curveKeyPair();
  const meter = new Meter();
  let no = 0;
  const args = pack(['increment', 41]);
  const ask = (): void =>
    void client.send([
      T.ASK,
      ++no,
      Math.max(1, no - OUTSTANDING),
      20_000,
      '',
      'account',
      'deposit',
      args,
      ORIGIN.PROGRAM,
    ]);
  const rate = await new Promise<number>((resolve) => {
    client = new LinkClient(
      {
        endpoint,
        curve: CURVE ? { serverKey, ...keys } : null,
        kind: 'client',
        hello: () => helloWith(keys.publicKey),
        ...LIMITS,
      },
      {
        welcomed: () => {
          for (let i = 0; i < OUTSTANDING; i++) ask();
        },
        work: (envelopes) => {
          meter.count += envelopes.length;
          if (meter.over()) resolve(meter.rate());
          for (let i = 0; i < envelopes.length; i++) ask();
        },
        lost: (why) => console.error(why),
        refused: (error) => console.error(error),
        unsent: (_envelope, error) => console.error(error.message),
        log,
      },
    );
    client.open();
  });
  await client.goodbye();
  return rate;
}

let client: LinkClient;
const helloWith = (key: string): Hello => [MAGIC, PROTOCOL_VERSION, 'client', 0, key, '', 0, 'bench', []];

class Meter {
  count = 0;
  private readonly start = performance.now();

  over(): boolean {
    return performance.now() - this.start > SECONDS * 1000;
  }

  rate(): number {
    return (this.count / (performance.now() - this.start)) * 1000;
  }
}

// ---- both ----------------------------------------------------------------------------------------------------------------------

async function measure(role: string, run: (announced: string) => Promise<number>): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2)], {
    env: { ...process.env, BENCH_ROLE: role },
  });
  const [announced] = (await once(child, 'message')) as [string];
  const rate = await run(announced);
  if (child.exitCode === null) {
    child.kill();
    await once(child, 'exit');
  }
  return rate;
}

const role = process.env['BENCH_ROLE'];
if (role === 'bare') await bareServer();
else if (role === 'link') await linkServer();
else {
  const bare = await measure('bare', bareClient);
  const ours = await measure('link', linkClient);
  const show = (rate: number): string => `${Math.round(rate).toLocaleString('en')}/s`;
  console.log(`bare zeromq echo, one 200-byte message a frame   ${show(bare)}`);
  console.log(`link echo, envelopes, ${CURVE ? 'CURVE' : 'plain text'}                   ${show(ours)}`);
  console.log(`ratio                                            ${(ours / bare).toFixed(2)}`);
  process.exit(0);
}
