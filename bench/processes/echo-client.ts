/** The near side of the baseline: a bare DEALER that keeps N messages of 200 bytes under way, one message a frame. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Dealer } from 'zeromq';
import { options, report } from './options.js';

const { outstanding, seconds, bytes } = options<{ outstanding: number; seconds: number; bytes: number }>();

const server = fork(fileURLToPath(new URL('./echo-server.js', import.meta.url)));
const endpoint = await new Promise<string>((resolve) =>
  server.once('message', (message) => resolve(message as string)),
);
const dealer = new Dealer({ sendHighWaterMark: 0, receiveHighWaterMark: 0, linger: 0 });
dealer.connect(endpoint);

const payload = Buffer.alloc(bytes, 'x');
const start = performance.now() + (seconds * 1000) / 3;
const end = start + seconds * 1000;
const sentAt: number[] = [];
const times: number[] = [];
let done = 0;
for (let i = 0; i < outstanding; i++) {
  sentAt.push(performance.now());
  await dealer.send(payload);
}
// Answers come back in the order of their messages.
for (let i = 0; ; i = (i + 1) % outstanding) {
  await dealer.receive();
  const now = performance.now();
  if (now >= end) break;
  if (now >= start) {
    done++;
    times.push(now - (sentAt[i] as number));
  }
  sentAt[i] = now;
  await dealer.send(payload);
}
times.sort((a, b) => a - b);
report({
  perSecond: done / seconds,
  p50: times[Math.floor(times.length / 2)],
  p99: times[Math.floor(times.length * 0.99)],
});
dealer.close();
server.disconnect();
