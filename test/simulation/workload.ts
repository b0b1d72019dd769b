/** What clients ask for: random scripts over a few objects, so that they meet, on several hosts. */
import { accountOid } from './genesis.js';
import type { Random } from './random.js';
import type { QueryOp } from '../../protocol/envelope.js';
import type { Op } from './script.js';

export interface Plan {
  /** Everybody writes the same few objects at once, and a turn gets one try before it asks for a grant. */
  readonly crowded: boolean;
  readonly meanPauseMs: number;
  readonly hosts: number;
  readonly clients: number;
  readonly accounts: number;
  readonly events: number;
  /** After the end two days pass, and sessions that nobody uses end. */
  readonly lateEnd: boolean;
}

export function makePlan(random: Random, events: number): Plan {
  const crowded = random.chance(0.25);
  const clients = random.between(2, 4);
  const lateEnd = random.chance(0.3);
  if (crowded) return { crowded, meanPauseMs: 5, hosts: 3, clients, accounts: 3, events, lateEnd };
  return {
    crowded,
    meanPauseMs: 14,
    hosts: random.between(1, 3),
    clients,
    accounts: random.between(3, 8),
    events,
    lateEnd,
  };
}

const KINDS = {
  move: 24,
  pay: 10,
  hit: 14,
  hot: 8,
  read: 10,
  audit: 4,
  set: 4,
  edit: 4,
  remove: 3,
  list: 3,
  names: 6,
  look: 4,
  parent: 2,
  create: 6,
  use: 4,
  forget: 5,
  tell: 5,
  after: 4,
  serve: 4,
  fail: 3,
  badTell: 1,
  ghost: 1,
};

const QUESTIONS = { inspect: 5, history: 3, names: 3, journal: 1, undo: 6, letters: 2 };
const SLOTS = ['s0', 's1', 's2'];
const NAMES = ['n0', 'n1', 'n2', 'n3'];
const MAX_DELAY_MS = 1500;

export class Workload {
  constructor(
    private readonly random: Random,
    private readonly plan: Plan,
  ) {}

  /** An account, by oid or by name. */
  #account(): string {
    const index = this.random.below(this.plan.accounts);
    return this.random.chance(0.5) ? accountOid(index) : `a${index}`;
  }

  #two(): [string, string] {
    const first = this.random.below(this.plan.accounts);
    const second = (first + 1 + this.random.below(this.plan.accounts - 1)) % this.plan.accounts;
    return this.random.chance(0.5) ? [accountOid(first), `a${second}`] : [`a${first}`, accountOid(second)];
  }

  next(): [target: string, ops: Op[]] {
    const kind = this.random.weighted(KINDS);
    const ops = this.#opsOf(kind);
    const wide = this.random.chance(0.1) ? ([['get', this.#account(), 'balance'], ...ops] as Op[]) : ops;
    return [this.#target(wide), wide];
  }

  /** A question to the kernel, or something that the kernel does itself; the journal ends at `end` and holds these dead letters. */
  question(end: number, letters: readonly number[]): [op: QueryOp, args: unknown[]] {
    const { random } = this;
    const op = random.weighted(QUESTIONS);
    switch (op) {
      case 'inspect':
        return [op, [random.chance(0.2) ? random.pick([...NAMES, 'lobby', '#lobby', '#nobody']) : this.#account()]];
      case 'history':
        return [op, [this.#account(), random.between(1, 100)]];
      case 'names':
        return [op, []];
      case 'undo':
        return [op, [Math.max(2, random.chance(0.7) ? end - random.below(6) : random.between(2, Math.max(2, end)))]];
      case 'letters':
        return this.#letter(letters);
      case 'journal':
        return [op, [random.chance(0.5) ? 0 : random.between(1, end + 2), random.between(1, 20)]];
    }
  }

  #letter(letters: readonly number[]): [op: QueryOp, args: unknown[]] {
    const { random } = this;
    if (letters.length === 0 || random.chance(0.3)) return ['deadLetters', []];
    return [random.chance(0.7) ? 'deadLetterRetry' : 'deadLetterDrop', [random.pick(letters)]];
  }

  #target(ops: Op[]): string {
    const who = ops[0]?.[1];
    if (this.random.chance(0.05)) return '';
    return typeof who === 'string' && who !== '' && !NAMES.includes(who) ? who : this.#account();
  }

  #opsOf(kind: keyof typeof KINDS): Op[] {
    const { random } = this;
    const a = this.#account();
    const [from, to] = this.#two();
    const amount = random.between(1, 20);
    const slot = random.pick(SLOTS);
    switch (kind) {
      case 'move':
        return [['move', from, to, amount]];
      case 'pay':
        return [['pay', from, to, amount, random.chance(0.3) ? random.between(1, MAX_DELAY_MS) : 0]];
      case 'hit':
        return [['add', a, 'hits', 1]];
      case 'hot':
        return [['add', accountOid(0), 'hits', 1]];
      case 'read':
        return [
          ['get', from, 'balance'],
          ['get', to, 'balance'],
        ];
      case 'audit':
        return Array.from({ length: this.plan.accounts }, (_, i): Op => ['get', accountOid(i), 'balance']);
      case 'set':
        return [['set', a, slot, amount]];
      case 'edit':
        return [['edit', a, random.below(1000), random.between(97, 122)]];
      case 'remove':
        return [['remove', a, slot]];
      case 'list':
        return [['list', a]];
      case 'names':
        return [['list', '#lobby'], ...(random.chance(0.3) ? ([['add', a, 'hits', 1]] as Op[]) : [])];
      case 'look':
        return [['look', a, random.chance(0.5) ? 'shared' : slot]];
      case 'parent':
        return [['parent', from, '#p']];
      case 'create':
        return [['create', random.pick(NAMES), to]];
      case 'use':
        return [['add', random.pick(NAMES), 'own', 1]];
      case 'forget':
        return [['forget', random.pick(NAMES)]];
      case 'tell':
        return [
          ['add', from, 'hits', 1],
          [
            'tell',
            to,
            [
              ['add', to, 'hits', 1],
              ['get', from, 'hits'],
            ],
          ],
        ];
      case 'after':
        return [['after', random.between(0, MAX_DELAY_MS), a, [['add', a, 'hits', 1]]]];
      case 'serve':
        return [
          ['serve', 'question', random.chance(0.7) ? 'mind' : 'memory'],
          ['add', a, 'hits', 1],
          ...(random.chance(0.4) ? ([['serve', 'more', random.chance(0.6) ? 'mind' : 'memory']] as Op[]) : []),
        ];
      case 'fail':
        return [
          ['add', a, 'hits', 1],
          ['throw', 'by design'],
        ];
      case 'badTell':
        return [
          [
            'tell',
            a,
            [
              ['add', a, 'hits', 1],
              ['throw', 'by design'],
            ],
          ],
        ];
      case 'ghost':
        return [['get', '#nobody', 'balance']];
    }
  }
}
