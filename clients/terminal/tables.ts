/** What the kernel tells about itself and its objects, laid out for a terminal. Nothing here asks anything. */
import Table from 'cli-table3';
import type { DeadLetterInfo, ObjectInfo, StatusInfo, TurnInfo } from '../library/index.js';
import type { Paint } from './paint.js';
import { briefly, kindOf, whole, type NameOf } from './values.js';

const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Columns without lines, aligned; `right` names the columns of numbers. */
export function columns(head: string[], rows: (string | number)[][], paint: Paint, right: number[] = []): string {
  const table = new Table({
    head: head.map((title) => paint.dim(title)),
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: head.map((_, index) => (right.includes(index) ? 'right' : 'left')),
  });
  for (const row of rows) table.push(row.map(String));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n');
}

/** Date and time of day in the user's zone, to the millisecond. */
export function moment(ms: number): string {
  const date = new Date(ms);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

const MIB = 1024 * 1024;
const STATES: Record<string, 'green' | 'yellow' | 'red'> = { running: 'green', ready: 'green', degraded: 'red' };

export function statusText(status: StatusInfo, paint: Paint): string {
  const { image, endpoint, seq, generation, processes, ...more } = status;
  const facts: [string, string][] = [
    ['image', image],
    ['endpoint', endpoint],
    ['last turn', `${seq}`],
    ['generation', String(generation)],
    ...Object.entries(more).flatMap(([key, value]): [string, string][] => factsOf(key, value)),
  ];
  const width = Math.max(...facts.map(([key]) => key.length));
  const head = facts.map(([key, value]) => `${paint.dim(key.padEnd(width))}  ${value}`).join('\n');
  const rows = processes.map((one) => [
    one.name,
    one.role,
    one.pid,
    one.incarnation,
    one.residentBytes === undefined ? '' : amount('bytes', one.residentBytes),
    paint[STATES[one.state] ?? 'yellow'](one.state),
    one.restarts === 0 ? '0' : paint.yellow(String(one.restarts)),
  ]);
  return `${head}\n\n${columns(['process', 'role', 'pid', 'incarnation', 'memory', 'state', 'restarts'], rows, paint, [2, 3, 4, 6])}`;
}

function factsOf(key: string, value: unknown): [string, string][] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return [
      [
        spaced(key),
        Object.entries(value)
          .map(([name, item]) => `${spaced(name)} ${amount(name, item)}`)
          .join(', '),
      ],
    ];
  }
  return Array.isArray(value) && value.length === 0 ? [] : [[spaced(key), amount(key, value)]];
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return `${parts[0] === 0 ? '' : `${parts[0]} h `}${parts[1] === 0 ? '' : `${parts[1]} min `}${parts[2]} s`;
}

const spaced = (key: string): string =>
  key.replace(/Ms$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function amount(key: string, value: unknown): string {
  if (typeof value !== 'number')
    return typeof value === 'string'
      ? value
      : JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item));
  if (/Ms$/.test(key)) return duration(value);
  if (/bytes|rss|memory/i.test(key)) return `${(value / MIB).toFixed(1)} MiB`;
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

export function objectText(object: ObjectInfo, nameOf: NameOf, paint: Paint): string {
  const title = object.names.length === 0 ? object.oid : `${object.names.join(', ')} ${paint.dim(object.oid)}`;
  const parents = object.parents.map(({ slot, content }) => `${slot} → ${briefly(content, nameOf)}`);
  const rows = object.slots
    .filter(({ slot }) => !slot.endsWith('*'))
    .map(({ slot, version, content }) => [
      paint.cyan(slot),
      version,
      paint.dim(kindOf(content)),
      briefly(content, nameOf),
    ]);
  const slots =
    rows.length === 0
      ? paint.dim('no slots of its own')
      : columns(['slot', 'version', 'kind', 'content'], rows, paint, [1]);
  return [paint.bold(title), ...parents.map((line) => paint.dim(line)), slots].join('\n');
}

export function slotText(content: unknown, nameOf: NameOf): string {
  return whole(content, nameOf);
}

const what = (turn: TurnInfo, nameOf: NameOf): string =>
  turn.target === ''
    ? turn.selector
    : `${turn.target.startsWith('#') ? nameOf(turn.target) : turn.target}.${turn.selector}`;

function wrote(turn: TurnInfo, nameOf: NameOf): string {
  const parts = turn.writes.map(
    ({ oid, slots }) => `${nameOf(oid)}.${slots.length === 1 ? String(slots[0]) : `{${slots.join(', ')}}`}`,
  );
  if (turn.names.length > 0) parts.push(`name ${turn.names.join(', ')}`);
  if (turn.outbox > 0) parts.push(`${turn.outbox} sent`);
  if (turn.timers > 0) parts.push(`${turn.timers} timed`);
  return parts.join(', ');
}

export const TURN_HEAD = ['turn', 'time', 'message', 'from', 'wrote'];

export function turnRow(turn: TurnInfo, nameOf: NameOf, paint: Paint): (string | number)[] {
  if (turn.folded) return [turn.seq, paint.dim('folded into snapshots'), '', '', ''];
  const error = turn.error === null ? '' : ` ${paint.red(turn.error.code)}`;
  const changes = wrote(turn, nameOf);
  return [
    turn.seq,
    paint.dim(moment(turn.time)),
    what(turn, nameOf),
    turn.sender,
    (changes.length > 70 ? `${changes.slice(0, 69)}…` : changes) + error,
  ];
}

/** Turns as a table, in the order given. */
export function turnsText(turns: TurnInfo[], nameOf: NameOf, paint: Paint): string {
  if (turns.length === 0) return paint.dim('no turns');
  return columns(
    TURN_HEAD,
    turns.map((turn) => turnRow(turn, nameOf, paint)),
    paint,
    [0],
  );
}

/** One turn on one line, for a stream without end. */
export function turnLine(turn: TurnInfo, nameOf: NameOf, paint: Paint): string {
  const [seq, ...rest] = turnRow(turn, nameOf, paint);
  return [String(seq).padStart(8), ...rest].join('  ');
}

export function lettersText(letters: DeadLetterInfo[], nameOf: NameOf, paint: Paint): string {
  if (letters.length === 0) return paint.dim('no dead letters');
  return letters
    .map(({ id, target, selector, time, sender, error, history }) => {
      const head = `${paint.bold(String(id))}  ${nameOf(target)}.${selector}  ${paint.dim(`${moment(time)}  from ${sender}`)}`;
      const why = `    ${paint.red(`${error.code} ${error.name}`)}: ${error.message}`;
      return [head, why, ...history.map(([at, event]) => paint.dim(`    ${moment(at)}  ${event}`))].join('\n');
    })
    .join('\n');
}
