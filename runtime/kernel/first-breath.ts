/**
 * Genesis ("first breath"): what of it is missing is written in one commit. Idempotent: an image that has everything is left alone, and an
 * object or name that a person has changed is not touched.
 */
import { ORIGIN, pack, type CommitBody, type Oid } from '../../protocol/index.js';
import { keys } from '../journal/index.js';
import type { KernelCore } from './core.js';
import { LOBBY } from './objects.js';
import { NO_ARGS } from './ports.js';

export function genesisOf(core: KernelCore, genesis: CommitBody, now: number, done: () => void): void {
  const oids = genesis[2];
  const names = genesis[4].map(([name]) => name);
  core.state.pin([], names);
  core.reader.get([...oids.map((oid) => keys.object(oid)), ...names.map((name) => keys.name(name))], (values) => {
    oids.forEach((oid, i) => oid === LOBBY || core.state.adopt(oid, values[i]));
    names.forEach((name, i) => core.state.adoptName(name, values[oids.length + i]));
    const missing = missingOf(core, genesis);
    if (missing === null) done();
    else commit(core, missing, now, done);
    core.state.releaseIdle(oids);
    core.state.unpin([], names);
  });
  core.reader.flush();
}

function missingOf(core: KernelCore, genesis: CommitBody): CommitBody | null {
  const absent = (oid: Oid): boolean => core.state.objects.get(oid)?.exists !== true;
  const creates = genesis[2].filter(absent);
  const writes = genesis[3].filter(([oid]) => absent(oid));
  // A name that a person has removed or given to something else stays as it is: only what is new brings its name.
  const names = genesis[4].filter(
    ([name, oid]) => core.state.names.get(name)?.oid === null && oid !== null && creates.includes(oid),
  );
  if (creates.length + names.length === 0) return null;
  return [[], [], creates, writes, names, [], [], [true, null, null]];
}

function commit(core: KernelCore, body: CommitBody, now: number, done: () => void): void {
  const message = core.ownMessage({
    no: core.nextOutgoing++,
    origin: ORIGIN.PROGRAM,
    sender: 'genesis',
    target: LOBBY,
    selector: 'firstBreath',
    args: NO_ARGS,
    trace: '',
    consumed: null,
  });
  core.groups.put(keys.meta('counters'), [core.nextOutgoing]);
  const seq = core.accept(message, core.nextAttempt(), pack(body), body, null, now);
  core.groups.whenDurable(seq, done);
  core.groups.pump(core.wallNow, false);
}
