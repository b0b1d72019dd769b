/**
 * Drives the supervision core: feeds it events and the time, carries out its effects, and keeps the one timer that it needs.
 * Knows nothing of processes; `powers` do.
 */
import {
  childOf,
  initialState,
  nextDue,
  step,
  type ChildState,
  type SupervisorEffect,
  type SupervisorEvent,
  type SupervisorState,
} from './core.js';
import type { SupervisorSpec } from './spec.js';

export interface SupervisorPowers {
  now(): number;
  /** Must lead to an `exited` event in the end, also when the spawn fails. */
  spawn(child: ChildState): void;
  ask(child: ChildState, deadlineMs: number): void;
  kill(child: ChildState, cause: string): void;
  log(level: 'info' | 'warn' | 'error', event: string, data: Record<string, unknown>): void;
  /** All children have ended after `stop`. */
  ended(): void;
  /** After every event: states have perhaps changed. */
  changed?(): void;
}

const LONGEST_TIMER_MS = 60_000;

export class Supervisor {
  #state: SupervisorState;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    spec: SupervisorSpec,
    private readonly powers: SupervisorPowers,
  ) {
    this.#state = initialState(spec);
  }

  get children(): readonly ChildState[] {
    return this.#state.children;
  }

  get phase(): SupervisorState['phase'] {
    return this.#state.phase;
  }

  child(id: string): ChildState | undefined {
    return childOf(this.#state, id);
  }

  dispatch(event: SupervisorEvent): void {
    const now = this.powers.now();
    const [state, effects] = step(this.#state, event, now);
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    this.#arm(now);
    this.powers.changed?.();
  }

  #carryOut(effect: SupervisorEffect): void {
    if (effect.do === 'log') return this.powers.log(effect.level, effect.event, effect.data);
    if (effect.do === 'ended') return this.powers.ended();
    const child = this.child(effect.id);
    if (!child || child.life !== effect.life) return;
    if (effect.do === 'spawn') this.powers.spawn(child);
    else if (effect.do === 'ask') this.powers.ask(child, effect.deadlineMs);
    else this.powers.kill(child, effect.cause);
  }

  /** @param now of the last step: what became due since then is due at once, not never */
  #arm(now: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const due = nextDue(this.#state, now);
    if (due === Infinity) return;
    const wait = Math.min(LONGEST_TIMER_MS, Math.max(1, due - now));
    this.#timer = setTimeout(() => this.dispatch({ type: 'tick' }), wait);
  }
}
