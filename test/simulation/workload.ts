/** What clients ask for: random scripts over a few objects, so that they meet, on several hosts. */
import { accountOid } from './genesis.js';
import type { Random } from './random.js';
import type { Op } from './script.js';

export interface Plan {
  /** Everybody writes the same few objects at once, and a turn gets one try before it asks for a grant. */
  readonly crowded: boolean;
  readonly meanPauseMs: number;
  readonly hosts: number;
  readonly clients: number;
  readonly accounts: number;
  readonly events: number;
}

export function makePlan(random: Random, events: number): Plan {
  const crowded = random.chance(0.25);
  const clients = random.between(2, 4);
  if (crowded) return { crowded, meanPauseMs: 5, hosts: 3, clients, accounts: 3, events };
  return { crowded, meanPauseMs: 14, hosts: random.between(1, 3), clients, accounts: random.between(3, 8), events };
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
  look: 4,
  parent: 2,
  create: 5,
  use: 4,
  forget: 2,
  tell: 5,
  after: 4,
  serve: 4,
  fail: 3,
  badTell: 1,
  ghost: 1,
};

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
        return [['list', random.chance(0.3) ? '#lobby' : a]];
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
          ['serve', 'question'],
          ['add', a, 'hits', 1],
          ...(random.chance(0.4) ? ([['serve', 'more']] as Op[]) : []),
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
