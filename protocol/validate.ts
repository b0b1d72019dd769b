/**
 * Checks what came out of a frame, before anything uses it: lengths, types and ranges of every position. Hand-coded and without
 * allocation, as each envelope of the system passes here. Bodies stay opaque; sizes that a configuration sets are checked by
 * whoever holds it (kernel, link). @throws TelosError MALFORMED, which quotes the value and its place
 */
import {
  bad,
  bytes,
  checkError,
  content,
  count,
  flag,
  items,
  list,
  positive,
  show,
  text,
  texts,
  type List,
} from './checks.js';
import { TelosError } from './errors.js';
import { MAGIC, PROTOCOL_VERSION, ROLES, type Hello, type Welcome } from './frames.js';
import { T, type FromClient, type FromHost, type FromService, type ToClient, type ToHost } from './envelope.js';

function typeOf(env: unknown): number {
  const type: unknown = Array.isArray(env) ? env[0] : undefined;
  if (typeof type !== 'number') throw bad('envelope', 'its type', Array.isArray(env) ? type : env, 'a number');
  return type;
}

// ---- client and kernel -------------------------------------------------------------------------------------------------------

export function checkFromClient(env: unknown): FromClient {
  switch (typeOf(env)) {
    case T.ASK:
      checkAsk(list(env, 9, 'ASK'));
      break;
    case T.CANCEL:
      positive(list(env, 2, 'CANCEL')[1], 'CANCEL', 'no');
      break;
    case T.SUBSCRIBE:
      checkSubscribe(list(env, 4, 'SUBSCRIBE'));
      break;
    case T.CREDIT:
      checkCredit(list(env, 3, 'CREDIT'));
      break;
    case T.UNSUBSCRIBE:
      count(list(env, 2, 'UNSUBSCRIBE')[1], 'UNSUBSCRIBE', 'sub');
      break;
    case T.QUERY:
      checkQuery(list(env, 6, 'QUERY'));
      break;
    case T.RELEASE:
      checkRelease(list(env, 2, 'RELEASE')[1]);
      break;
    default:
      throw bad('envelope from a client', 'its type', (env as List)[0], 'one of 1 to 7');
  }
  return env as FromClient;
}

function checkAsk(ask: List): void {
  positive(ask[1], 'ASK', 'no');
  count(ask[2], 'ASK', 'lowest');
  count(ask[3], 'ASK', 'deadline');
  text(ask[4], 'ASK', 'trace');
  text(ask[5], 'ASK', 'target');
  text(ask[6], 'ASK', 'selector');
  bytes(ask[7], 'ASK', 'args');
  const origin = ask[8];
  if (origin !== 0 && origin !== 1 && origin !== 2) throw bad('ASK', 'origin', origin, '0, 1 or 2');
}

function checkSubscribe(env: List): void {
  count(env[1], 'SUBSCRIBE', 'sub');
  text(env[2], 'SUBSCRIBE', 'pattern');
  count(env[3], 'SUBSCRIBE', 'credit');
}

function checkCredit(env: List): void {
  count(env[1], 'CREDIT', 'sub');
  count(env[2], 'CREDIT', 'credit');
}

function checkQuery(env: List): void {
  positive(env[1], 'QUERY', 'no');
  count(env[2], 'QUERY', 'lowest');
  count(env[3], 'QUERY', 'deadline');
  text(env[4], 'QUERY', 'op');
  bytes(env[5], 'QUERY', 'args');
}

function checkRelease(value: unknown): void {
  const ranges = items(value, 'RELEASE', 'ranges');
  if (ranges.length % 2 !== 0) throw bad('RELEASE', 'ranges', `${ranges.length} numbers`, 'pairs of numbers');
  let after = 0;
  for (let i = 0; i < ranges.length; i++) {
    const no = ranges[i];
    positive(no, 'RELEASE', 'no');
    if ((no as number) < after || (i % 2 === 0 && no === after))
      throw bad('RELEASE', 'ranges', no, 'in ascending order');
    after = no as number;
  }
}

