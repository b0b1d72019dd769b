/**
 * Brings the kernel to the state that the journal holds: snapshots up to the replay mark are true, the turns after it are applied again.
 *
 *   Y1  A turn is applied to an object only if the object's snapshot is older than the turn.
 *   Y2  Saved replies of replayed turns are kept in memory until their session comes back or they get keys of their own.
 *   Y3  Names, outbox, timers and dead letters need no replay: their keys were written in the group of their turn.
 */
import {
  checkCommitBody,
  incarnationOf,
  unpack,
  type CommitBody,
  type Oid,
  type Recorded,
  type SessionId,
} from '../../protocol/index.js';
import {
  decodeRecord,
  ENDED_LOWEST,
  fieldsOf,
  keys,
  prefixRange,
  rangeOf,
  textOf,
  type GroupRecord,
  type LifeRecord,
  type ObjectRecord,
  type ReplyRecord,
  type SessionRecord,
  type StrikesRecord,
  type TurnRecord,
} from '../journal/index.js';
import { applyTurn } from './commit.js';
import type { KernelCore } from './core.js';
import { keep, LOBBY } from './objects.js';
import { newSession, type Session } from './sessions.js';

const RECORDS_PER_PAGE = 16;
/** Stretches of lives that could not write: enough for two days, after which a session has ended anyway. */
const UNWRITTEN_KEPT = 64;
const ROWS_PER_PAGE = 512;

const NO_HEADER: SessionRecord = [0, ENDED_LOWEST, '', ''];

type SessionRead = (session: Session | 'ended' | 'never written', now: number) => void;

export class Recovery {
  /** Seq of the snapshot of each object that was loaded for the replay. */
  readonly #snapshots = new Map<Oid, number>();
  /** Incarnations of lives that could not write, [first, last, …]: the sessions that they granted have no header. */
  #unwritten: number[] = [];
  /** Who waits for a session that is being read. */
  readonly #reading = new Map<SessionId, SessionRead[]>();

  constructor(private readonly core: KernelCore) {}

  run(done: (now: number) => void): void {
    const { reader, identity } = this.core;
    reader.get(
      [keys.meta('replay'), keys.meta('counters'), keys.object(LOBBY), keys.meta('life')],
      ([mark, counters, lobby, life]) => {
        if (counters) this.core.nextOutgoing = decodeRecord<[number]>(counters, 'm counters')[0];
        this.#begin(life);
        const from = mark ? decodeRecord<[number]>(mark, 'm replay')[0] : 1;
        this.#adopt(LOBBY, lobby);
        if (from > identity.endSeq) this.#rest(done);
        else
          reader.page({ gte: rangeOf('j').gte, lte: keys.record(from), reverse: true }, 1, ([row]) =>
            this.#replay(row?.[0] ?? keys.record(from), from, done),
          );
        reader.flush();
      },
    );
    reader.flush();
  }

