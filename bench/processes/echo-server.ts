/** The far side of the baseline: a bare ROUTER that sends back what it gets, one message a frame. */
import { Router } from 'zeromq';

const router = new Router({ sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 });
await router.bind('tcp://127.0.0.1:*');
process.send?.(router.lastEndpoint);
process.on('disconnect', () => router.close());
for await (const parts of router) await router.send(parts);
