/** Starts `telos up` with two hosts, finds a host to kill, and stops it all: as a user would, through the command. */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL('../../clients/cli/main.js', import.meta.url));

export interface HostProcess {
  readonly name: string;
  readonly role: string;
  readonly pid: number;
  readonly restarts: number;
}

export interface Running {
  hosts(): HostProcess[];
  stop(): Promise<void>;
}

function telos(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [COMMAND, ...args], { encoding: 'utf8', windowsHide: true });
}

export async function start(image: string, hosts: number): Promise<Running> {
  const args = [COMMAND, 'up', '--image', image, '--hosts', String(hosts)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'], windowsHide: true });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let out = '';
  await new Promise<void>((resolve, reject) => {
    const look = (chunk: Buffer): void => {
      out += String(chunk);
      if (/^telos ready /m.test(out)) resolve();
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    void ended.then((code) => reject(new Error(`telos up ended with ${String(code)}:\n${out}`)));
  });
  return {
    hosts: () => {
      const { processes } = JSON.parse(telos(['status', '--json', '--image', image]).stdout) as {
        processes: HostProcess[];
      };
      return processes.filter(({ role }) => role === 'host');
    },
    stop: async () => {
      const { status, stderr } = telos(['down', '--image', image]);
      if (status !== 0) throw new Error(`telos down ended with ${String(status)}: ${stderr}`);
      await ended;
    },
  };
}

/** Audit of the stopped image: chain, snapshots against replay, names, outbox. */
export function verify(image: string): { ok: boolean; text: string } {
  const { status, stdout, stderr } = telos(['verify', '--image', image]);
  return { ok: status === 0, text: (stdout + stderr).trim() };
}
