/**
 * The first commit of an image ("first breath"), as data. Who writes it checks what is there and leaves out what exists, so it can be written
 * again: the oids are well known.
 */
import { WRITE, type CommitBody, type Content, type Oid, type SlotWrite } from '../../protocol/index.js';
import { nameOf, oidOf, slotsOf } from './object.js';
import { definitions } from './objects.js';

export function genesisObjects(): [oid: Oid, slots: [slot: string, content: Content][]][] {
  return definitions.map((definition) => [oidOf(definition), slotsOf(definition)]);
}

export function genesisCommit(): CommitBody {
  const objects = genesisObjects();
  return [
    [],
    [],
    objects.map(([oid]) => oid),
    objects.map(([oid, slots]) => [oid, slots.map(([slot, content]): SlotWrite => [slot, WRITE.SET, content])]),
    definitions.map((definition) => [nameOf(definition), oidOf(definition)]),
    [],
    [],
    [true, null, null],
  ];
}
