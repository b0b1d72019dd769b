/** JSON values, one a line, over a byte stream. Used between a process and the child that it started; both ends are ours. */
import type { Readable } from 'node:stream';

/** Longest line taken; the longest sent is a worker's configuration, of some kilobytes. */
const MAX_LINE_CHARS = 1024 * 1024;

/** Calls `each` with every value that comes in. What is no JSON, or too long, is passed over: `bad` hears of it. */
export function readJsonLines(
  stream: Readable,
  each: (value: unknown) => void,
  bad: (line: string) => void = () => undefined,
): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_CHARS) {
      bad(rest.slice(0, 100));
      rest = '';
    }
    for (const line of lines) {
      const value = parse(line);
      if (value === undefined) bad(line.slice(0, 100));
      else each(value);
    }
  });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    return undefined;
  }
}
