/** The commands that look: status, inspect, history, journal, dead-letters, verify, doctor. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TelosError } from '../../protocol/index.js';
import { isServed, type Image, type StatusInfo, type TurnInfo } from '../library/index.js';
import {
  contentJson,
  kindOf,
  lettersText,
  objectText,
  slotText,
  statusText,
  turnLine,
  turnsText,
  type NameOf,
} from '../terminal/index.js';
import { namesOf, type Context } from './context.js';

const WATCH_MS = 1000;

export async function status(context: Context, watch: boolean): Promise<void> {
  await context.withImage(async (image) => {
    if (!watch) return show(context, await image.status());
    for (let before: StatusInfo | null = null; ;) {
      const now: StatusInfo = await image.status();
      if (process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
      const rate = before === null ? {} : { turnsPerSecond: Math.max(0, now.seq - before.seq) / (WATCH_MS / 1000) };
      show(context, { ...now, ...rate });
      before = now;
      await pause(WATCH_MS);
    }
  });
}

const show = (context: Context, info: StatusInfo): void => context.show(() => statusText(info, context.paint), info);

/** The object, or the whole content of one of its slots. */
export async function inspect(context: Context, name: string, slot: string | undefined): Promise<void> {
  await context.withImage(async (image) => {
    const [object, nameOf] = await Promise.all([image.inspect(name), namesOf(image)]);
    if (slot === undefined) {
      const asJson = (info: { content: unknown }): object => ({ ...info, content: contentJson(info.content, nameOf) });
      const data = { ...object, slots: object.slots.map(asJson), parents: object.parents.map(asJson) };
      return context.print(context.json ? JSON.stringify(data) : objectText(object, nameOf, context.paint));
    }
    const found = object.slots.find((one) => one.slot === slot);
    if (found === undefined) {
      const own = object.slots.map((one) => one.slot).join(', ');
      throw new TelosError('NOT_UNDERSTOOD', `${name} has no slot ${JSON.stringify(slot)} of its own`, {
        remedy: `it has ${own || 'none'}`,
      });
    }
    const data = { ...found, kind: kindOf(found.content), content: contentJson(found.content, nameOf) };
    context.print(context.json ? JSON.stringify(data) : slotText(found.content, nameOf));
  });
}

export async function history(context: Context, name: string, limit: number): Promise<void> {
  await context.withImage(async (image) => {
    const [turns, nameOf] = await Promise.all([image.history(name, limit), namesOf(image)]);
    context.show(() => turnsText(turns, nameOf, context.paint), turns);
  });
}

export interface JournalFlags {
  readonly from?: number;
  readonly limit: number;
  readonly follow?: boolean;
}

export async function journal(context: Context, { from, limit, follow }: JournalFlags): Promise<void> {
  await context.withImage(async (image) => {
    const turns = await image.journal(from ?? 0, limit);
    const nameOf = await namesOf(image);
    if (follow !== true) return context.show(() => turnsText(turns, nameOf, context.paint), turns);
    const print = (turn: TurnInfo, names: NameOf): void =>
      context.show(() => turnLine(turn, names, context.paint), turn);
    for (const turn of turns) print(turn, nameOf);
    await followFrom(image, (turns.at(-1)?.seq ?? (await image.status()).seq) + 1, print);
  });
}

/** Notices wake it up; the journal itself tells what happened, so nothing is missed and nothing comes twice. */
async function followFrom(image: Image, first: number, print: (turn: TurnInfo, nameOf: NameOf) => void): Promise<void> {
  let next = first;
  const wake = image.subscribe('*');
  for await (const { seq } of wake) {
    while (next <= seq) {
      const turns = await image.journal(next, 1000);
      if (turns.length === 0) break;
      const nameOf = await namesOf(image);
      for (const turn of turns) print(turn, nameOf);
      next = (turns.at(-1) as TurnInfo).seq + 1;
    }
  }
}

export async function deadLetters(context: Context): Promise<void> {
  await context.withImage(async (image) => {
    const [letters, nameOf] = await Promise.all([image.deadLetters(), namesOf(image)]);
    context.show(() => lettersText(letters, nameOf, context.paint), letters);
  });
}

/** The running kernel audits itself; an image that nobody serves is read by a process of its own. */
export async function verify(context: Context): Promise<void> {
  if (!isServed(context.dir)) return runTool(context, 'verify');
  const report = await context.withImage((image) => image.verify());
  context.show(() => {
    const problems = report.problems.map(({ place, message }) => context.paint.red(`${place}: ${message}`));
    const sum = `${report.turns} turns, ${report.objects} objects: ${report.ok ? 'all is well' : `${problems.length} problems`}`;
    return [...problems, sum].join('\n');
  }, report);
  if (!report.ok) process.exitCode = 1;
}

/** Runs dist/ops/TOOL.js, whose output and exit code are the command's. */
export async function runTool(context: Context, tool: 'verify' | 'doctor'): Promise<void> {
  const script = fileURLToPath(new URL(`../../ops/${tool}.js`, import.meta.url));
  const args = [script, '--image', context.dir, ...(context.json ? ['--json'] : [])];
  process.exitCode = await new Promise<number>((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: 'inherit', windowsHide: true });
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
