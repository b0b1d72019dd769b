/**
 * What a simulated run leaves behind for the checker: facts, each with the moment (a running number over the whole run) at which
 * it was seen. Facts are taken where the process under test can't tamper with them: at the client, at the kernel's ports, at the
 * host's own cache, and from the journal as it is found at the end.
 */
import type { CommitBody, Content, Reply } from '../../protocol/envelope.js';
import type { WireError } from '../../protocol/errors.js';
import { nothingKept, type Kept } from './leftovers.js';
import type { Op } from './script.js';
import type { NameBefore, SlotBefore } from '../../runtime/journal/records.js';

/** A turn as the journal holds it. */
export interface TurnFact {
  readonly seq: number;
  readonly attempt: number;
  readonly session: number;
  readonly no: number;
  /** When it was accepted, ms. */
  readonly time: number;
  readonly body: CommitBody;
  readonly before: readonly SlotBefore[];
  readonly namesBefore: readonly NameBefore[];
  readonly firstOutgoing: number;
  /** It handled an outbox message or timer. */
  readonly consumed: boolean;
  /** What the kernel did here itself (`undo(7)`, `deadLetterDrop`, …); '' for the turn of a host. */
  readonly own: string;
}

/** One slot as a turn saw it; the pseudo slots `''` and `'*'` have no content; undefined: nobody noted it. */
export type SlotSeen = readonly [oid: string, slot: string, attempt: number, content: Content | undefined];
export type NameSeen = readonly [name: string, attempt: number, oid: string | null];

/** What a host sent as a commit, noted by the host itself. */
export interface AttemptFact {
  readonly attempt: number;
  readonly session: number;
  readonly no: number;
  readonly reads: readonly SlotSeen[];
  readonly names: readonly NameSeen[];
  readonly wrote: boolean;
  /** Its answer, to be compared with what leaves the kernel. */
  readonly reply: Reply;
  /** When it reached the kernel the kernel had already declared this host dead. */
  fenced: boolean;
}

/** What a client knows of one thing that it wanted. `token` stands in the arguments; the client may use several ids for it. */
export interface RequestFact {
  readonly token: string;
  readonly begun: number;
  ended: number;
  outcome: 'open' | 'answer' | 'error' | 'unknown';
  attempt: number;
  code: string;
  /** What it was answered, one value for each operation that gives one. */
  results: readonly unknown[];
}

/** An ASK as the kernel got it: ties an id to a token. */
export interface AskFact {
  readonly session: number;
  readonly no: number;
  readonly token: string;
}

/** An ANSWER or ERROR at the moment it left the kernel. `attempt` 0: made by the kernel itself. `reply`: all of it. */
export interface AnswerFact {
  readonly at: number;
  readonly life: number;
  readonly session: number;
  readonly no: number;
  readonly attempt: number;
  readonly code: string;
  readonly retryable: boolean;
  readonly seq: number;
  readonly reply: Reply;
  /** Last turn that a power cut at this moment would have left. */
  readonly durable: number;
}

/** An outbox message or timer handed to a host. */
export interface DeliveryFact {
  readonly at: number;
  readonly no: number;
  readonly time: number;
  readonly durable: number;
}

export interface NoticeFact {
  readonly stream: string;
  readonly part: number;
  readonly seq: number;
  readonly durable: number;
  readonly changes: readonly (string | readonly string[])[];
}

/** An answer of a service as a turn got it, or as the journal held it when a life of the kernel began. */
export interface EffectFact {
  readonly life: number;
  readonly message: string;
  readonly body: string;
}

/** A QUERY, when the kernel first got it. */
export interface QuestionFact {
  readonly at: number;
  readonly op: string;
  readonly args: readonly unknown[];
}

/** The kernel's answer to a question at the moment it left. */
export interface ToldFact {
  readonly session: number;
  readonly no: number;
  readonly life: number;
  readonly seq: number;
  readonly value: unknown;
  readonly error: WireError | null;
  /** Last turn that a power cut at this moment would have left. */
  readonly durable: number;
  /** When its client got it. */
  ended: number;
}

/** A dead letter. */
export interface LetterFact {
  /** `session:no` of the message. */
  readonly of: string;
  readonly money: number;
  /** It is still there at the end. */
  left: boolean;
}

/** A message ended the host that ran it. */
export interface DoomFact {
  readonly life: number;
  readonly id: string;
  readonly quarantine: boolean;
}

/** The kernel gave a host up. */
export interface LossFact {
  readonly life: number;
  readonly quarantine: boolean;
  /** The message that ended it, if one did and the kernel had not ended that message meanwhile; else ''. */
  readonly doomedBy: string;
  readonly struck: readonly string[];
}

export interface History {
  /** What each token asked for. */
  readonly scripts: Map<string, readonly Op[]>;
  readonly turns: TurnFact[];
  readonly attempts: Map<number, AttemptFact>;
  readonly requests: RequestFact[];
  readonly asks: AskFact[];
  readonly answers: AnswerFact[];
  readonly deliveries: DeliveryFact[];
  readonly notices: NoticeFact[];
  readonly effects: EffectFact[];
  /** By `session:no`. */
  readonly questions: Map<string, QuestionFact>;
  readonly told: ToldFact[];
  readonly dooms: DoomFact[];
  readonly losses: LossFact[];
  /** Lives of the kernel in which nothing could be written. */
  readonly readOnlyLives: Set<number>;
  /** Strikes that were durable when a life of the kernel began, by `life session:no`. */
  readonly strikesAtBirth: Map<string, number>;
  /** `session:no` of each dead letter at the end. */
  readonly deadLetters: Set<string>;
  /** Every letter that ever was durable. */
  readonly letters: Map<number, LetterFact>;
  /** What the journal keeps at the end, and the last life of the kernel that was at rest. */
  readonly kept: Kept;
  lastLife: number;
  /** Numbers of outbox messages and timers that the journal still holds at the end. */
  readonly pending: Set<number>;
  /** What outgoing messages carry, by their number. */
  readonly moneyIn: Map<number, number>;
  /** Every slot of every object, and every name, read back through the kernel after the last restart. */
  readonly finalSlots: SlotSeen[];
  readonly finalNames: NameSeen[];
  /** Set when the run could not be brought to rest. */
  stuck: string;
}

const textOf = (content: Content): string =>
  content instanceof Uint8Array
    ? Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('base64')
    : String(content);

/** All of an answer as text. */
export const textOfReply = ([ok, body, error]: Reply): string => (ok ? textOf(body) : JSON.stringify(error));

export function sameReply(a: Reply, b: Reply): boolean {
  if (a === b) return true;
  if (a[1] instanceof Uint8Array && b[1] instanceof Uint8Array) return Buffer.compare(a[1], b[1]) === 0;
  return a[0] === b[0] && textOfReply(a) === textOfReply(b);
}

export const emptyHistory = (): History => ({
  scripts: new Map(),
  turns: [],
  attempts: new Map(),
  requests: [],
  asks: [],
  answers: [],
  deliveries: [],
  notices: [],
  effects: [],
  questions: new Map(),
  told: [],
  dooms: [],
  losses: [],
  strikesAtBirth: new Map(),
  readOnlyLives: new Set(),
  deadLetters: new Set(),
  letters: new Map(),
  kept: nothingKept(),
  lastLife: 0,
  pending: new Set(),
  moneyIn: new Map(),
  finalSlots: [],
  finalNames: [],
  stuck: '',
});

/** A broken promise of the design, in words that name the turn, message or key. */
export interface Violation {
  readonly rule: string;
  readonly message: string;
}
