/**
 * The supervision core: a pure state machine, `step(state, event, now) -> [state, effects]`. It decides which child is spawned, asked
 * to stop, or killed, and when. It owns no process, clock or timer: effects are carried out by the driver (supervisor.ts), or
 * by the simulation.
 *
 * Invariants:
 *   S1  a child has at most one life at a time: no spawn before the exit of the life before has been seen.
 *   S2  an event that names an earlier life changes nothing.
 *   S3  deaths are charged to a child only if it caused them: not those that a message caused, that something outside did to it
 *       (`kill -9`), or that this supervisor asked for.
 *   S4  a child past its budget, or that has not come up in as many starts in a row, is degraded: tried again at the longest back-off,
 *       while its siblings go on.
 *   S5  after `stop` nothing is spawned; stages end from last to first, each child by request, and by force past its deadline.
 *   S6  every restart is logged with its cause and count.
 */
import { backoffMs, type ChildSpec, type Strategy, type SupervisorSpec } from './spec.js';

/** Who is to blame for a death: only `child` is charged to its budget. */
export type Blame = 'child' | 'message' | 'outside';

export interface ExitReport {
  readonly code: number | null;
  readonly signal: string | null;
  /** More exact than code and signal, where somebody knows: `spawn ENOENT`, the last report of the child. */
  readonly cause?: string;
  readonly blame?: Blame;
}

export type SupervisorEvent =
  | { readonly type: 'begin' }
  | { readonly type: 'add'; readonly spec: ChildSpec }
  | { readonly type: 'drop'; readonly id: string }
  /** Children that are starting wait for us, not we for them: their deadlines begin anew. */
  | { readonly type: 'renew' }
  | { readonly type: 'ready'; readonly id: string; readonly life: number }
  | { readonly type: 'exited'; readonly id: string; readonly life: number; readonly exit: ExitReport }
  /** Somebody has found that this life must end: it is silent, too large, or a message has it in its grip. */
  | {
      readonly type: 'condemn';
      readonly id: string;
      readonly life: number;
      readonly cause: string;
      readonly blame: Blame;
    }
  | { readonly type: 'stop' }
  /** No patience is left: what still runs after `stop` is killed. */
  | { readonly type: 'killAll' }
  | { readonly type: 'tick' };

export type SupervisorEffect =
  | { readonly do: 'spawn'; readonly id: string; readonly life: number }
  | { readonly do: 'ask'; readonly id: string; readonly life: number; readonly deadlineMs: number }
  | { readonly do: 'kill'; readonly id: string; readonly life: number; readonly cause: string }
  | {
      readonly do: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly event: string;
      readonly data: Record<string, unknown>;
    }
  /** After `stop`: no child is left. */
  | { readonly do: 'ended' };

/** absent: no process. starting: spawned, not ready. stopping: asked to end. killed: its exit is awaited. */
export type Phase = 'absent' | 'starting' | 'running' | 'stopping' | 'killed';

export interface ChildState {
  readonly spec: ChildSpec;
  readonly phase: Phase;
  /** Number of its present or last life; 0 before the first. */
  readonly life: number;
  readonly wasReady: boolean;
  /** It should live (again). */
  readonly wanted: boolean;
  /** It must end and start anew because a sibling died. */
  readonly recycle: boolean;
  readonly degraded: boolean;
  /** Earliest time of the next spawn, while absent and wanted. */
  readonly spawnAt: number;
  /** Time by which a start or stop must be done. */
  readonly deadline: number;
  /** Times of the deaths charged to it, latest last; at most `restarts + 1` are kept. */
  readonly deaths: readonly number[];
  /** Lives in a row, up to now, that ended before they were ready. */
  readonly failedStarts: number;
  readonly restarts: number;
  readonly cause: string;
  /** Why it was killed, by whom to be blamed. */
  readonly verdict: { readonly cause: string; readonly blame: Blame } | null;
}

export interface SupervisorState {
  readonly strategy: Strategy;
  readonly phase: 'idle' | 'up' | 'stopping' | 'ended';
  readonly nextLife: number;
  readonly children: readonly ChildState[];
}

