/** The step from host code into a method, and back. */
import { leaveMethods } from '../compartment/index.js';

const { apply } = Reflect;

/** Runs a method up to its first wait. What follows is the host's own, and charged to nobody. Without spread, which is slow in a locked-down realm. */
export function begin(method: (self: unknown, ...args: unknown[]) => unknown, args: unknown[]): unknown {
  try {
    return args.length === 1 ? method(args[0]) : apply(method, undefined, args);
  } finally {
    leaveMethods();
  }
}