export function checkToClient(env: unknown): ToClient {
  switch (typeOf(env)) {
    case T.ANSWER:
      checkAnswer(list(env, 4, 'ANSWER'));
      break;
    case T.ERROR:
      positive(list(env, 3, 'ERROR')[1], 'ERROR', 'no');
      checkError((env as List)[2], 'ERROR');
      break;
    case T.PARTIAL:
      checkPartial(list(env, 4, 'PARTIAL'));
      break;
    case T.NOTICE:
      checkNotice(list(env, 6, 'NOTICE'));
      break;
    case T.UNSUBSCRIBED:
      count(list(env, 3, 'UNSUBSCRIBED')[1], 'UNSUBSCRIBED', 'sub');
      checkError((env as List)[2], 'UNSUBSCRIBED');
      break;
    default:
      throw bad('envelope to a client', 'its type', (env as List)[0], 'one of 16 to 20');
  }
  return env as ToClient;
}

function checkAnswer(env: List): void {
  positive(env[1], 'ANSWER', 'no');
  content(env[2], 'ANSWER', 'body');
  count(env[3], 'ANSWER', 'seq');
}

function checkPartial(env: List): void {
  positive(env[1], 'PARTIAL', 'no');
  positive(env[2], 'PARTIAL', 'part');
  content(env[3], 'PARTIAL', 'body');
}

function checkNotice(env: List): void {
  count(env[1], 'NOTICE', 'sub');
  positive(env[2], 'NOTICE', 'part');
  count(env[3], 'NOTICE', 'seq');
  count(env[4], 'NOTICE', 'time');
  const changes = items(env[5], 'NOTICE', 'changes');
  for (let i = 0; i < changes.length; i += 2) {
    text(changes[i], 'NOTICE', 'oid');
    texts(changes[i + 1], 'NOTICE', 'slots');
  }
}

// ---- kernel and host ---------------------------------------------------------------------------------------------------------

export function checkFromHost(env: unknown): FromHost {
  switch (typeOf(env)) {
    case T.LOAD:
      positive(list(env, 4, 'LOAD')[1], 'LOAD', 'request');
      texts((env as List)[2], 'LOAD', 'oids');
      texts((env as List)[3], 'LOAD', 'names');
      break;
    case T.COMMIT:
      positive(list(env, 5, 'COMMIT')[1], 'COMMIT', 'attempt');
      count((env as List)[2], 'COMMIT', 'session');
      positive((env as List)[3], 'COMMIT', 'no');
      bytes((env as List)[4], 'COMMIT', 'body');
      break;
    case T.DROPPED:
      texts(list(env, 2, 'DROPPED')[1], 'DROPPED', 'oids');
      break;
    case T.GRANT_REQUEST:
      checkId(list(env, 4, 'GRANT_REQUEST'), 'GRANT_REQUEST');
      texts((env as List)[3], 'GRANT_REQUEST', 'keys');
      break;
    case T.SERVICE:
      checkService(list(env, 8, 'SERVICE'));
      break;
    case T.HOST_PARTIAL:
      checkId(list(env, 5, 'HOST_PARTIAL'), 'HOST_PARTIAL');
      positive((env as List)[3], 'HOST_PARTIAL', 'part');
      content((env as List)[4], 'HOST_PARTIAL', 'body');
      break;
    case T.DECLINED:
      checkId(list(env, 4, 'DECLINED'), 'DECLINED');
      checkError((env as List)[3], 'DECLINED');
      break;
    case T.HOST_STATS:
      checkStats(list(env, 2, 'HOST_STATS')[1]);
      break;
    default:
      throw bad('envelope from a host', 'its type', (env as List)[0], 'one of 48 to 56');
  }
  return env as FromHost;
}

function checkId(env: List, what: string): void {
  count(env[1], what, 'session');
  positive(env[2], what, 'no');
}

