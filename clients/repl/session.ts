/** What a session on a terminal and one on a pipe share: the image as the user sees it, its names, and the evaluation of lines. */
import vm from 'node:vm';
import type { REPLServer } from 'node:repl';
import { TelosError, type Origin } from '../../protocol/index.js';
import { connect, targetOf, type CallHooks, type Image, type LinkState, type Part } from '../library/index.js';
import { Evaluator } from './evaluator.js';
import { holderOf } from './globals.js';
import { Names } from './names.js';
import { referencesIn } from './print.js';

export interface SessionOptions {
  readonly image: string;
  readonly origin: Origin;
  readonly onState?: (state: LinkState, why: string) => void;
  readonly onPart?: (part: Part) => void;
  /** Something to tell the user that is no answer. */
  readonly onHint?: (text: string) => void;
}

const hidden = (name: string): string =>
  `${name} stands for something of JavaScript, Node or the session here; the object of the image is image.ref('${name}')`;

export class ReplSession {
  private evaluator: Evaluator | null = null;

  private constructor(
    /** For the session's own questions. */
    readonly image: Image,
    /** What the user's lines work with. */
    readonly view: Image,
    readonly names: Names,
  ) {}

  static async open({ image: dir, origin, onState, onPart, onHint }: SessionOptions): Promise<ReplSession> {
    let session: ReplSession | null = null;
    const image = await connect({
      image: dir,
      agent: `repl pid ${process.pid}`,
      origin,
      show: (target) => session?.names.show(target) ?? target,
      ...(onState && { onState }),
    });
    const hooks: CallHooks = {
      began: (call) => session?.evaluator?.noteCall(call),
      beforeAnswer: () => session?.names.lookUp(),
      ...(onPart && { part: onPart }),
    };
    const view = image.with({ hooks });
    const handleTo = (name: string): unknown => view.ref(name);
    const names = new Names(
      image,
      handleTo,
      (name) => (name === 'image' ? 'node' : holderOf(name)),
      (name) => onHint?.(hidden(name)),
    );
    session = new ReplSession(image, view, names);
    await names.refresh();
    return session;
  }

  /** Lets a REPL of Node's evaluate for this session. The variable `image` is the view. */
  attach(server: REPLServer, onStray: (error: unknown) => void): Evaluator {
    Object.defineProperty(globalThis, 'image', {
      value: this.view,
      configurable: true,
      writable: true,
      enumerable: true,
    });
    this.evaluator = new Evaluator(server, this.names, onStray);
    return this.evaluator;
  }

  /** Reads the names again when a value is to be shown that holds references without a known name. */
  async learn(value: unknown): Promise<void> {
    for (const id of referencesIn(value, targetOf)) {
      if (id.startsWith('#') && !this.names.knows(id)) return this.names.refresh();
    }
  }

  /** The target of the handle in a variable, for completion; looking must not run anything of the user's. */
  targetOfVariable(name: string): string | undefined {
    try {
      return targetOf(vm.runInThisContext(name));
    } catch {
      return undefined;
    }
  }

  /** Ends the session with the kernel; without one there is nothing to say goodbye to. */
  async close(): Promise<void> {
    await this.image.close().catch((error: unknown) => {
      if (TelosError.from(error).code !== 'CLOSED') throw error;
    });
  }
}
