/** `npm run docs`: writes the pages of docs/ that are generated from code. */
import { writeFileSync } from 'node:fs';
import { configurationPage } from '../dist/ops/configuration-page.js';
import { errorsPage } from '../dist/ops/errors-page.js';

for (const [name, page] of Object.entries({ errors: errorsPage, configuration: configurationPage })) {
  writeFileSync(new URL(`../docs/${name}.md`, import.meta.url), page());
  process.stdout.write(`docs/${name}.md written\n`);
}
