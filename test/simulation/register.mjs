/** Lets Node run the TypeScript of this tree as it stands: node --import ./test/simulation/register.mjs FILE.ts */
import { register } from 'node:module';

register('./loader.mjs', import.meta.url);
