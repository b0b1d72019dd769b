/** The commands that look: status, inspect, history, journal, dead-letters, verify, doctor. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { TelosError, type ErrorCode } from '../../protocol/index.js';
import { isServed, type Image, type StatusInfo, type TurnInfo } from '../library/index.js';
import {
  contentJson,
  errorJson,
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
/** A look that is not answered by then says that the kernel is out of reach. */
const LOOK_MS = 2000;
const PAGE = 1000;

/** The kernel is not there now, and may be again. */
const PASSING: ReadonlySet<string> = new Set<ErrorCode>(['OUTCOME_UNKNOWN', 'DEADLINE', 'EXPIRED', 'BUSY']);

export async function status(context: Context, watch: boolean): Promise<void> {
  await context.withImage((image) => (watch ? watchStatus(context, image) : showOnce(context, image)));
}

async function showOnce(context: Context, image: Image): Promise<void> {
  show(context, await image.status());
}

/** Again and again, also through restarts of the kernel and while nothing serves the image. */
async function watchStatus(context: Context, image: Image): Promise<void> {
  const quick = image.with({ deadlineMs: LOOK_MS });
  for (;;) {
    const now = await unlessPassing(quick.status(), (error) => {
      if (context.json) context.print(JSON.stringify(errorJson(error)));
      else context.print(context.paint.yellow(`${context.dir} is out of reach (${error.message}); trying again`));
    });
    if (now !== null) {
      if (process.stdout.isTTY) process.stdout.write('\x1b[H\x1b[2J');
      show(context, now);
    }
    await pause(WATCH_MS);
  }
}

/** Null when the kernel can not be reached now, which is told. */
async function unlessPassing<R>(asked: Promise<R>, tell: (error: TelosError) => void): Promise<R | null> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof TelosError) || !PASSING.has(error.code)) throw error;
    tell(error);
    return null;
  }
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

export async function journal(context: Context, flags: JournalFlags): Promise<void> {
  const { from = 0, limit, follow } = flags;
  await context.withImage(async (image) => {
    if (follow === true) return followJournal(context, image, flags);
    const turns = await image.journal(from, limit);
    const nameOf = await namesOf(image);
    context.show(() => turnsText(turns, nameOf, context.paint), turns);
  });
}

/**
 * The journal itself tells what happened, so nothing is missed and nothing comes twice. Notices only say when to look; since they are
 * lost where the link is, and tell nothing of turns that change no slot, it is looked at every second as well.
 */
async function followJournal(context: Context, image: Image, { from = 0, limit }: JournalFlags): Promise<void> {
  const bell = new Bell();
  void ringAtNotices(image, bell);
  const quick = image.with({ deadlineMs: LOOK_MS });
  let away = false;
  const look = async (first: number, most: number): Promise<TurnInfo[]> => {
    const turns = await unlessPassing(quick.journal(first, most), () => {
      if (!away) context.note(`${context.dir} is out of reach; trying again`);
      away = true;
    });
    if (turns !== null) away = false;
    return turns ?? [];
  };
  const print = async (turns: TurnInfo[]): Promise<void> => {
    const named = !context.json && turns.length > 0;
    const nameOf: NameOf = (named ? await unlessPassing(namesOf(quick), () => undefined) : null) ?? String;
    for (const turn of turns) context.show(() => turnLine(turn, nameOf, context.paint), turn);
  };
  let next = from;
  for (let most = limit; ;) {
    const turns = await look(next, most);
    await print(turns);
    const last = turns.at(-1);
    if (last === undefined) await bell.rung(WATCH_MS);
    else [next, most] = [last.seq + 1, PAGE];
  }
}

/** A subscription that is refused is no harm: the journal is looked at all the same. */
async function ringAtNotices(image: Image, bell: Bell): Promise<void> {
  try {
    const notices = image.subscribe('*');
    while ((await notices.next()).done !== true) bell.ring();
  } catch (error) {
    if (!(error instanceof TelosError)) throw error;
  }
}

/** Rung by some, awaited by one: a ring that comes before is not lost. */
class Bell {
  private wasRung = false;
  private wake: () => void = () => undefined;

  ring(): void {
    this.wasRung = true;
    this.wake();
  }

  async rung(atMostMs: number): Promise<void> {
    const timer = setTimeout(() => this.wake(), atMostMs);
    if (!this.wasRung) await new Promise<void>((resolve) => (this.wake = resolve));
    clearTimeout(timer);
    this.wasRung = false;
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
export async function runTool(
  context: Context,
  tool: 'verify' | 'doctor' | 'sandbox',
  more: string[] = [],
): Promise<void> {
  const script = fileURLToPath(new URL(`../../ops/${tool}.js`, import.meta.url));
  const args = [script, '--image', context.dir, ...(context.json ? ['--json'] : []), ...more];
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
