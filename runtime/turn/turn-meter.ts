/** The budget of one turn, which ends with the turn: from then on every charge of its code throws. */
import { leaveMethods, Meter, type MeterLimits } from '../compartment/index.js';

export interface MeteredTurn {
  readonly over: boolean;
  error(): Error;
}

export class TurnMeter extends Meter {
  constructor(
    limits: MeterLimits,
    private readonly turn: MeteredTurn,
  ) {
    super(limits);
  }

  override check(): void {
    if (!this.turn.over) {
      super.check();
      return;
    }
    this.left = -1;
    leaveMethods();
    throw this.turn.error();
  }

  /** The turn is over. */
  stop(): void {
    this.left = -1;
  }
}
