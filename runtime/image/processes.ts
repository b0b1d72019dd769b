/**
 * Owns: `run/processes/`, one empty file for each process of the image: `PID_STARTTIME_PLACE_NAME`. The name says it all, so several
 * processes can note theirs at once, and a full disk does not stop them.
 *
 *   P1  A process is killed only when pid, start time and the place of the image all match: never a stranger under the same pid,
 *       never a process of the image that this one is a copy of.
 */
import { readdirSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TelosError } from '../../protocol/index.js';
import { fileError, withRoom } from './files.js';
import { imagePaths, placeOf } from './paths.js';
import { isRunning, startTimeOf } from './process-times.js';

export interface ProcessEntry {
  readonly pid: number;
  readonly startTime: string;
  /** `kernel`, `host-1`, …: letters, digits and dashes. */
  readonly name: string;
}

const KILL_POLL_MS = 10;
const KILL_DEADLINE_MS = 10_000;

const fileNameOf = (entry: ProcessEntry, place: string): string =>
  `${entry.pid}_${entry.startTime}_${place}_${entry.name}`;

function parseFileName(file: string, place: string): ProcessEntry | undefined {
  const [pid, startTime, where, name] = file.split('_');
  if (!/^\d+$/.test(pid ?? '') || startTime === undefined || where !== place || name === undefined) return undefined;
  return { pid: Number(pid), startTime, name };
}

const listing = (dir: string): string[] => {
  try {
    return readdirSync(imagePaths(dir).processes);
  } catch {
    return [];
  }
};

/** What is noted, running or not. */
export function listProcesses(dir: string): ProcessEntry[] {
  const files = listing(dir);
  if (files.length === 0) return [];
  const place = placeOf(dir);
  return files.flatMap((file) => parseFileName(file, place) ?? []);
}

/** Notes a process, this one or a child. Undefined when it has ended already. */
export async function noteProcess(dir: string, pid: number, name: string): Promise<ProcessEntry | undefined> {
  const startTime = await startTimeOf(pid);
  if (startTime === undefined) return undefined;
  const entry: ProcessEntry = { pid, startTime, name: name.replace(/[^A-Za-z0-9-]/g, '-') };
  const paths = imagePaths(dir);
  const path = join(paths.processes, fileNameOf(entry, placeOf(dir)));
  try {
    await withRoom(paths.reserve, async () => (await open(path, 'w', 0o600)).close());
  } catch (error) {
    throw fileError(error, 'write', path);
  }
  return entry;
}

export function forgetProcess(dir: string, entry: ProcessEntry): void {
  rmSync(join(imagePaths(dir).processes, fileNameOf(entry, placeOf(dir))), { force: true });
}

async function waitForEnd(entry: ProcessEntry): Promise<void> {
  const end = Date.now() + KILL_DEADLINE_MS;
  while (await isRunning(entry.pid, entry.startTime)) {
    if (Date.now() > end) {
      throw new TelosError(
        'IMAGE_LOCKED',
        `process ${entry.pid} (${entry.name}) of an earlier life was killed and does not end`,
        {
          remedy: `end process ${entry.pid} by hand, or restart the machine`,
        },
      );
    }
    await sleep(KILL_POLL_MS);
  }
}

/**
 * Kills what an earlier life of the image left running, stopped processes too, and waits for its end.
 * @param keep pids that live on; this process always does
 * @returns what was killed
 */
export async function killLeftovers(dir: string, keep: readonly number[] = []): Promise<ProcessEntry[]> {
  const killed: ProcessEntry[] = [];
  for (const entry of listProcesses(dir)) {
    if (entry.pid === process.pid || keep.includes(entry.pid)) continue;
    if (await isRunning(entry.pid, entry.startTime)) {
      try {
        process.kill(entry.pid, 'SIGKILL');
      } catch {
        // it ended meanwhile, or is not ours to kill: waitForEnd tells which
      }
      killed.push(entry);
    }
  }
  for (const entry of killed) await waitForEnd(entry);
  await removeEnded(dir, keep);
  return killed;
}

async function removeEnded(dir: string, keep: readonly number[]): Promise<void> {
  const { processes } = imagePaths(dir);
  const files = listing(dir);
  const place = files.length === 0 ? '' : placeOf(dir);
  for (const file of files) {
    const entry = parseFileName(file, place);
    if (entry !== undefined && (entry.pid === process.pid || keep.includes(entry.pid))) continue;
    rmSync(join(processes, file), { force: true });
  }
}
