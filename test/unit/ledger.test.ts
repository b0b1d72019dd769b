/** What an audit says of keys that are nobody's (runtime/journal/ledger.ts). */
import { encodeRecord, keys, type Key } from '../../runtime/journal/index.js';
import { Ledger } from '../../runtime/journal/ledger.js';
import { sealValue } from '../../runtime/journal/seal.js';

const NO_TURN = [0, true, null, null];

function audit(rows: [Key, unknown][]): string[] {
  const places: string[] = [];
  const ledger = new Ledger((place) => void places.push(place));
  for (const [key, record] of rows) ledger.row(key, sealValue(key, encodeRecord(record)));
  ledger.finish();
  return places;
}

test('what is kept for a session that has no header, or for a message that waits no more, is reported', () => {
  const places = audit([
    [keys.recorded(0, 9, 'key'), [true, 'yes']],
    [keys.session(5), [1, 1, 'key', 'agent']],
    [keys.reply(5, 1), NO_TURN],
    [keys.recorded(5, 2, 'key'), [true, 'yes']],
    [keys.reply(6, 1), NO_TURN],
    [keys.recorded(7, 2, 'key'), [true, 'yes']],
    [keys.strikes(0, 8), [1, []]],
    [keys.strikes(5, 2), [1, []]],
    [keys.strikes(6, 2), [1, []]],
  ]);
  expect(places).toEqual(
    ['reply 6/1', 'reply 7/2/72057594037927936', 'strikes 6/2', 'reply 0/9', 'strikes 0/8'].map(
      (place) => expect.stringContaining(place.split('/').slice(0, 2).join('/')) as string,
    ),
  );
});

test('strikes of an outbox message and of a timer that still wait are theirs', () => {
  const waiting = ['#a', 'x', new Uint8Array([0x90]), 1, 'sender', '', 1];
  const places = audit([
    [keys.recorded(0, 9, 'key'), [true, 'yes']],
    [keys.outbox(8), waiting],
    [keys.strikes(0, 8), [1, []]],
    [keys.strikes(0, 9), [1, []]],
    [keys.timer(1000, 9), waiting],
  ]);
  // No turn has sent these two, which is another matter.
  expect(places.filter((place) => !/^(outbox|timer)/.test(place))).toEqual([]);
});
