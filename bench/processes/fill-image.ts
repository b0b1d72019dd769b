/**
 * Fills a stopped image with clones of one object: a turn and a snapshot each, as if clients had asked for them one after another,
 * written through the journal's port in groups. Valid in every part: `telos verify` is run on each image that it has filled.
 */
import { defaultConfig } from '../../config/index.js';
import {
  ABSENT,
  WRITE,
  makeAttempt,
  makeSession,
  pack,
  type CommitBody,
  type Oid,
  type Seq,
} from '../../protocol/index.js';
import {
  decodeRecord,
  encodeRecord,
  keys,
  openJournal,
  type ImageIdentity,
  type JournalPort,
  type ObjectRecord,
  type Put,
  type SlotBefore,
  type TurnRecord,
} from '../../runtime/journal/index.js';
import { options, report } from './options.js';

const TURNS_PER_GROUP = 2000;
const RECORD_FORMAT = 1;

interface FillOptions {
  readonly image: string;
  readonly parent: Oid;
  readonly count: number;
}

interface Made {
  readonly turn: TurnRecord;
  readonly snapshot: (groupEnd: number) => ObjectRecord;
}

const oidOf = (index: number): Oid => `#fill.${index.toString(36)}` as Oid;

function clone({ incarnation }: ImageIdentity, { parent }: FillOptions, index: number, time: number): Made {
  const oid = oidOf(index);
  const attempt = makeAttempt(incarnation, index + 1);
  const link = pack({ $ref: parent });
  const answer = pack({ $ref: oid });
  const slots: [string, Uint8Array | number][] = [
    ['parent*', link],
    ['count', index],
  ];
  const writes = slots.map(([slot, content]): [string, 0, Uint8Array | number] => [slot, WRITE.SET, content]);
  const body: CommitBody = [[], [], [oid], [[oid, writes]], [], [], [], [true, answer, null]];
  const before = slots.map(([slot]): SlotBefore => [oid, slot, ABSENT, 0, null]);
  const session = makeSession(incarnation, 1);
  const turn: TurnRecord = [
    attempt,
    session,
    index + 1,
    0,
    'bench',
    parent,
    'clone',
    time,
    '',
    pack(body),
    before,
    [],
    0,
    null,
  ];
  const rows = slots.flatMap(([slot, content]) => [slot, attempt, 1, content]);
  return { turn, snapshot: (groupEnd) => [groupEnd as Seq, attempt, attempt, rows] };
}

async function appendGroup(journal: JournalPort, fill: FillOptions, from: number, first: number): Promise<number> {
  const time = Date.now();
  const size = Math.min(TURNS_PER_GROUP, fill.count - from);
  const made = Array.from({ length: size }, (_, i) => clone(journal.identity, fill, from + i, time));
  const last = first + size - 1;
  const puts = made.flatMap(({ snapshot }, i): Put[] => [
    [keys.object(oidOf(from + i)), encodeRecord(snapshot(last))],
    [keys.history(oidOf(from + i), last), encodeRecord([first + i])],
  ]);
  puts.push([keys.meta('replay'), encodeRecord([last + 1])]);
  const record = encodeRecord([RECORD_FORMAT, first, time, made.map(({ turn }) => turn)]);
  await journal.append({ record, firstSeq: first as Seq, lastSeq: last as Seq, puts, deletes: [] });
  return last + 1;
}

const fill = options<FillOptions>();
const { journal: limits, kernel } = defaultConfig;
const journal = await openJournal(fill.image, { ...limits, headSyncMs: kernel.headSyncMs });
const [mark] = await journal.getMany([keys.meta('replay')]);
let next = journal.identity.endSeq + 1;
if (mark === undefined || decodeRecord<[number]>(mark, 'm replay')[0] !== next) {
  throw new Error('the image was not stopped in order: some of its objects have no snapshot yet');
}
for (let from = 0; from < fill.count; from += TURNS_PER_GROUP) next = await appendGroup(journal, fill, from, next);
await journal.close();
report({ oids: Array.from({ length: fill.count }, (_, i) => oidOf(i)) });
