/**
 * The clock of the kernel's process: milliseconds that only go forward, whatever somebody does to the wall clock. Deadlines, grants, leases and
 * heartbeats are measured on it. It begins near the time of day, which means nothing: records and timers take theirs from `Date.now()`.
 */
export const steadyNow = (): number => Math.floor(performance.timeOrigin + performance.now());
