/** The commands that change something: send, undo, dead-letters retry and drop. */
import { ORIGIN, TelosError, fromJson, toJson } from '../../protocol/index.js';
import type { Image } from '../library/index.js';
import { contentJson } from '../terminal/index.js';
import { namesOf, type Context } from './context.js';

export interface SendFlags {
  readonly deadline?: number;
}

/** One message; the answer as JSON on stdout. */
export async function send(
  context: Context,
  name: string,
  selector: string,
  texts: string[],
  flags: SendFlags,
): Promise<void> {
  const parsed = texts.map(parseArgument);
  await context.withImage(async (image) => {
    const view = image.with({
      origin: ORIGIN.PROGRAM,
      ...(flags.deadline !== undefined && { deadlineMs: flags.deadline }),
    });
    const args = parsed.map((json) => fromJson(json, (id) => image.ref(id)));
    const answer: unknown = await view.send(name, selector, ...args);
    const nameOf = await namesFor(image, answer);
    context.print(JSON.stringify(toJson(answer, { refToName: (value) => nameOf(image.idOf(value)) })));
  });
}

function parseArgument(text: string, index: number): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new TelosError('USAGE', `argument ${index + 1}, ${JSON.stringify(text)}, is no JSON`, {
      remedy: `a string is written with quotes of its own: '${JSON.stringify(text)}'; a reference as '{"$ref": "name"}'`,
    });
  }
}

/** Asks for the names only when the answer holds a reference. */
async function namesFor(image: Image, answer: unknown): Promise<(id: string | undefined) => string | undefined> {
  let found = false;
  toJson(answer, {
    refToName: (value) => {
      found ||= image.idOf(value) !== undefined;
      return undefined;
    },
  });
  if (!found) return (id) => id;
  const nameOf = await namesOf(image);
  return (id) => (id === undefined ? undefined : nameOf(id));
}

export async function undo(context: Context, turn: number): Promise<void> {
  await context.withImage(async (image) => {
    const answer = contentJson(await image.undo(turn), String);
    context.show(() => `turn ${turn} is undone`, { undone: turn, answer });
  });
}

export async function settleLetter(context: Context, what: 'retry' | 'drop', id: number): Promise<void> {
  await context.withImage(async (image) => {
    const answer = contentJson(await (what === 'retry' ? image.retryDeadLetter(id) : image.dropDeadLetter(id)), String);
    context.show(() => (what === 'retry' ? `dead letter ${id} is sent again` : `dead letter ${id} is dropped`), {
      [what]: id,
      answer,
    });
  });
}
