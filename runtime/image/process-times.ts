/** A pid is used again sooner or later; pid and start time together name one process. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ASK_TIMEOUT_MS = 5000;

let bootId: Promise<string> | undefined;

/** Ticks since the boot say little without the boot. */
const thisBoot = (): Promise<string> =>
  (bootId ??= readFile('/proc/sys/kernel/random/boot_id', 'latin1').then(
    (text) => text.slice(0, 8),
    () => '0',
  ));

/** Field 22 of /proc/PID/stat (proc(5)); the name in field 2 may hold blanks and brackets. A zombie is dead. */
async function onLinux(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  if (stat === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return `${fields[19] ?? '0'}-${await thisBoot()}`;
}

async function byCommand(file: string, args: string[]): Promise<string | undefined> {
  try {
    const { stdout } = await run(file, args, { timeout: ASK_TIMEOUT_MS, windowsHide: true });
    return stdout.trim();
  } catch {
    return undefined;
  }
}

async function onUnix(pid: number): Promise<string | undefined> {
  const text = await byCommand('ps', ['-o', 'stat=,lstart=', '-p', String(pid)]);
  const match = text === undefined ? null : /^(\S+)\s+(.+)$/.exec(text);
  if (match === null || match[1]?.startsWith('Z') === true) return undefined;
  return String(Date.parse(match[2] as string));
}

async function onWindows(pid: number): Promise<string | undefined> {
  const script = `(Get-Process -Id ${pid} -ErrorAction Stop).StartTime.ToFileTimeUtc()`;
  const text = await byCommand('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', script]);
  return text !== undefined && /^\d+$/.test(text) ? text : undefined;
}

/** Start time of a running process in a form of the system's own (letters, digits and dashes), undefined when there is none. */
export function startTimeOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') return onLinux(pid);
  return process.platform === 'win32' ? onWindows(pid) : onUnix(pid);
}

let mine: Promise<string | undefined> | undefined;

/** Start time of this process. */
export const myStartTime = async (): Promise<string> => (await (mine ??= startTimeOf(process.pid))) ?? '0';

export async function isRunning(pid: number, startTime: string): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime;
}
