/** Entry of the processes in which objects live: `host-N` and `quarantine`. The first line of standard input is a WorkerConfig. */
import { holdLifeline, type WorkerConfig } from '../process/index.js';
import { HostProcess } from './host-process.js';

let host: HostProcess | undefined;
const lifeline = holdLifeline({
  closed: () => {
    if (host === undefined) process.exit(0);
    else host.end(0, 'the kernel is gone');
  },
});
host = new HostProcess((await lifeline.configuration) as WorkerConfig);
process.on('uncaughtException', (error) => host?.fault(error));
host.start();
