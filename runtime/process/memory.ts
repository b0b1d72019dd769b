/** Resident memory of processes, looked at from outside: typed arrays pass every limit of the heap. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ASK_TIMEOUT_MS = 5000;
/** /proc costs microseconds; elsewhere a command has to be run. */
const INTERVAL_MS = process.platform === 'linux' ? 200 : 2000;

function onLinux(pid: number): number | undefined {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return match === null ? undefined : Number(match[1]) * 1024;
  } catch {
    return undefined;
  }
}

/** Lines of `PID NUMBER`. */
function parseTable(text: string, unit: number): Map<number, number> {
  const rows = [...text.matchAll(/^\s*(\d+)\s+(\d+)\s*$/gm)];
  return new Map(rows.map(([, pid, amount]) => [Number(pid), Number(amount) * unit]));
}

async function byCommand(pids: readonly number[]): Promise<Map<number, number>> {
  const windows = process.platform === 'win32';
  const script = `Get-Process -Id ${pids.join(',')} -ErrorAction SilentlyContinue | ForEach-Object { "$($_.Id) $($_.WorkingSet64)" }`;
  const [file, args] = windows
    ? (['powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', script]] as const)
    : (['ps', ['-o', 'pid=,rss=', '-p', pids.join(',')]] as const);
  try {
    const { stdout } = await run(file, [...args], { timeout: ASK_TIMEOUT_MS, windowsHide: true });
    return parseTable(stdout, windows ? 1 : 1024);
  } catch {
    return new Map();
  }
}

/** Bytes by pid; processes that have ended are missing. */
export async function residentBytes(pids: readonly number[]): Promise<Map<number, number>> {
  if (pids.length === 0) return new Map();
  if (process.platform !== 'linux') return byCommand(pids);
  return new Map(
    pids.flatMap((pid) =>
      [[pid, onLinux(pid)] as const].filter((row): row is [number, number] => row[1] !== undefined),
    ),
  );
}

/** Looks at all of `pids()` again and again and tells each. One look at a time. */
export class MemoryWatch {
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #latest = new Map<number, number>();

  constructor(
    private readonly pids: () => readonly number[],
    private readonly each: (pid: number, bytes: number) => void,
  ) {}

  start(): void {
    this.#timer ??= setInterval(() => void this.#look(), INTERVAL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Bytes at the last look. */
  latest(pid: number): number | undefined {
    return this.#latest.get(pid);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    this.#latest = await residentBytes(this.pids());
    this.#looking = false;
    for (const [pid, bytes] of this.#latest) this.each(pid, bytes);
  }
}