export type Step = readonly [state: SupervisorState, effects: readonly SupervisorEffect[]];

export function initialState(spec: SupervisorSpec, firstLife = 1): SupervisorState {
  return { strategy: spec.strategy, phase: 'idle', nextLife: firstLife, children: spec.children.map(newChild) };
}

const newChild = (spec: ChildSpec): ChildState => ({
  spec,
  phase: 'absent',
  life: 0,
  wasReady: false,
  wanted: false,
  recycle: false,
  degraded: false,
  spawnAt: 0,
  deadline: Infinity,
  deaths: [],
  failedStarts: 0,
  restarts: 0,
  cause: '',
  verdict: null,
});

/** What `telos status` calls it. */
export function statusOf(child: ChildState): 'starting' | 'running' | 'degraded' | 'stopping' | 'stopped' {
  if (child.degraded && child.phase !== 'running') return 'degraded';
  if (child.phase === 'running') return 'running';
  if (child.phase === 'stopping') return 'stopping';
  if (child.phase === 'absent' && !child.wanted) return 'stopped';
  return 'starting';
}

export const childOf = (state: SupervisorState, id: string): ChildState | undefined =>
  state.children.find((c) => c.spec.id === id);

/** When a `tick` is due next; Infinity if only an event can change anything: whoever might have started by now waits for others. */
export function nextDue(state: SupervisorState, now: number): number {
  let due = Infinity;
  for (const child of state.children) {
    const waits = child.phase === 'absent' && child.wanted && state.phase === 'up' && child.spawnAt > now;
    if (waits) due = Math.min(due, child.spawnAt);
    if (child.phase === 'starting' || child.phase === 'stopping') due = Math.min(due, child.deadline);
  }
  return due;
}

/** One event. Total: an event that does not fit the state is ignored. */
export function step(state: SupervisorState, event: SupervisorEvent, now: number): Step {
  const effects: SupervisorEffect[] = [];
  const next = settle(apply(state, event, now, effects), now, effects);
  return [next, effects];
}

function apply(
  state: SupervisorState,
  event: SupervisorEvent,
  now: number,
  effects: SupervisorEffect[],
): SupervisorState {
  switch (event.type) {
    case 'begin':
      return state.phase === 'idle'
        ? mapAll({ ...state, phase: 'up' }, (c) => ({ ...c, wanted: true, spawnAt: now }))
        : state;
    case 'add':
      return add(state, event.spec, now);
    case 'drop':
      return mapChild(state, event.id, (c) => ({ ...c, wanted: false }));
    case 'renew':
      return mapAll(state, (c) => (c.phase === 'starting' ? { ...c, deadline: now + c.spec.startMs } : c));
    case 'ready':
      return mapLife(state, event, (c) => (c.phase === 'starting' ? ready(c, effects) : c));
    case 'exited':
      return exited(state, event, now, effects);
    case 'condemn':
      return mapLife(state, event, (c) => condemn(c, event.cause, event.blame, effects));
    case 'stop':
      return state.phase === 'ended'
        ? state
        : mapAll({ ...state, phase: 'stopping' }, (c) => ({ ...c, wanted: false, recycle: false }));
    case 'killAll':
      return state.phase === 'stopping'
        ? mapAll(state, (c) => condemn(c, 'no patience left', 'outside', effects))
        : state;
    case 'tick':
      return mapAll(state, (c) => overdue(c, now, effects));
  }
}

function add(state: SupervisorState, spec: ChildSpec, now: number): SupervisorState {
  if (state.phase === 'stopping' || state.phase === 'ended') return state;
  const wanted = state.phase === 'up';
  if (childOf(state, spec.id)) {
    return mapChild(state, spec.id, (c) =>
      c.wanted ? c : { ...c, spec, wanted, recycle: c.phase !== 'absent', spawnAt: now },
    );
  }
  return { ...state, children: [...state.children, { ...newChild(spec), wanted, spawnAt: now }] };
}

function ready(child: ChildState, effects: SupervisorEffect[]): ChildState {
  effects.push(log('info', 'child-ready', child, {}));
  return { ...child, phase: 'running', wasReady: true, degraded: false, failedStarts: 0, deadline: Infinity };
}

