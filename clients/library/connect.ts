/** Opens an image: finds it, its kernel and the key, and waits for the first welcome. */
import { performance } from 'node:perf_hooks';
import { loadImageConfig, type Config } from '../../config/index.js';
import { LinkClient, TelosError, reconnectTimes, type Origin } from '../../protocol/index.js';
import { Connection, type LinkState } from './connection.js';
import type { ShowRef } from './handle.js';
import { Image, type SendOptions } from './image.js';
import {
  imageDirectory,
  isServed,
  notServed,
  readAddress,
  readOwnerKeys,
  type Address,
  type ClientKeys,
} from './locate.js';
import type { SessionLimits } from './session.js';

export interface ConnectOptions extends SendOptions {
  /** Image directory; `$TELOS_IMAGE`, else `./image` when absent. */
  readonly image?: string;
  /** `tcp://127.0.0.1:PORT`; what the image publishes when absent. */
  readonly endpoint?: string;
  /** Public key of the server at `endpoint`; what the image publishes when absent, '' for plain text. */
  readonly serverKey?: string;
  /** The key to speak with; the owner's, from the image, when absent. */
  readonly keys?: ClientKeys;
  /** Program and version, shown in `telos status`. */
  readonly agent?: string;
  readonly origin?: Origin;
  /** How long to wait for the kernel, ms. */
  readonly connectMs?: number;
  readonly config?: Config;
  /** Hears when the link is lost and found again. */
  readonly onState?: (state: LinkState, why: string) => void;
  readonly log?: (line: string) => void;
  /** How references are shown by `util.inspect`. */
  readonly show?: ShowRef;
}

const POLL_MS = 100;

export function sessionLimits({ message, kernel, client, link }: Config): SessionLimits {
  return {
    window: message.window,
    backlog: client.backlog,
    defaultDeadlineMs: message.defaultDeadlineMs,
    maxDeadlineMs: message.maxDeadlineMs,
    giveUpMs: kernel.clientGiveUpMs,
    graceMs: 2 * link.heartbeatIntervalMs * link.liveness,
    backoffFirstMs: client.retryFirstMs,
    backoffMaxMs: client.retryMaxMs,
  };
}

/**
 * Connects to a running image.
 * @throws TelosError NOT_RUNNING, NO_IMAGE when nothing serves it; UNAUTHORIZED, VERSION_MISMATCH when the kernel refuses this client;
 *   BUSY when it has had no room for `connectMs`; BAD_ARGUMENT for an endpoint without its server's key
 */
export async function connect(options: ConnectOptions = {}): Promise<Image> {
  const dir = imageDirectory(options.image);
  const config = options.config ?? loadImageConfig(dir);
  const until = performance.now() + (options.connectMs ?? config.client.connectMs);
  const address = await firstAddress(dir, options, until);
  const keys = options.keys ?? readOwnerKeys(dir);
  const connection = openConnection(dir, config, address, keys, options);
  try {
    await firstWelcome(connection, dir, options, until);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const { maxBodyBytes, maxDepth } = config.message;
  return new Image(
    connection,
    { maxBodyBytes, maxDepth, noticeCredit: config.client.noticeCredit },
    options,
    options.show,
  );
}

async function firstAddress(dir: string, options: ConnectOptions, until: number): Promise<Address> {
  for (;;) {
    const published = readAddress(dir);
    const endpoint = options.endpoint ?? published?.endpoint;
    if (endpoint !== undefined) {
      const serverKey = options.serverKey ?? published?.serverKey;
      if (serverKey === undefined) throw keyless(endpoint);
      return { endpoint, serverKey };
    }
    if (!isServed(dir) || performance.now() >= until) throw notServed(dir);
    await pause(POLL_MS);
  }
}

const keyless = (endpoint: string): TelosError =>
  new TelosError('BAD_ARGUMENT', `${endpoint} was given without the public key of its server`, {
    remedy: "give `serverKey`: `publicKey` in keys/server.json of its image; '' only for a server without encryption",
  });

function openConnection(
  dir: string,
  config: Config,
  first: Address,
  keys: ClientKeys,
  options: ConnectOptions,
): Connection {
  const { publicKey, secretKey, token } = keys;
  const { heartbeatIntervalMs, liveness, maxFrameBytes, laneEnvelopes } = config.link;
  const curve = first.serverKey === '' ? null : { serverKey: first.serverKey, publicKey, secretKey };
  // The kernel may have come back on another port since.
  const endpoint = options.endpoint ?? (() => Promise.resolve(readAddress(dir)?.endpoint ?? first.endpoint));
  const connection = new Connection({
    limits: sessionLimits(config),
    publicKey,
    token,
    agent: options.agent ?? `library pid ${process.pid}`,
    makeLink: (handlers, hello) =>
      new LinkClient(
        {
          endpoint,
          curve,
          hello,
          kind: 'client',
          reconnect: reconnectTimes('client', config.link),
          heartbeatIntervalMs,
          liveness,
          maxFrameBytes,
          laneLimit: laneEnvelopes,
        },
        handlers,
      ),
    now: () => performance.now(),
    random: Math.random,
    ...(options.onState && { onState: options.onState }),
    ...(options.log && { log: options.log }),
  });
  connection.open();
  return connection;
}

/** Waits for the welcome, and gives up early when there is nobody left who could give it. */
async function firstWelcome(
  connection: Connection,
  dir: string,
  options: ConnectOptions,
  until: number,
): Promise<void> {
  let settled = false;
  const welcomed = connection.welcomed().finally(() => (settled = true));
  welcomed.catch(() => undefined);
  while (!settled && performance.now() < until) {
    await Promise.race([welcomed, pause(POLL_MS)]);
    if (!settled && options.endpoint === undefined && !isServed(dir)) throw notServed(dir);
  }
  if (settled) return welcomed;
  const where = options.endpoint ?? readAddress(dir)?.endpoint ?? dir;
  if (connection.refusal !== null) throw connection.refusal;
  throw new TelosError('NOT_RUNNING', `the kernel at ${where} did not answer in time`, {
    remedy: 'see `telos status` and the logs of the image; start it with `telos up`',
  });
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
