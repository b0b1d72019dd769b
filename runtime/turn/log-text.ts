/** Values in the log, for people. */
import { targetOf } from './handle.js';

const MAX_TEXT = 2000;

export function logText(value: unknown): string {
  const text = typeof value === 'string' ? value : show(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

function show(value: unknown): string {
  try {
    return (
      JSON.stringify(value, (_key, part: unknown) => {
        if (typeof part === 'bigint') return `${part}n`;
        if ((typeof part !== 'object' || part === null) && typeof part !== 'function') return part;
        return targetOf(part)?.id ?? part;
      }) ?? String(value)
    );
  } catch {
    return `a ${typeof value} that can not be shown`;
  }
}
