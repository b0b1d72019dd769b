/**
 * Every limit and default of TelOS, in one schema. In a file the keys are in snake_case, their unit last (`heartbeat_interval_ms`);
 * in code they are in camelCase. Relations between them are asserted when they are loaded (relations.ts). Each key says by `describe` what
 * it means: docs/configuration.md is generated from it.
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
const group = <S extends z.ZodRawShape>(meaning: string, shape: S) =>
  z
    .strictObject(shape)
    .prefault({} as never)
    .describe(meaning);

export const configSchema = z.strictObject({
  link: group('Links between processes: Paranoid Pirate heartbeats, reconnects, frames.', {
    heartbeatIntervalMs: whole(1000, 10).describe('Pause between two heartbeats of either side.'),
    liveness: whole(3, 2, 100).describe('Intervals of silence after which a peer is lost.'),
    reconnectFirstMs: whole(100).describe(
      'Wait before the first attempt to connect anew; it doubles with each attempt.',
    ),
    reconnectSoonMaxMs: whole(500).describe('Longest wait while the loss is recent.'),
    reconnectSoonForMs: whole(10_000).describe('How long a loss counts as recent.'),
    reconnectWorkerMaxMs: whole(5000).describe('Longest wait of a worker after that.'),
    reconnectClientMaxMs: whole(32_000).describe('Longest wait of a client after that.'),
    maxFrameBytes: whole(16 * MiB, 64 * KiB, GiB).describe(
      'Longest body of a ZeroMQ message; a longer one ends the connection.',
    ),
    laneEnvelopes: whole(65_536, 16).describe('Envelopes queued for one peer; past it senders get `BUSY`.'),
    laneBytes: whole(128 * MiB, 64 * KiB).describe(
      'Size of what is queued for one client; past it, as past `lane_envelopes`, its connection ends, and it gets its answers when it connects anew.',
    ),
  }),
  message: group('Messages from clients.', {
    maxBodyBytes: whole(8 * MiB, KiB).describe(
      'Largest arguments or answer of one message, and largest value of one slot.',
    ),
    maxObjectBytes: whole(12 * MiB, KiB).describe(
      'Largest object, all its slots together: it has to fit into one frame when a host loads it. A turn that would make a larger one fails with `TOO_LARGE`.',
    ),
    maxDepth: whole(64, 4, 200).describe('How deep lists and objects may be nested in a value.'),
    defaultDeadlineMs: whole(20_000).describe('Deadline of a message whose sender names none.'),
    maxDeadlineMs: whole(DAY).describe('Longest deadline; longer ones are cut to it.'),
    window: whole(4096).describe('Asks that one client may have outstanding.'),
    windowBytes: whole(64 * MiB, KiB).describe(
      'Size of the arguments that one client may have outstanding, and of the answers whose receipt it has not told; past either `BUSY`.',
    ),
    maxSelectorLength: whole(256, 16, 4096).describe('Longest selector, in characters.'),
    maxTargetLength: whole(256, 16, 4096).describe('Longest name or oid of a receiver, in characters.'),
  }),
  kernel: group('What the kernel holds and how it writes.', {
    shards: whole(64, 1, 65_536).describe(
      'Parts into which the objects fall by the hash of their oid; each is with one host at a time.',
    ),
    maxGroupTurns: whole(4096).describe('Turns in one synced batch.'),
    maxGroupBytes: whole(8 * MiB).describe('Size of one synced batch.'),
    snapshotsPerGroup: whole(64).describe('Object snapshots written along with one batch.'),
    maxDirtyObjects: whole(20_000).describe(
      'Objects without a fresh snapshot; past it snapshots are written sixteen times as fast.',
    ),
    maxDirtyBytes: whole(256 * MiB, KiB).describe(
      'Size of these objects; past it snapshots are written sixteen times as fast, past twice that senders get `BUSY`.',
    ),
    idleFlushMs: whole(250).describe('Quiet time after which the snapshots that are left are written.'),
    maxSessions: whole(10_000).describe('Client sessions held in memory; past it new clients get `BUSY`.'),
    maxInFlight: whole(65_536).describe('Messages in the kernel that wait for a host; past it senders get `BUSY`.'),
    maxInFlightBytes: whole(512 * MiB, KiB).describe(
      'Size of the arguments of all messages of clients in the kernel; past it senders get `BUSY`.',
    ),
    maxReplyBytes: whole(256 * MiB, KiB).describe(
      'Size of the saved answers of turns that only read; past it the oldest go, and their requests run anew if repeated.',
    ),
    maxReplayBytes: whole(64 * MiB, KiB).describe(
      'Size of the turns that a start has to apply again; past it snapshots are written sixteen times as fast.',
    ),
    sessionExpiryMs: whole(2 * DAY).describe('Silence after which a session is forgotten, with its saved replies.'),
    clientGiveUpMs: whole(DAY).describe(
      'A client that has not reached the kernel for so long gives its asks up as `OUTCOME_UNKNOWN`.',
    ),
    outboxWindow: whole(1024).describe('Messages of the outbox and of timers that run at a time.'),
    timerWindow: whole(4096).describe('Timers held in memory; the later ones stay in the journal.'),
    strikes: whole(3).describe('Hosts that a message may end before it becomes a dead letter.'),
    grantWidenings: whole(3, 0).describe('How often a turn may ask for a wider grant before it fails with `CONFLICT`.'),
    maxNameCache: whole(100_000).describe('Names held in memory.'),
    noticeCredit: whole(1024).describe('Largest credit of one subscription; more is cut to it.'),
    maxSubscriptions: whole(1000).describe('Subscriptions of one client.'),
    readOnlyRetryMs: whole(5000).describe(
      'How often a kernel that serves read-only (the disk is full) looks whether there is room again.',
    ),
    headSyncMs: whole(1000).describe('How often the file `head` is synced.'),
  }),
  host: group('What a host process holds, and how it retries.', {
    maxCachedObjects: whole(100_000).describe('Objects that one host holds; the least used is let go first.'),
    maxCachedBytes: whole(256 * MiB).describe(
      'Memory that these objects may take, by estimate; the least used is let go first.',
    ),
    mailbox: whole(4096).describe('Messages that wait for one object; past it senders get `BUSY`.'),
    batch: whole(64).describe('Messages that one object handles before another has its turn.'),
    maxRetries: whole(8).describe('Runs of a turn after conflicts; the next one is under a grant.'),
    retryJitterMs: whole(5, 0).describe('Longest pause before a retry, for each conflict that it had.'),
    methodCache: whole(10_000).describe('Compiled methods held.'),
  }),
  turn: group(
    'What one turn may use. A turn that takes more fails with `BUDGET` (or `TOO_DEEP`), and nothing of it is written.',
    {
      runTimeMs: whole(1000).describe('Time that its methods may run, without waits for services.'),
      fuel: whole(50_000_000).describe(
        'Charges: one for each loop round and function call, and built-ins by the length of what they walk over.',
      ),
      maxSends: whole(100_000).describe('Sends to other objects.'),
      maxDepth: whole(256).describe('How deep sends may be nested.'),
      maxWrites: whole(100_000).describe('Slots written and objects made.'),
      maxLoadedBytes: whole(256 * MiB, KiB).describe(
        'Memory that the objects which it looks at may take, by estimate: they stay in the host until it ends.',
      ),
      maxGrowBytes: whole(64 * MiB).describe('Array buffers made.'),
      residentBytes: whole(1.5 * GiB).describe(
        'Resident memory of a host process; past it the host is ended and what it ran is tried again in quarantine.',
      ),
    },
  ),
  supervisor: group('Starting, watching and restarting processes.', {
    restartWindowMs: whole(60_000).describe('Window in which restarts are counted.'),
    restarts: whole(10).describe(
      'Restarts in that window before a process counts as degraded and is tried at the longest back-off.',
    ),
    backoffFirstMs: whole(100).describe('First pause before a restart after a failure; it doubles.'),
    backoffMaxMs: whole(30_000).describe('Longest pause before a restart.'),
    shutdownMs: whole(5000).describe('How long a process may take to stop in order before it is killed.'),
    startMs: whole(15_000).describe('How long a process may take to start.'),
    logBytes: whole(8 * MiB, 64 * KiB).describe('Size at which the log file of a process is put aside.'),
    quarantineIdleMs: whole(30_000).describe('A quarantine host without work is stopped after this long.'),
    services: z
      .array(z.strictObject({ role: z.enum(['mind', 'memory', 'backup']), module: z.string() }))
      .max(16)
      .default([])
      .describe(
        'Service workers to start with the kernel, a list of `{"role": "mind" | "memory" | "backup", "module": path}`: the module is a script that speaks the worker side of the protocol.',
      ),
    hosts: z
      .number()
      .int()
      .min(1)
      .max(30)
      .default(() => Math.min(30, Math.max(1, availableParallelism() - 1)))
      .meta({ description: 'Host processes.', standard: 'the number of cores less one, at least 1' }),
  }),
  journal: group('The database and its opening.', {
    writeBufferBytes: whole(32 * MiB, 64 * KiB).describe(
      'Write buffer of RocksDB; the reserve file is twice as large.',
    ),
    cacheBytes: whole(64 * MiB).describe('Block cache of RocksDB.'),
    maxOpenFiles: whole(512, 16).describe('Table files that RocksDB keeps open.'),
    verifyAtOpenBytes: whole(64 * MiB, 0).describe(
      'Tables of a journal up to this size are read through before it serves, those of a larger one in the background.',
    ),
  }),
  client: group('The client library and the command line.', {
    connectMs: whole(10_000).describe('How long `connect()` waits for the first welcome.'),
    startMs: whole(120_000).describe('How long `telos up --detach` waits until the image is served.'),
    backlog: whole(1_048_576).describe('Requests that may wait for room in the window.'),
    retryFirstMs: whole(5).describe(
      'First pause before a request is sent again after `BUSY` or `CONFLICT`; it doubles.',
    ),
    retryMaxMs: whole(1000).describe('Longest such pause.'),
    noticeCredit: whole(256).describe('Notices that may be under way to one subscription.'),
  }),
  sandbox: group('Where drafts of methods are tried for hostility.', {
    threads: whole(2, 1, 5).describe('Threads that are started ahead; each tries one draft and is ended.'),
    queue: whole(64).describe('Drafts that may wait for a thread.'),
    runTimeMs: whole(1000).describe('Running time of a draft.'),
    killAfterMs: whole(3000).describe('After this long the thread of a draft is ended, whatever it does.'),
    memoryBytes: whole(32 * MiB, 16 * MiB, GiB).describe('All that a draft can hold.'),
    stackBytes: whole(256 * KiB, 64 * KiB, 4 * MiB).describe('Stack of a draft.'),
    reportChars: whole(MiB, 1024).describe('Length of what a draft may tell.'),
    effects: whole(1000).describe('Messages, timers or objects, of each kind, that a draft may try.'),
  }),
  repl: group('The live session.', {
    historyLines: whole(5000, 0).describe("Lines kept in the image's `repl-history`."),
  }),
});

export type Config = z.output<typeof configSchema>;
