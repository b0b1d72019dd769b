/**
 * Who holds a global variable of the session's process: nobody, Node's REPL (which makes one of each of its modules), Node and the
 * language themselves, or the user.
 */
import { builtinModules } from 'node:module';
import vm from 'node:vm';

export type Holder = 'nobody' | 'module' | 'node' | 'user';

/** As they were when this file was loaded: no REPL had been started and no line had run. */
const own = namesOf(globalThis);
const modules = new Set(builtinModules.filter((name) => !own.has(name)));

export function holderOf(name: string): Holder {
  if (own.has(name)) return 'node';
  const property = Object.getOwnPropertyDescriptor(globalThis, name);
  // What the user declares with const, let or class hides a property, whatever we put there.
  if (property !== undefined) return modules.has(name) && property.get !== undefined ? 'module' : 'user';
  return isDeclared(name) ? 'user' : 'nobody';
}

function isDeclared(name: string): boolean {
  try {
    return vm.runInThisContext(`typeof ${name}`) !== 'undefined';
  } catch {
    return true;
  }
}

function namesOf(object: object): Set<string> {
  const names = new Set<string>();
  for (let at: unknown = object; at !== null; at = Object.getPrototypeOf(at))
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  return names;
}
