/** Entry of the processes in which objects live: `host-N` and `quarantine`. The first line of standard input is a WorkerConfig. */
import { holdLifeline, type WorkerConfig } from '../process/index.js';
import { HostProcess } from './host-process.js';

const life: { host?: HostProcess } = {};
const lifeline = holdLifeline({
  closed: () => {
    if (life.host === undefined) process.exit(0);
    else life.host.end(0, 'the kernel is gone');
  },
});
const host = new HostProcess((await lifeline.configuration) as WorkerConfig);
process.on('uncaughtException', (error) => host.fault(error));
life.host = host;
host.start();