function condemn(child: ChildState, cause: string, blame: Blame, effects: SupervisorEffect[]): ChildState {
  if (child.phase === 'absent' || child.phase === 'killed') return child;
  effects.push(log('warn', 'child-kill', child, { cause, blame }));
  effects.push({ do: 'kill', id: child.spec.id, life: child.life, cause });
  return { ...child, phase: 'killed', deadline: Infinity, verdict: { cause, blame } };
}

function overdue(child: ChildState, now: number, effects: SupervisorEffect[]): ChildState {
  if (now < child.deadline) return child;
  if (child.phase === 'starting') return condemn(child, `not ready within ${child.spec.startMs} ms`, 'child', effects);
  if (child.phase === 'stopping')
    return condemn(child, `did not stop within ${child.spec.shutdownMs} ms`, 'outside', effects);
  return child;
}

// ---- a death ---------------------------------------------------------------------------------------------------------------

/** Signals that people and service managers send; a fault of the program itself shows as another one. */
const OUTSIDE_SIGNALS: ReadonlySet<string> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']);

function exited(
  state: SupervisorState,
  event: Extract<SupervisorEvent, { type: 'exited' }>,
  now: number,
  effects: SupervisorEffect[],
): SupervisorState {
  const child = childOf(state, event.id);
  if (!child || child.life !== event.life || child.phase === 'absent') return state;
  const asked = !child.wanted || child.recycle;
  if (asked && child.phase !== 'killed') effects.push(log('info', 'child-stopped', child, {}));
  const gone: ChildState = { ...child, phase: 'absent', deadline: Infinity, verdict: null };
  if (asked) return mapChild(state, event.id, () => ({ ...gone, recycle: false, spawnAt: now }));
  if (!comesBack(child, event.exit)) {
    effects.push(log('info', 'child-ended', child, { cause: causeOf(child, event.exit) }));
    return mapChild(state, event.id, () => ({ ...gone, wanted: false }));
  }
  const revived = revive(gone, child, event.exit, now, effects);
  return recycleSiblings(
    mapChild(state, event.id, () => revived),
    child,
  );
}

function comesBack(child: ChildState, exit: ExitReport): boolean {
  if (child.spec.kind === 'permanent') return true;
  if (child.spec.kind === 'temporary') return false;
  return exit.code !== 0 || child.verdict !== null;
}

/** Charges the death, if it is the child's own, and sets the time of the next life. */
function revive(
  gone: ChildState,
  child: ChildState,
  exit: ExitReport,
  now: number,
  effects: SupervisorEffect[],
): ChildState {
  const { spec } = child;
  const blame = blameOf(child, exit);
  const cause = causeOf(child, exit);
  const inWindow = child.deaths.filter((at) => now - at < spec.windowMs);
  const deaths = blame === 'child' ? [...inWindow, now].slice(-(spec.restarts + 1)) : inWindow;
  const failedStarts = child.wasReady ? 0 : child.failedStarts + 1;
  const degraded = (blame === 'child' && deaths.length > spec.restarts) || failedStarts > spec.restarts;
  const delay = degraded ? spec.backoffMaxMs : backoffMs(spec, blame === 'child' ? deaths.length : failedStarts);
  const restarts = child.restarts + 1;
  const data = { cause, blame, restarts, charged: deaths.length, budget: spec.restarts, delayMs: delay };
  effects.push(log(degraded ? 'error' : 'warn', degraded ? 'child-degraded' : 'child-restart', child, data));
  return { ...gone, deaths, failedStarts, degraded, restarts, cause, spawnAt: now + delay };
}

function blameOf(child: ChildState, exit: ExitReport): Blame {
  if (child.verdict) return child.verdict.blame;
  if (exit.blame) return exit.blame;
  return exit.signal !== null && OUTSIDE_SIGNALS.has(exit.signal) ? 'outside' : 'child';
}

function causeOf(child: ChildState, exit: ExitReport): string {
  if (child.verdict) return child.verdict.cause;
  if (exit.cause !== undefined) return exit.cause;
  return exit.signal !== null ? `ended by ${exit.signal}` : `exit code ${exit.code}`;
}

