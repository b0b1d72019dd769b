/** What fuel, capped built-ins and a fresh closure for each call cost, against the same source as plain JavaScript. */
import { measure, milliseconds, type Row } from './harness.js';

interface Measured {
  readonly plain: Readonly<Record<string, number>>;
  readonly metered: Readonly<Record<string, number>>;
  /** Nanoseconds. */
  readonly call: { readonly plain: number; readonly metered: number };
}

export async function compartment(): Promise<Row[]> {
  const { plain, metered, call } = await measure<Measured>('compartment', {});
  const jobs = Object.entries(plain).map(([name, ms]): Row => {
    const paid = metered[name] ?? NaN;
    return {
      claim: `compartment: ${name}`,
      measured: milliseconds(paid),
      baseline: `${milliseconds(ms)} as plain JavaScript`,
      ratio: paid / ms,
      bound: null,
    };
  });
  const more = call.metered - call.plain;
  return [
    ...jobs,
    {
      claim: 'compartment: a trivial method call costs at most 1 µs more',
      measured: `${call.metered.toFixed(0)} ns`,
      baseline: `${call.plain.toFixed(0)} ns as a plain function`,
      ratio: more / 1000,
      bound: { at: 'most', value: 1 },
    },
  ];
}
