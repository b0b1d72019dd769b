/** The test's end of test/fixtures/link-peer.mjs: one end of a link in a process of its own. */
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { ROOT, start } from './processes.js';

export interface Heard {
  readonly event: string;
  readonly [field: string]: unknown;
}

interface Reply {
  readonly value?: unknown;
  readonly error?: { code: string; message: string };
}

interface Expectation {
  readonly matches: (heard: Heard) => boolean;
  readonly resolve: (heard: Heard) => void;
}

export class LinkPeer {
  /** All that it has told, in order. */
  readonly heard: Heard[] = [];
  private readonly replies = new Map<number, (reply: Reply) => void>();
  private expectations: Expectation[] = [];
  private next = 1;

  private constructor(readonly child: ChildProcess) {
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    lines.on('line', (line) => this.hear(JSON.parse(line) as Heard));
    child.stderr?.on('data', (chunk: Buffer) => process.stderr.write(chunk));
    child.stdin?.on('error', () => undefined);
  }

  static async start(role: 'server' | 'client' | 'dealer' | 'router'): Promise<LinkPeer> {
    const peer = new LinkPeer(start(process.execPath, [join(ROOT, 'test/fixtures/link-peer.mjs'), role]));
    await peer.event('started');
    return peer;
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** @throws an Error with the `code` of the one thrown over there */
  async do<T = unknown>(command: string, options: object = {}): Promise<T> {
    const id = this.next++;
    const reply = await new Promise<Reply>((resolve) => {
      this.replies.set(id, resolve);
      this.child.stdin?.write(`${JSON.stringify({ id, command, ...options })}\n`);
    });
    if (reply.error !== undefined) throw Object.assign(new Error(reply.error.message), { code: reply.error.code });
    return reply.value as T;
  }

  /** The first event of this name, heard or still to come, that matches. */
  event(name: string, matches: (heard: Heard) => boolean = () => true): Promise<Heard> {
    const wanted = (heard: Heard): boolean => heard.event === name && matches(heard);
    const known = this.heard.find(wanted);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => this.expectations.push({ matches: wanted, resolve }));
  }

  count(name: string): number {
    return this.heard.filter(({ event }) => event === name).length;
  }

  /** Message numbers of all work that arrived, in order. */
  numbers(): number[] {
    return this.heard.filter(({ event }) => event === 'work').flatMap(({ numbers }) => numbers as number[]);
  }

  private hear(heard: Heard): void {
    if (heard.event === 'done') {
      const id = heard['id'] as number;
      this.replies.get(id)?.(heard as Reply);
      this.replies.delete(id);
      return;
    }
    this.heard.push(heard);
    this.expectations = this.expectations.filter(({ matches, resolve }) => {
      if (!matches(heard)) return true;
      resolve(heard);
      return false;
    });
  }
}
