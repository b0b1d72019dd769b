/** Asks each of many objects once, none of which is in memory anywhere: each answer needs one object loaded from the journal. */
import { connect } from '../../clients/library/index.js';
import { options, report } from './options.js';

const { image, oids, outstanding } = options<{ image: string; oids: readonly string[]; outstanding: number }>();
const telos = await connect({ image });
let next = 0;
const begun = performance.now();
const lane = async (): Promise<void> => {
  while (next < oids.length) await telos.send(oids[next++] as string, 'read');
};
await Promise.all(Array.from({ length: outstanding }, lane));
report({ perSecond: (oids.length / (performance.now() - begun)) * 1000 });
await telos.close();
