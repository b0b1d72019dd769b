/** How a method is called. */
const { apply } = Reflect;

/** Calls a method, without spread, which is slow in a locked-down realm. */
export function begin(method: (self: unknown, ...args: unknown[]) => unknown, args: unknown[]): unknown {
  return args.length === 1 ? method(args[0]) : apply(method, undefined, args);
}
