/**
 * What a turn would write, as long as it may still be undone: drafts of slots and names, created objects, outgoing messages, timers. Each belongs
 * to the frame that made it; a frame that fails undoes its own, also when other frames wrote the same slot in between.
 */
import type { Bytes, Content, Oid } from '../../protocol/index.js';
import { ABSENT } from '../../protocol/index.js';
import { Cell } from './cell.js';

export interface Undoable {
  undo(): void;
}

/** Effects of a frame and of the frames that it called, in order. */
export type Log = (Undoable | Log)[];

export function undoAll(log: Log): void {
  for (let i = log.length - 1; i >= 0; i--) {
    const entry = log[i] as Undoable | Log;
    if (Array.isArray(entry)) undoAll(entry);
    else entry.undo();
  }
  log.length = 0;
}

/** Who may overwrite a draft in place: the frame that made it, or the one into which that has ended. */
export interface Owner {
  readonly endedInto: Owner | null;
}

export function liveOwner(owner: Owner): Owner {
  let live = owner;
  while (live.endedInto !== null) live = live.endedInto;
  return live;
}

/** Where drafts of one key live. */
export interface DraftHome {
  readonly drafts: Map<string, Draft>;
  /** A draft came or went. */
  drafted(key: string): void;
}

/** A slot (or name) as this turn would leave it. Removed: content null. */
export class Draft extends Cell implements Undoable {
  dead = false;
  removed = false;
  /** The content holds a name where an oid has to stand at the end. */
  named = false;

  constructor(
    readonly home: DraftHome,
    readonly key: string,
    content: Content,
    public owner: Owner,
    private readonly before: Draft | undefined,
  ) {
    super(ABSENT, 0, content);
  }

  undo(): void {
    this.dead = true;
    const { drafts } = this.home;
    if (drafts.get(this.key) !== this) return;
    let before = this.before;
    while (before?.dead) before = before.before;
    if (before === undefined) drafts.delete(this.key);
    else drafts.set(this.key, before);
    this.home.drafted(this.key);
  }
}

/** Writes a draft for `owner`, in place if its last one still stands on top. Answers true when it is a new entry for the log. */
export function putDraft(
  home: DraftHome,
  key: string,
  content: Content,
  removed: boolean,
  named: boolean,
  owner: Owner,
): Draft | null {
  const top = home.drafts.get(key);
  const reuse = top !== undefined && liveOwner(top.owner) === owner;
  const draft = reuse ? top : new Draft(home, key, content, owner, top);
  draft.owner = owner;
  draft.replace(content);
  draft.removed = removed;
  draft.named = named;
  if (!reuse) home.drafts.set(key, draft);
  home.drafted(key);
  return reuse ? null : draft;
}

/** An object that the turn creates. */
export class Creation implements Undoable {
  dead = false;
  constructor(readonly oid: Oid) {}
  undo(): void {
    this.dead = true;
  }
}

/** A message that leaves with the commit; `delay` null for the outbox, else a timer. */
export class Departure implements Undoable {
  dead = false;
  constructor(
    readonly target: string,
    readonly selector: string,
    public args: Bytes,
    readonly delay: number | null,
    readonly named: boolean,
  ) {}
  undo(): void {
    this.dead = true;
  }
}
