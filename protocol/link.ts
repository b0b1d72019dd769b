/** Link state machine; see below. */
export interface LinkTimes {
  readonly heartbeatIntervalMs: number;
  readonly liveness: number;
}
