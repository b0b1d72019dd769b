/** Owns: who watches what. Notices leave only for durable turns; without credit they are counted, not kept: a gap in `part` shows it. */
import { T, TelosError, type Oid, type ToClient } from '../../protocol/index.js';
import type { PeerId } from './ports.js';

interface Watch {
  readonly peer: PeerId;
  readonly sub: number;
  readonly pattern: string;
  /** Turns up to this one were accepted before anybody watched, and may not have been noted for notices. */
  readonly after: number;
  credit: number;
  part: number;
}

const isName = (pattern: string): boolean => pattern !== '*' && !pattern.startsWith('#');

export class Notices {
  readonly #byPeer = new Map<PeerId, Map<number, Watch>>();
  /** By oid, by name, or `*`. */
  readonly #byPattern = new Map<string, Set<Watch>>();

  constructor(
    private readonly send: (peer: PeerId, envelope: ToClient) => void,
    private readonly limit: number,
    private readonly maxCredit: number,
    /** Somebody begins to watch this name, or nobody does any more: what it stands for must be known as long. */
    private readonly nameWatched: (name: string, watched: boolean) => void = () => undefined,
  ) {}

  get watched(): boolean {
    return this.#byPattern.size > 0;
  }

  /** Tells of every turn that is accepted from now on; `after` is the last one that is accepted already. */
  subscribe(peer: PeerId, sub: number, pattern: string, credit: number, after: number): void {
    const watches = this.#byPeer.get(peer) ?? new Map<number, Watch>();
    if (!watches.has(sub) && watches.size >= this.limit)
      throw new TelosError(
        'BUSY',
        `this client has ${watches.size} subscriptions, the most that kernel.max_subscriptions allows`,
      );
    this.unsubscribe(peer, sub);
    const watch: Watch = { peer, sub, pattern, after, credit: Math.min(credit, this.maxCredit), part: 0 };
    watches.set(sub, watch);
    this.#byPeer.set(peer, watches);
    const same = this.#byPattern.get(pattern) ?? new Set<Watch>();
    if (same.size === 0 && isName(pattern)) this.nameWatched(pattern, true);
    same.add(watch);
    this.#byPattern.set(pattern, same);
  }

  credit(peer: PeerId, sub: number, credit: number): void {
    const watch = this.#byPeer.get(peer)?.get(sub);
    if (watch) watch.credit = Math.min(this.maxCredit, watch.credit + credit);
  }

  unsubscribe(peer: PeerId, sub: number): void {
    const watch = this.#byPeer.get(peer)?.get(sub);
    if (watch === undefined) return;
    this.#byPeer.get(peer)?.delete(sub);
    const same = this.#byPattern.get(watch.pattern);
    same?.delete(watch);
    if (same?.size !== 0) return;
    this.#byPattern.delete(watch.pattern);
    if (isName(watch.pattern)) this.nameWatched(watch.pattern, false);
  }

  forget(peer: PeerId): void {
    for (const sub of [...(this.#byPeer.get(peer)?.keys() ?? [])]) this.unsubscribe(peer, sub);
    this.#byPeer.delete(peer);
  }

  /** `namesOf` gives the names that are watched and stand for an oid now. */
  publish(
    seq: number,
    time: number,
    changes: [oid: Oid, slots: string[]][],
    oidOfName: (name: string) => Oid | null,
  ): void {
    const flat: (string | string[])[] = [];
    for (const [oid, slots] of changes) flat.push(oid, slots);
    for (const watch of this.#byPattern.get('*') ?? []) this.#notify(watch, seq, time, flat);
    const byOid = new Map<string | null, string[]>(changes);
    for (const [pattern, watches] of this.#byPattern) {
      const oid = isName(pattern) ? oidOfName(pattern) : (pattern as Oid);
      const slots = byOid.get(oid);
      if (oid !== null && slots) for (const watch of watches) this.#notify(watch, seq, time, [oid, slots]);
    }
  }

  #notify(watch: Watch, seq: number, time: number, changes: (string | string[])[]): void {
    if (seq <= watch.after) return;
    watch.part++;
    if (watch.credit <= 0) return;
    watch.credit--;
    this.send(watch.peer, [T.NOTICE, watch.sub, watch.part, seq, time, changes]);
  }
}
