/**
 * Where the journal ends: `m chain`, put by the adapter in the batch of every group, so that it is as durable as the group itself.
 * It counts groups too, for those that only write keys and leave seq and chain as they are.
 */
import { TelosError, type Seq } from '../../protocol/index.js';
import { keys } from './keys.js';
import type { GroupWrite, Key, Put } from './port.js';
import { decodeRecord, encodeRecord, GENERATION } from './records.js';
import { asBuffer, CHAIN_BYTES, checkOrder, EMPTY_CHAIN, nextChain, sealRecord, sealValue } from './seal.js';

export interface JournalEnd {
  readonly seq: Seq;
  readonly chain: Buffer;
  /** First turn of the last commit record: its key. */
  readonly first: Seq;
  /** Groups appended in the life of the image. */
  readonly groups: number;
}

export const NEW_END: JournalEnd = { seq: 0 as Seq, chain: EMPTY_CHAIN, first: 0 as Seq, groups: 0 };

const CHAIN_KEY = keys.meta('chain');
const GENERATION_KEY = keys.meta('generation');
const IMAGE_KEY = keys.meta('image');

export const META_KEYS: readonly Key[] = [CHAIN_KEY, GENERATION_KEY, IMAGE_KEY];

const encodeEnd = (end: JournalEnd): Buffer => encodeRecord([end.seq, end.chain, end.first, end.groups]);

export interface JournalMeta {
  readonly end: JournalEnd;
  readonly generation: number;
  readonly imageId: string;
}

/** What the values of META_KEYS say. Undefined: the making of this journal was interrupted, or it is none. */
export function readMeta(values: readonly (Buffer | undefined)[]): JournalMeta | undefined {
  const [chain, generation, image] = values;
  if (chain === undefined || generation === undefined || image === undefined) return undefined;
  const [seq, hash, first, groups] = decodeRecord<[Seq, Uint8Array, Seq, number]>(chain, 'm chain');
  if (!(hash instanceof Uint8Array) || hash.length !== CHAIN_BYTES)
    throw new TelosError('DAMAGED', 'meta field chain holds no chain hash');
  return {
    end: { seq, chain: Buffer.from(hash), first, groups },
    generation: decodeRecord<[number]>(generation, 'm generation')[0],
    imageId: decodeRecord<[string]>(image, 'm image')[0],
  };
}

const seal = (key: Key, value: Uint8Array): Put => [asBuffer(key), sealValue(key, value)];

/** The first content of a journal. */
export const birthPuts = (imageId: string, generation: number = GENERATION): Put[] => [
  seal(CHAIN_KEY, encodeEnd(NEW_END)),
  seal(GENERATION_KEY, encodeRecord([generation])),
  seal(IMAGE_KEY, encodeRecord([imageId])),
];

export interface SealedGroup {
  readonly end: JournalEnd;
  readonly puts: Put[];
  readonly deletes: Key[];
  readonly bytes: number;
}

/** A group as it goes into the store: values sealed, the record chained, the new end added. */
export function sealGroup(end: JournalEnd, group: GroupWrite): SealedGroup {
  checkOrder(end.seq, group);
  const puts = group.puts.map(([key, value]) => seal(key, value));
  let { seq, chain, first } = end;
  if (group.record !== null) {
    const key = keys.record(group.firstSeq);
    chain = nextChain(chain, group.record);
    seq = group.lastSeq;
    first = group.firstSeq;
    puts.push([key, sealRecord(key, group.record, chain)]);
  }
  const next = { seq, chain, first, groups: end.groups + 1 };
  puts.push(seal(CHAIN_KEY, encodeEnd(next)));
  let bytes = 0;
  for (const [key, value] of puts) bytes += key.length + value.length;
  return { end: next, puts, deletes: group.deletes.map(asBuffer), bytes };
}
