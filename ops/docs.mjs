/** `npm run docs`: writes the pages of docs/ that are generated from code. */
import { writeFileSync } from 'node:fs';
import { errorsPage } from '../dist/ops/errors-page.js';

writeFileSync(new URL('../docs/errors.md', import.meta.url), errorsPage());
process.stdout.write('docs/errors.md written\n');
