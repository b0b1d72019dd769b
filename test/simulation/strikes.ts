/** Who pays for the death of a host: the message that ended it, nobody else, and at most `strikes` times in quarantine. */
import type { History } from './history.js';

/** The configuration of the simulation leaves it at its default. */
const STRIKES = 3;

export function checkStrikes(history: History, fail: (rule: string, message: string) => void): void {
  for (const { life, quarantine, doomedBy, struck } of history.losses) {
    const [first] = struck;
    if (first === undefined && quarantine && doomedBy !== '')
      fail('strikes', `${doomedBy} ended the quarantine host in life ${life} and got no strike`);
    else if (first !== undefined && (!quarantine || struck.length > 1))
      fail(
        'strikes',
        `${struck.join(' and ')} got strikes for one ${quarantine ? 'quarantine' : 'common'} host in life ${life}`,
      );
    else if (first !== undefined && doomedBy !== '' && first !== doomedBy)
      fail('strikes', `${doomedBy} ended the quarantine host in life ${life}, and ${first} got the strike`);
  }
  const counts = new Map<string, number>();
  for (const { life, id, quarantine } of history.dooms) {
    // That it was given up can't be saved then: whoever did not hear of it may ask once more.
    if (history.readOnlyLives.has(life)) continue;
    const key = `${life} ${id}`;
    const before = history.strikesAtBirth.get(key) ?? 0;
    const count = (counts.get(`${key} ${quarantine}`) ?? 0) + 1;
    counts.set(`${key} ${quarantine}`, count);
    const most = quarantine ? STRIKES - before : before > 0 ? 0 : 1;
    if (count === most + 1)
      fail(
        'strikes',
        `${id} ended a ${quarantine ? 'quarantine' : 'common'} host ${count} times in life ${life}, with ${before} strikes when that began`,
      );
  }
}
