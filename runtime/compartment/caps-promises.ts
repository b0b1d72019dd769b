/** Promise: lists of promises are ours, and a chain of thenables pays for each link. */
import { listed } from './caps-objects.js';
import { replace, work, type Native } from './caps-common.js';

export function capPromises(): void {
  for (const name of ['all', 'allSettled', 'any', 'race']) {
    replace(Promise, name, (original) => {
      const holder = {
        [name](this: unknown, items: unknown): unknown {
          return original(this, listed(items));
        },
      };
      return holder[name] as Native;
    });
  }
  replace(Promise.prototype, 'then', (original) => {
    const holder = {
      then(this: unknown, done?: unknown, failed?: unknown): unknown {
        work(1, 'a promise');
        return original(this, done, failed);
      },
    };
    return holder.then;
  });
  for (const name of ['try', 'withResolvers']) Reflect.deleteProperty(Promise, name);
}