/** A life that never was ready has had nobody who relied on it: its siblings stay. */
function recycleSiblings(state: SupervisorState, dead: ChildState): SupervisorState {
  if (state.strategy === 'one-for-one' || !dead.wasReady) return state;
  const place = state.children.findIndex((c) => c.spec.id === dead.spec.id);
  const children = state.children.map((c, index) => {
    const inReach =
      state.strategy === 'one-for-all' ||
      c.spec.stage > dead.spec.stage ||
      (c.spec.stage === dead.spec.stage && index > place);
    return c.spec.id !== dead.spec.id && inReach && c.phase !== 'absent' ? { ...c, recycle: true } : c;
  });
  return { ...state, children };
}

// ---- settling: what follows from the state alone ----------------------------------------------------------------------------

function settle(state: SupervisorState, now: number, effects: SupervisorEffect[]): SupervisorState {
  const stopped = stopWhoMust(state, now, effects);
  const started = stopped.phase === 'up' ? startWhoMay(stopped, now, effects) : stopped;
  if (started.phase !== 'stopping' || started.children.some((c) => c.phase !== 'absent')) return started;
  effects.push({ do: 'ended' });
  return { ...started, phase: 'ended' };
}

const mustEnd = (c: ChildState): boolean => c.phase !== 'absent' && (!c.wanted || c.recycle);

/** The last stage first; an earlier one only when nobody of a later one is left who must end too. */
function stopWhoMust(state: SupervisorState, now: number, effects: SupervisorEffect[]): SupervisorState {
  const lastStage = Math.max(-Infinity, ...state.children.filter(mustEnd).map((c) => c.spec.stage));
  return mapAll(state, (c) => {
    if (!mustEnd(c) || c.spec.stage < lastStage || (c.phase !== 'starting' && c.phase !== 'running')) return c;
    effects.push({ do: 'ask', id: c.spec.id, life: c.life, deadlineMs: c.spec.shutdownMs });
    return { ...c, phase: 'stopping', deadline: now + c.spec.shutdownMs };
  });
}

/**
 * One-for-one: whoever is due. Otherwise a stage waits for all earlier ones, and everybody for those who must end first; a degraded
 * child holds nobody up.
 */
function startWhoMay(state: SupervisorState, now: number, effects: SupervisorEffect[]): SupervisorState {
  let nextLife = state.nextLife;
  const independent = state.strategy === 'one-for-one';
  const busy = !independent && state.children.some(mustEnd);
  const pending = state.children.filter((c) => c.wanted && c.phase !== 'running' && !c.degraded);
  const firstStage = Math.min(...pending.map((c) => c.spec.stage));
  const started = mapAll(state, (c) => {
    if (c.phase !== 'absent' || !c.wanted || now < c.spawnAt || busy) return c;
    if (!independent && c.spec.stage > firstStage) return c;
    effects.push({ do: 'spawn', id: c.spec.id, life: nextLife });
    return { ...c, phase: 'starting', life: nextLife++, wasReady: false, deadline: now + c.spec.startMs };
  });
  return { ...started, nextLife };
}

// ---- helpers -----------------------------------------------------------------------------------------------------------------

function mapAll(state: SupervisorState, change: (child: ChildState) => ChildState): SupervisorState {
  return { ...state, children: state.children.map(change) };
}

function mapChild(state: SupervisorState, id: string, change: (child: ChildState) => ChildState): SupervisorState {
  return mapAll(state, (c) => (c.spec.id === id ? change(c) : c));
}

function mapLife(
  state: SupervisorState,
  { id, life }: { id: string; life: number },
  change: (child: ChildState) => ChildState,
): SupervisorState {
  return mapChild(state, id, (c) => (c.life === life ? change(c) : c));
}

function log(
  level: 'info' | 'warn' | 'error',
  event: string,
  child: ChildState,
  data: Record<string, unknown>,
): SupervisorEffect {
  return { do: 'log', level, event, data: { child: child.spec.id, life: child.life, ...data } };
}
