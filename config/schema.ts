/**
 * Every limit and default of TelOS, in one schema. In a file the keys are in snake_case, their unit last (`heartbeat_interval_ms`);
 * in code they are in camelCase. Relations between them are asserted when they are loaded (relations.ts).
 */
import { availableParallelism } from 'node:os';
import { z } from 'zod';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const whole = (standard: number, min = 1, max = Number.MAX_SAFE_INTEGER) =>
  z.number().int().min(min).max(max).default(standard);

/** A group whose keys all have defaults, so that leaving it out means the defaults. Unknown keys are an error. */
const group = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape).prefault({} as never);

export const configSchema = z.strictObject({
  /** Links between processes: Paranoid Pirate heartbeats, reconnects, frames. */
  link: group({
    heartbeatIntervalMs: whole(1000, 10),
    /** Intervals of silence after which a peer is lost. */
    liveness: whole(3, 2, 100),
    reconnectFirstMs: whole(100),
    reconnectSoonMaxMs: whole(500),
    reconnectSoonForMs: whole(10_000),
    reconnectWorkerMaxMs: whole(5000),
    reconnectClientMaxMs: whole(32_000),
    maxFrameBytes: whole(16 * MiB, 64 * KiB, GiB),
    /** Envelopes queued for one peer. */
    laneEnvelopes: whole(65_536, 16),
  }),
  /** Messages from clients. */
  message: group({
    maxBodyBytes: whole(8 * MiB, KiB),
    maxDepth: whole(64, 4, 200),
    defaultDeadlineMs: whole(20_000),
    maxDeadlineMs: whole(DAY),
    /** Asks that one client may have outstanding. */
    window: whole(4096),
    maxSelectorLength: whole(256, 16, 4096),
    maxTargetLength: whole(256, 16, 4096),
  }),
  kernel: group({
    shards: whole(64, 1, 65_536),
    maxGroupTurns: whole(4096),
    maxGroupBytes: whole(8 * MiB),
    snapshotsPerGroup: whole(64),
    maxDirtyObjects: whole(20_000),
    idleFlushMs: whole(250),
    maxSessions: whole(10_000),
    maxInFlight: whole(65_536),
    sessionExpiryMs: whole(2 * DAY),
    clientGiveUpMs: whole(DAY),
    outboxWindow: whole(1024),
    timerWindow: whole(4096),
    strikes: whole(3),
    grantWidenings: whole(3, 0),
    maxNameCache: whole(100_000),
    maxObjectCacheBytes: whole(256 * MiB),
    noticeCredit: whole(1024),
    maxSubscriptions: whole(1000),
    readOnlyRetryMs: whole(5000),
    headSyncMs: whole(1000),
  }),
  host: group({
    maxCachedObjects: whole(100_000),
    mailbox: whole(4096),
    batch: whole(64),
    maxRetries: whole(8),
    retryJitterMs: whole(5, 0),
    methodCache: whole(10_000),
  }),
  /** What one turn may use. */
  turn: group({
    runTimeMs: whole(1000),
    fuel: whole(50_000_000),
    maxSends: whole(100_000),
    maxDepth: whole(256),
    maxWrites: whole(100_000),
    maxGrowBytes: whole(64 * MiB),
    residentBytes: whole(1.5 * GiB),
  }),
  supervisor: group({
    restartWindowMs: whole(60_000),
    restarts: whole(10),
    backoffFirstMs: whole(100),
    backoffMaxMs: whole(30_000),
    shutdownMs: whole(5000),
    startMs: whole(15_000),
    /** Size at which the log file of a process is put aside. */
    logBytes: whole(8 * MiB, 64 * KiB),
    /** A quarantine host without work is stopped after this long. */
    quarantineIdleMs: whole(30_000),
    /** Service workers to start with the kernel: the module of each is a script that speaks the worker's side of the protocol. */
    services: z
      .array(z.strictObject({ role: z.enum(['mind', 'memory', 'backup']), module: z.string() }))
      .max(16)
      .default([]),
    /** Host processes; the number of cores less one, at least one, when absent. */
    hosts: z
      .number()
      .int()
      .min(1)
      .max(30)
      .default(() => Math.min(30, Math.max(1, availableParallelism() - 1))),
  }),
  journal: group({
    writeBufferBytes: whole(32 * MiB, 64 * KiB),
    cacheBytes: whole(64 * MiB),
    maxOpenFiles: whole(512, 16),
    /** Tables of a journal up to this size are read through before it serves, those of a larger one in the background. */
    verifyAtOpenBytes: whole(64 * MiB, 0),
  }),
  /** The client library. */
  client: group({
    /** Until the first welcome. */
    connectMs: whole(10_000),
    /** Requests that may wait for room in the window. */
    backlog: whole(1_048_576),
    /** Back-off after BUSY and CONFLICT. */
    retryFirstMs: whole(5),
    retryMaxMs: whole(1000),
    /** Notices that may be under way to one subscription. */
    noticeCredit: whole(256),
  }),
  repl: group({
    historyLines: whole(5000, 0),
  }),
});

export type Config = z.output<typeof configSchema>;
