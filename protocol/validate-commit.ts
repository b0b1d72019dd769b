/** Checks the body of a COMMIT; see validate.ts. */
import {
  bad,
  bytes,
  checkError,
  content,
  count,
  flag,
  items,
  list,
  text,
  textOrNull,
  texts,
  type List,
} from './checks.js';
import { WRITE, type CommitBody } from './envelope.js';

export function checkCommitBody(value: unknown): CommitBody {
  const body = list(value, 8, 'COMMIT body');
  checkReads(items(body[0], 'COMMIT body', 'reads'));
  checkPairs(items(body[1], 'COMMIT body', 'nameReads'), 'name read', false);
  texts(body[2], 'COMMIT body', 'creates');
  checkWrites(items(body[3], 'COMMIT body', 'writes'));
  checkPairs(items(body[4], 'COMMIT body', 'nameWrites'), 'name write', true);
  checkOutbox(items(body[5], 'COMMIT body', 'outbox'));
  checkTimers(items(body[6], 'COMMIT body', 'timers'));
  checkReply(list(body[7], 3, 'reply'));
  return value as CommitBody;
}

function checkReads(sets: List): void {
  for (let i = 0; i < sets.length; i++) {
    const set = list(sets[i], 2, 'read set');
    text(set[0], 'read set', 'oid');
    const reads = items(set[1], 'read set', 'reads');
    if (reads.length % 2 !== 0) throw bad('read set', 'reads', reads, 'pairs of slot and attempt');
    for (let j = 0; j < reads.length; j += 2) {
      text(reads[j], 'read set', 'slot');
      count(reads[j + 1], 'read set', 'attempt');
    }
  }
}

function checkPairs(pairs: List, what: string, write: boolean): void {
  for (let i = 0; i < pairs.length; i++) {
    const pair = list(pairs[i], 2, what);
    text(pair[0], what, 'name');
    if (write) textOrNull(pair[1], what, 'oid');
    else count(pair[1], what, 'attempt');
  }
}

function checkWrites(sets: List): void {
  for (let i = 0; i < sets.length; i++) {
    const set = list(sets[i], 2, 'write set');
    text(set[0], 'write set', 'oid');
    const writes = items(set[1], 'write set', 'writes');
    for (let j = 0; j < writes.length; j++) checkWrite(list(writes[j], 3, 'write'));
  }
}

function checkWrite(write: List): void {
  text(write[0], 'write', 'slot');
  if (write[1] === WRITE.SET) content(write[2], 'write', 'content');
  else if (write[1] === WRITE.PATCH) bytes(write[2], 'write', 'patch');
  else if (write[1] !== WRITE.REMOVE) throw bad('write', 'op', write[1], '0, 1 or 2');
}

function checkOutbox(messages: List): void {
  for (let i = 0; i < messages.length; i++) {
    const message = list(messages[i], 3, 'outgoing message');
    text(message[0], 'outgoing message', 'target');
    text(message[1], 'outgoing message', 'selector');
    bytes(message[2], 'outgoing message', 'args');
  }
}

function checkTimers(timers: List): void {
  for (let i = 0; i < timers.length; i++) {
    const timer = list(timers[i], 4, 'timer');
    count(timer[0], 'timer', 'delay');
    text(timer[1], 'timer', 'target');
    text(timer[2], 'timer', 'selector');
    bytes(timer[3], 'timer', 'args');
  }
}

function checkReply(reply: List): void {
  flag(reply[0], 'reply', 'ok');
  const [unused, place] = reply[0] === true ? [reply[2], 'error'] : [reply[1], 'body'];
  if (unused !== null) throw bad('reply', place, unused, 'null');
  if (reply[0] === true) content(reply[1], 'reply', 'body');
  else checkError(reply[2], 'reply');
}