  /** Each life that can write says so, with its first group: what lies between two of them could not. */
  #begin(life: Uint8Array | undefined): void {
    const { incarnation } = this.core.identity;
    const [last, before] = life ? decodeRecord<LifeRecord>(life, 'm life') : [incarnation - 1, []];
    this.#unwritten =
      last + 1 < incarnation ? [...before, last + 1, incarnation - 1].slice(-2 * UNWRITTEN_KEPT) : before;
  }

  /** Was this session granted while the disk was full? Then it has no header before its client comes back. */
  #beganReadOnly(id: SessionId): boolean {
    const life = incarnationOf(id);
    return this.#unwritten.some((first, i) => i % 2 === 0 && first <= life && life <= (this.#unwritten[i + 1] ?? 0));
  }

  /** A session without a header has ended, but where one that never was durable has none either: there the header says so. */
  removeHeader(id: SessionId): void {
    const { groups, wallNow } = this.core;
    const ended: SessionRecord = [wallNow, ENDED_LOWEST, '', ''];
    if (this.#beganReadOnly(id)) groups.put(keys.session(id), ended);
    else groups.delete(keys.session(id));
  }

  #adopt(oid: Oid, value: Uint8Array | undefined): void {
    this.core.state.adopt(oid, value);
    this.#snapshots.set(oid, value ? decodeRecord<ObjectRecord>(value, `object ${oid}`)[0] : 0);
  }

  #replay(from: Buffer, mark: number, done: (now: number) => void): void {
    this.core.reader.page({ gte: from, lt: rangeOf('j').lt }, RECORDS_PER_PAGE, (rows) => {
      const groups = rows.map(([key, value]) =>
        decodeRecord<GroupRecord>(value, `journal record ${fieldsOf(key)[0] ?? 0}`),
      );
      const wanted = new Set<Oid>();
      for (const [, , , turns] of groups)
        for (const turn of turns) for (const [oid] of turn[10]) if (!this.#snapshots.has(oid)) wanted.add(oid);
      const oids = [...wanted];
      this.core.reader.get(
        oids.map((oid) => keys.object(oid)),
        (values, now) => {
          oids.forEach((oid, i) => this.#adopt(oid, values[i]));
          for (const [, first, , turns] of groups)
            turns.forEach((turn, i) => first + i >= mark && this.#apply(turn, first + i));
          const last = rows[rows.length - 1];
          if (last === undefined || rows.length < RECORDS_PER_PAGE) this.#rest(done);
          else this.#replay(Buffer.concat([last[0], Buffer.of(0)]), mark, done);
          this.core.reader.flush();
          this.core.now = now;
        },
      );
      this.core.reader.flush();
    });
  }

  #apply(turn: TurnRecord, seq: number): void {
    const [attempt, sessionId, no, , , , , , , bytes, , namesBefore] = turn;
    const body = checkCommitBody(unpack(bytes));
    const newer = (oid: Oid): boolean => (this.#snapshots.get(oid) ?? 0) < seq;
    const part: CommitBody = [
      [],
      [],
      body[2].filter(newer),
      body[3].filter(([oid]) => newer(oid)),
      [],
      [],
      [],
      body[7],
    ];
    for (const oid of body[2]) if (!this.#snapshots.has(oid)) this.#snapshots.set(oid, 0);
    applyTurn(this.core.state, part, attempt, seq);
    const names = new Map(body[4]);
    const cameOrWent = namesBefore.some(([name, oid]) => (oid === null) !== ((names.get(name) ?? null) === null));
    const lobby = this.core.state.objects.get(LOBBY);
    if (cameOrWent && lobby && newer(LOBBY)) {
      lobby.shape = attempt;
      lobby.shapeSeq = seq;
      this.core.state.touch(lobby, seq);
    }
    this.core.groups.replayed(seq, bytes.length);
    if (sessionId !== 0) this.#saveReply(sessionId, no, seq, body);
  }

  #saveReply(id: SessionId, no: number, seq: number, body: CommitBody): void {
    const { sessions, replies } = this.core;
    const session = sessions.byId.get(id) ?? this.#remember(id);
    const [, content, error] = body[7];
    replies.keep(session, no, seq, keep(content), error, true);
  }

  #remember(id: SessionId): Session {
    const session = newSession(id, '', '', 0);
    session.loaded = false;
    this.core.sessions.byId.set(id, session);
    return session;
  }

  /** What needs no replay, and what belongs to the kernel's own session. */
  #rest(done: (now: number) => void): void {
    const { identity } = this.core;
    this.#dropEnded(() =>
      this.#each(
        rangeOf('s'),
        (key, value) => this.#strikes(key, value),
        () =>
          this.#each(
            prefixRange(keys.session(0).subarray(0, 9)),
            (key, value) => this.#recorded(this.core.own, key, value),
            (now) => {
              // Not before: a group that is written during the replay would say that what is not replayed yet is in the snapshots.
              this.core.groups.put(keys.meta('life'), [identity.incarnation, this.#unwritten] satisfies LifeRecord);
              this.core.delivery.start();
              this.#release();
              done(now);
            },
          ),
      ),
    );
  }

  /** What was read for the replay and is as its snapshot says is needed no more. */
  #release(): void {
    this.core.state.releaseIdle(this.#snapshots.keys());
    this.#snapshots.clear();
  }

  /** Sessions that ended have no header any more: their replies are nobody's. */
  #dropEnded(done: () => void): void {
    const { sessions, reader } = this.core;
    const found = [...sessions.byId.values()].filter((session) => !session.loaded);
    reader.get(
      found.map(({ id }) => keys.session(id)),
      (values) => {
        found.forEach((session, i) => hasEnded(session.id, values[i]) && sessions.end(session));
        done();
        reader.flush();
      },
    );
    reader.flush();
  }

  #each(
    range: { gte?: Buffer; gt?: Buffer; lt: Buffer },
    step: (key: Buffer, value: Uint8Array) => void,
    done: (now: number) => void,
  ): void {
    this.core.reader.page(range, ROWS_PER_PAGE, (rows, now) => {
      for (const [key, value] of rows) step(key, value);
      const last = rows[rows.length - 1];
      if (last === undefined || rows.length < ROWS_PER_PAGE) done(now);
      else this.#each({ gt: last[0], lt: range.lt }, step, done);
    });
  }

  #strikes(key: Buffer, value: Uint8Array): void {
    const [session = 0, no = 0] = fieldsOf(key);
    this.core.suspicion.adopt(
      session as SessionId,
      no,
      decodeRecord<StrikesRecord>(value, `strikes of ${session}.${no}`),
    );
  }

  #recorded(session: Session, key: Buffer, value: Uint8Array): void {
    const [, no = 0] = fieldsOf(key);
    const [ok, body] = decodeRecord<[boolean, Recorded[2]]>(value, `recorded answer for ${session.id}.${no}`);
    const known = session.recorded.get(no) ?? [];
    known.push([textOf(key.subarray(17)), ok, body]);
    session.recorded.set(no, known);
  }

  /**
   * The session, read from the journal if it is not in memory: once, however many ask for it meanwhile. 'ended': or it never was.
   * 'never written': it was granted while the disk was full, so nothing was written in it, and it may go on as a new one.
   */
  session(id: SessionId, done: SessionRead): void {
    const { sessions } = this.core;
    const known = sessions.byId.get(id);
    const waiting = this.#reading.get(id);
    if (known?.loaded) done(known, this.core.now);
    else if (waiting) waiting.push(done);
    else {
      this.#reading.set(id, [done]);
      this.#read(id, known ?? newSession(id, '', '', 0));
    }
  }

  #read(id: SessionId, session: Session): void {
    const { sessions } = this.core;
    let header = null as SessionRecord | null;
    const step = (key: Buffer, value: Uint8Array): void => {
      const [, no = 0] = fieldsOf(key);
      if (key.length > 17) this.#recorded(session, key, value);
      else if (no === 0) header = decodeRecord<SessionRecord>(value, `session ${id}`);
      else if (!session.replies.has(no)) {
        const [seq] = decodeRecord<ReplyRecord>(value, `saved reply ${id}.${no}`);
        this.core.replies.adopt(session, no, seq);
      }
    };
    this.#each(prefixRange(keys.session(id).subarray(0, 9)), step, (now) => {
      const waiting = this.#reading.get(id) ?? [];
      this.#reading.delete(id);
      const absent = header === null && !sessions.ending.has(id) && this.#beganReadOnly(id) ? 'never written' : 'ended';
      const [lastHeard, lowest, key, agent] = header ?? NO_HEADER;
      const found = lowest !== ENDED_LOWEST && !sessions.ending.has(id);
      if (found) {
        Object.assign(session, {
          key,
          agent,
          lowest: Math.max(session.lowest, lowest),
          lastHeard,
          loaded: true,
        } satisfies Partial<Session>);
        sessions.byId.set(id, session);
      } else sessions.end(session);
      for (const done of waiting) done(found ? session : absent, now);
    });
  }
}

const hasEnded = (id: SessionId, header: Uint8Array | undefined): boolean =>
  header === undefined || decodeRecord<SessionRecord>(header, `session ${id}`)[1] === ENDED_LOWEST;
