/** The commands of the session that begin with a dot, beside those of Node's REPL. */
import type { Image } from '../library/index.js';
import { lettersText, objectText, slotText, statusText, turnsText, type Paint } from '../terminal/index.js';
import { TelosError } from '../../protocol/index.js';
import type { Names } from './names.js';

export interface SessionCommand {
  readonly help: string;
  readonly run: (argument: string) => Promise<string>;
}

const LAST = 20;

function seqOf(text: string, what: string): number {
  if (!/^\d+$/.test(text))
    throw new TelosError('USAGE', `${JSON.stringify(text)} is no ${what}`, { remedy: `give the number of a ${what}` });
  return Number(text);
}

export function sessionCommands(image: Image, names: Names, paint: Paint): Record<string, SessionCommand> {
  const nameOf = names.show;
  const fresh = async <R>(work: Promise<R>): Promise<R> => (await Promise.all([work, names.refresh()]))[0];
  return {
    names: {
      help: 'List the names of the image',
      run: async () => {
        await names.refresh();
        return names.all.join('  ');
      },
    },
    inspect: {
      help: 'Slots and parents of an object: .inspect NAME [SLOT]',
      run: async (argument) => {
        const [name = '', slot] = argument.split(/[\s.]+/);
        const object = await fresh(image.inspect(name));
        const one = object.slots.find((candidate) => candidate.slot === slot);
        return one === undefined ? objectText(object, nameOf, paint) : slotText(one.content, nameOf);
      },
    },
    history: {
      help: 'Turns that changed an object: .history NAME',
      run: async (argument) => turnsText(await fresh(image.history(argument, LAST)), nameOf, paint),
    },
    journal: {
      help: 'The last turns, or those from one on: .journal [TURN]',
      run: async (argument) =>
        turnsText(await fresh(image.journal(argument === '' ? 0 : seqOf(argument, 'turn'), LAST)), nameOf, paint),
    },
    undo: {
      help: 'Undo a turn: .undo TURN',
      run: async (argument) => {
        await image.undo(seqOf(argument, 'turn'));
        return `turn ${argument} is undone`;
      },
    },
    status: {
      help: 'Processes, restarts, queues, turns',
      run: async () => statusText(await image.status(), paint),
    },
    letters: {
      help: 'Messages that were given up',
      run: async () => lettersText(await fresh(image.deadLetters()), nameOf, paint),
    },
  };
}
