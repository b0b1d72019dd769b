/** Relations that must hold between configuration values: each says what, and why it would fail otherwise. */
import type { Config } from './schema.js';

interface Relation {
  readonly says: string;
  readonly holds: (config: Config) => boolean;
}

export const RELATIONS: readonly Relation[] = [
  {
    says: 'sandbox.kill_after_ms must be longer than sandbox.run_time_ms, else a draft is ended before it could be told that its time is over',
    holds: ({ sandbox }) => sandbox.killAfterMs > sandbox.runTimeMs,
  },
  {
    says: 'turn.run_time_ms must be less than half of the silence allowed (link.heartbeat_interval_ms × link.liveness), else a busy host is taken for a dead one',
    holds: ({ turn, link }) => turn.runTimeMs < (link.heartbeatIntervalMs * link.liveness) / 2,
  },
  {
    says: 'message.max_body_bytes must be at most three quarters of link.max_frame_bytes, else a large body fits no frame',
    holds: ({ message, link }) => message.maxBodyBytes <= link.maxFrameBytes * 0.75,
  },
  {
    says: 'message.max_object_bytes must be at most three quarters of link.max_frame_bytes, else a large object fits no frame and can not be loaded',
    holds: ({ message, link }) => message.maxObjectBytes <= link.maxFrameBytes * 0.75,
  },
  {
    says: 'message.max_object_bytes must be at least message.max_body_bytes, else a value that a message may carry fits no object',
    holds: ({ message }) => message.maxObjectBytes >= message.maxBodyBytes,
  },
  {
    says: 'host.max_cached_bytes must be at least message.max_object_bytes, else an object fits no host',
    holds: ({ host, message }) => host.maxCachedBytes >= message.maxObjectBytes,
  },
  {
    says: 'host.max_cached_bytes must be at most a quarter of turn.resident_bytes, else what a host holds leaves no room for the turns that run on it',
    holds: ({ host, turn }) => host.maxCachedBytes <= turn.residentBytes / 4,
  },
  {
    says: 'message.default_deadline_ms must be at most message.max_deadline_ms',
    holds: ({ message }) => message.defaultDeadlineMs <= message.maxDeadlineMs,
  },
  {
    says: 'message.default_deadline_ms must be longer than turn.run_time_ms, else a turn can not end in time',
    holds: ({ message, turn }) => message.defaultDeadlineMs > turn.runTimeMs,
  },
  {
    says: 'kernel.client_give_up_ms must be less than kernel.session_expiry_ms, else a client goes on with a session that is forgotten',
    holds: ({ kernel }) => kernel.clientGiveUpMs < kernel.sessionExpiryMs,
  },
  {
    says: 'message.window must be at most kernel.max_in_flight',
    holds: ({ message, kernel }) => message.window <= kernel.maxInFlight,
  },
  {
    says: 'message.max_body_bytes must be at most message.window_bytes, and that at most kernel.max_in_flight_bytes, else a large message is BUSY for ever',
    holds: ({ message, kernel }) =>
      message.maxBodyBytes <= message.windowBytes && message.windowBytes <= kernel.maxInFlightBytes,
  },
  {
    says: 'message.window_bytes must be at most kernel.max_reply_bytes, else answers go that one client may still ask for',
    holds: ({ message, kernel }) => message.windowBytes <= kernel.maxReplyBytes,
  },
  {
    says: 'message.window must be at most link.lane_envelopes, else the answers of one client overflow its lane',
    holds: ({ message, link }) => message.window <= link.laneEnvelopes,
  },
  {
    says: 'link.lane_bytes must be at least link.max_frame_bytes, else one frame fills a lane',
    holds: ({ link }) => link.laneBytes >= link.maxFrameBytes,
  },
  {
    says: 'link.lane_bytes must be at least message.window_bytes, else the answers of one client overflow its lane',
    holds: ({ link, message }) => link.laneBytes >= message.windowBytes,
  },
  {
    says: 'link.reconnect_first_ms must be at most link.reconnect_soon_max_ms, and that at most link.reconnect_worker_max_ms and link.reconnect_client_max_ms',
    holds: ({ link }) =>
      link.reconnectFirstMs <= link.reconnectSoonMaxMs &&
      link.reconnectSoonMaxMs <= Math.min(link.reconnectWorkerMaxMs, link.reconnectClientMaxMs),
  },
  {
    says: 'kernel.max_group_bytes must be at least message.max_body_bytes, else a large turn fits no group',
    holds: ({ kernel, message }) => kernel.maxGroupBytes >= message.maxBodyBytes,
  },
  {
    says: 'kernel.snapshots_per_group must be at most kernel.max_dirty_objects',
    holds: ({ kernel }) => kernel.snapshotsPerGroup <= kernel.maxDirtyObjects,
  },
  {
    says: 'host.batch must be at most host.mailbox',
    holds: ({ host }) => host.batch <= host.mailbox,
  },
  {
    says: 'turn.max_loaded_bytes must be at least twice message.max_object_bytes, else no turn can look at a large object',
    holds: ({ turn, message }) => turn.maxLoadedBytes >= 2 * message.maxObjectBytes,
  },
  {
    says: 'turn.max_loaded_bytes must be at most a quarter of turn.resident_bytes, else a turn that only reads ends its host',
    holds: ({ turn }) => turn.maxLoadedBytes <= turn.residentBytes / 4,
  },
  {
    says: 'turn.max_grow_bytes must be less than turn.resident_bytes',
    holds: ({ turn }) => turn.maxGrowBytes < turn.residentBytes,
  },
  {
    says: 'supervisor.backoff_first_ms must be at most supervisor.backoff_max_ms',
    holds: ({ supervisor }) => supervisor.backoffFirstMs <= supervisor.backoffMaxMs,
  },
  {
    says: 'kernel.notice_credit must be at most link.lane_envelopes',
    holds: ({ kernel, link }) => kernel.noticeCredit <= link.laneEnvelopes,
  },
];
