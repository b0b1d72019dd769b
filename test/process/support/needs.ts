/** Tests that need a program which a machine may lack: they are skipped there, and say so in their name, which `npm test` shows. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './processes.js';

type Body = (() => Promise<void>) | (() => void);

/** `test`, or `test.skip` with the reason in the name. */
export function testNeeding(what: string, has: boolean, name: string, body: Body, ms?: number): void {
  if (has) test(name, body, ms);
  else test.skip(`${name} [needs ${what}]`, body);
}

export const works = (command: string, args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** Whom root lends its place to, where a test is of rights, which mean nothing to root. */
export const SOMEONE_ELSE = 65_534;

/** May someone else enter this checkout? Not where it lies in a directory that only its owner may enter, as root's home. */
export const othersMayRead = (): boolean =>
  spawnSync(process.execPath, ['-e', 'require("node:fs").accessSync(process.argv[1])', join(ROOT, 'package.json')], {
    cwd: '/',
    uid: SOMEONE_ELSE,
    gid: SOMEONE_ELSE,
  }).status === 0;

/** A Python that has these modules, undefined if there is none. The system's is looked at too where another stands before it. */
export function pythonWith(modules: readonly string[]): string | undefined {
  return ['python3', '/usr/bin/python3', 'python'].find((python) =>
    works(python, ['-c', `import ${modules.join(', ')}`]),
  );
}