function checkService(env: List): void {
  positive(env[1], 'SERVICE', 'request');
  count(env[2], 'SERVICE', 'session');
  positive(env[3], 'SERVICE', 'no');
  text(env[4], 'SERVICE', 'key');
  text(env[5], 'SERVICE', 'service');
  text(env[6], 'SERVICE', 'op');
  bytes(env[7], 'SERVICE', 'args');
}

function checkStats(stats: unknown): void {
  if (typeof stats !== 'object' || stats === null || Array.isArray(stats))
    throw bad('HOST_STATS', 'stats', stats, 'a map');
  for (const key in stats) {
    const value = (stats as Record<string, unknown>)[key];
    if (typeof value !== 'number') throw bad('HOST_STATS', key, value, 'a number');
  }
}

const TO_HOST: Record<number, number> = {
  [T.RUN]: 13,
  [T.LOADED]: 5,
  [T.VERDICT]: 4,
  [T.CHANGED]: 5,
  [T.NAMED]: 4,
  [T.GRANT]: 3,
  [T.RETRY]: 3,
  [T.STOP_RUN]: 3,
  [T.SERVICE_ANSWER]: 4,
  [T.SHUTDOWN]: 2,
};

/** The kernel is trusted by its own workers: type and length only. */
export function checkToHost(env: unknown): ToHost {
  const length = TO_HOST[typeOf(env)];
  if (length === undefined) throw bad('envelope to a host', 'its type', (env as List)[0], 'one of 32 to 41');
  list(env, length, 'envelope to a host');
  return env as ToHost;
}

export function checkFromService(env: unknown): FromService {
  if (typeOf(env) !== T.SERVED) throw bad('envelope from a service', 'its type', (env as List)[0], String(T.SERVED));
  const served = list(env, 5, 'SERVED');
  positive(served[1], 'SERVED', 'request');
  count(served[2], 'SERVED', 'part');
  flag(served[3], 'SERVED', 'ok');
  content(served[4], 'SERVED', 'body');
  return env as FromService;
}

// ---- the greeting --------------------------------------------------------------------------------------------------------------

/** Magic and version are checked by checkVersion, so that another version can be refused as such. */
export function checkHello(value: unknown): Hello {
  const hello = list(value, 9, 'Hello');
  if (!ROLES.includes(hello[2] as Hello[2])) throw bad('Hello', 'role', hello[2], `one of ${ROLES.join(', ')}`);
  const session = integer(hello[6]);
  count(hello[3], 'Hello', 'incarnation');
  text(hello[4], 'Hello', 'key');
  text(hello[5], 'Hello', 'token');
  count(session, 'Hello', 'session');
  text(hello[7], 'Hello', 'agent');
  texts(hello[8], 'Hello', 'services');
  return session === hello[6] ? (value as Hello) : (hello.with(6, session).slice() as Hello);
}

/** Other languages send large integers as 64-bit integers where this one sends floats. */
const integer = (value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

export function checkWelcome(value: unknown): Welcome {
  const welcome = list(value, 10, 'Welcome');
  count(welcome[2], 'Welcome', 'kernel incarnation');
  text(welcome[3], 'Welcome', 'image id');
  count(welcome[4], 'Welcome', 'session');
  for (let i = 5; i < 10; i++) positive(welcome[i], 'Welcome', `element ${i}`);
  return value as Welcome;
}

/** Whether a Hello or Welcome is of this protocol and version; looks at its first two elements only. @throws VERSION_MISMATCH, MALFORMED */
export function checkVersion(value: unknown): void {
  const greeting = list(value, 2, 'greeting');
  if (greeting[0] !== MAGIC) throw bad('greeting', 'its first element', greeting[0], JSON.stringify(MAGIC));
  if (greeting[1] !== PROTOCOL_VERSION) {
    throw new TelosError(
      'VERSION_MISMATCH',
      `the peer speaks version ${show(greeting[1])} of the protocol, this program version ${PROTOCOL_VERSION}`,
    );
  }
}
