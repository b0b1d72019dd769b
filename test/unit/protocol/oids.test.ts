import { isOid } from '../../../protocol/index.js';
import { genesisCommit } from '../../../runtime/genesis/index.js';

test('every object of a new image can be written as an oid', () => {
  const oids: string[] = genesisCommit()[2];
  expect(oids.length).toBeGreaterThan(10);
  expect(oids.filter((oid) => !isOid(oid))).toEqual([]);
});
