/** The supervision core (actors/supervisor) with virtual time: effects become births and deaths of simulated processes. */
import {
  initialState,
  nextDue,
  step,
  type ExitReport,
  type SupervisorEvent,
  type SupervisorState,
} from '../../actors/supervisor/core.js';
import type { ChildSpec } from '../../actors/supervisor/spec.js';
import type { SimProcess } from './process.js';

export interface Nursery {
  /** Starts the process of a child; its death is reported by the supervisor's own wait. */
  spawn(id: string, life: number): SimProcess;
  /** Who is to blame for a death that nobody condemned it to. */
  report(process: SimProcess): ExitReport;
}

export const childSpec = (id: string): ChildSpec => ({
  id,
  role: id,
  kind: 'permanent',
  stage: 1,
  restarts: 5,
  windowMs: 5000,
  backoffFirstMs: 20,
  backoffMaxMs: 400,
  startMs: 1500,
  shutdownMs: 500,
});

const KILL_MS = 40;

export class SimSupervisor {
  #state: SupervisorState;
  #dueAt = Infinity;
  readonly processes = new Map<string, SimProcess>();

  constructor(
    private readonly owner: SimProcess,
    children: readonly ChildSpec[],
    private readonly nursery: Nursery,
    private readonly unit: () => number,
  ) {
    this.#state = initialState({ strategy: 'one-for-one', children });
  }

  lifeOf(id: string): number {
    return this.#state.children.find(({ spec }) => spec.id === id)?.life ?? 0;
  }

  dispatch(event: SupervisorEvent): void {
    const [state, effects] = step(this.#state, event, this.owner.clock.now);
    this.#state = state;
    for (const effect of effects) {
      if (effect.do === 'spawn') this.#spawn(effect.id, effect.life);
      else if (effect.do === 'kill' || effect.do === 'ask') this.#kill(effect.id);
    }
    this.#arm();
  }

  #spawn(id: string, life: number): void {
    const process = this.nursery.spawn(id, life);
    this.processes.set(id, process);
    process.onDeath = () =>
      this.owner.after(this.unit(), () =>
        this.dispatch({ type: 'exited', id, life, exit: this.nursery.report(process) }),
      );
  }

  /** A kill takes a moment, in which the victim may go on. */
  #kill(id: string): void {
    const process = this.processes.get(id);
    if (process) this.owner.clock.after(this.unit() * KILL_MS, () => process.die());
  }

  #arm(): void {
    const due = nextDue(this.#state, this.owner.clock.now);
    if (due >= this.#dueAt || due === Infinity) return;
    this.#dueAt = due;
    this.owner.after(due - this.owner.clock.now + 1, () => {
      this.#dueAt = Infinity;
      this.dispatch({ type: 'tick' });
    });
  }
}
