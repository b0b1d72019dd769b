/**
 * Loads passive objects as a host does: LOAD of 256 oids to the real kernel on the real journal, its LOADED encoded and decoded as on the link,
 * and each object put into the form in which turns use it. Kernel and host share this process, and there is no socket between them. Each object once.
 */
import { defaultConfig } from '../../config/index.js';
import { pack, T, unpack, type Envelope, type Loaded, type Oid } from '../../protocol/index.js';
import { genesisCommit } from '../../runtime/genesis/index.js';
import { openJournal, type JournalPort } from '../../runtime/journal/index.js';
import { Kernel, type KernelPorts } from '../../runtime/kernel/index.js';
import { CachedObject } from '../../runtime/turn/index.js';
import { options, onePass, report } from './options.js';

const HOST = 1;
const nothing = (): void => undefined;

/** Runs one step of the kernel, and lets out what it has gathered. */
function step(act: (now: number) => void): void {
  const now = Date.now();
  act(now);
  kernel.flush(now);
}

function portsOf(journal: JournalPort, toHost: (envelope: Envelope) => void): KernelPorts {
  const fatal = (error: unknown): never => {
    throw error;
  };
  return {
    toClient: nothing,
    welcome: nothing,
    refuse: nothing,
    toHost: (_host, envelope) => toHost(envelope),
    toService: nothing,
    append: (group) => void journal.append(group).then(() => step((now) => kernel.appended(now)), fatal),
    read: (ticket, keys) =>
      void journal.getMany(keys).then((values) => step((now) => kernel.readDone(ticket, values, now)), fatal),
    page: (ticket, range, limit) =>
      void journal.page(range, limit).then((rows) => step((now) => kernel.pageDone(ticket, rows, now)), fatal),
    external: nothing,
    needQuarantine: nothing,
    fatal,
    log: nothing,
  };
}

/** Objects that are still to come, by request. */
const waiting = new Map<number, { left: number; done: () => void }>();

/** What the host makes of it. An answer may come in parts. */
function loaded(bytes: Uint8Array): void {
  const [, request, objects] = unpack(bytes) as Loaded;
  for (const state of objects) CachedObject.of(state);
  const load = waiting.get(request);
  if (load === undefined) throw new Error(`LOADED for ${request}, which nobody asked for`);
  load.left -= objects.length;
  if (load.left > 0) return;
  waiting.delete(request);
  load.done();
}

const { image, oids } = options<{ image: string; oids: readonly Oid[] }>();
const { journal: limits, kernel: kernelLimits } = defaultConfig;
const journal = await openJournal(image, { ...limits, headSyncMs: kernelLimits.headSyncMs });
const ports = portsOf(journal, (envelope) => {
  if (envelope[0] === T.LOADED) loaded(pack(envelope));
});
const kernel = new Kernel(defaultConfig, journal.identity, ports);
await new Promise<void>((resolve) => step((now) => kernel.recover(genesisCommit(), now, resolve)));
step((now) => kernel.hostJoined(HOST, { incarnation: 1, quarantine: false }, now));

let requests = 0;
const load = (batch: readonly Oid[]): Promise<void> =>
  new Promise((resolve) => {
    const request = ++requests;
    waiting.set(request, { left: batch.length, done: resolve });
    step((now) => kernel.fromHost(HOST, [T.LOAD, request, [...batch], []], now));
  });
report({ perSecond: await onePass(oids, load) });
process.exit(0);
