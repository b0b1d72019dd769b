/** Writes docs/configuration.md out of the schema in config/schema.ts. `npm run docs` writes it, a test compares. */
import { configurationReference, RELATIONS, type GroupReference, type KeyReference } from '../config/index.js';

const HEAD = `# Configuration

Generated from \`config/schema.ts\` by \`npm run docs\`; do not edit by hand.

Nothing has to be configured. Whoever wants other limits writes a JSON file that holds only what differs:

\`\`\`json
{ "turn": { "fuel": 200000000 }, "supervisor": { "hosts": 4 } }
\`\`\`

**Where it goes.** The file that \`TELOS_CONFIG\` names; without that variable \`config.json\` in the image directory; without that file
the defaults hold. Only one file is read. \`--hosts N\` of \`telos up\` wins over \`supervisor.hosts\`.

**When it counts.** The guardian reads it once, at its start, and hands it to all processes that it starts: stop the image (\`telos down\`)
and start it again after a change. The command line and the client library read the file too, for what concerns them alone (the groups \`client\` and
\`repl\`, deadlines, the pauses before they connect anew); heartbeats, sizes and the window are told to them by the kernel when they connect.

**What is refused.** A key that does not exist, a value of another type or out of its range, and a combination that breaks a relation (they stand
at the end of this page): \`BAD_CONFIG\`, with the key. Nothing is started then.

**Environment variables.**

| variable | means |
| --- | --- |
| \`TELOS_IMAGE\` | the image directory, where \`--image\` does not name one; else \`./image\` |
| \`TELOS_CONFIG\` | the configuration file, instead of \`config.json\` of the image |
| \`TELOS_LOG_LEVEL\` | what the logs in the image's \`logs/\` hold: \`debug\`, \`info\` (the default), \`warn\`, \`error\` or \`silent\` |
| \`NO_COLOR\` | any value: no colours on the terminal |

All values are whole numbers unless the table says otherwise. Times are in milliseconds, sizes in bytes.
`;

const row = ({ key, standard, unit, least, most, meaning }: KeyReference): string =>
  `| \`${key}\` | ${standard} | ${unit} | ${least}${most === '' ? '' : ` … ${most}`} | ${meaning.replaceAll('|', '\\|')} |`;

function section({ group, meaning, keys }: GroupReference): string {
  const table = [
    '| key | default | unit | least … most | meaning |',
    '| --- | --- | --- | --- | --- |',
    ...keys.map(row),
  ];
  return [`## ${group}`, '', meaning, '', ...table, ''].join('\n');
}

/** The whole page, as it stands in docs/configuration.md. */
export function configurationPage(): string {
  const relations = ['## Relations', '', 'They hold for the defaults, and are checked at each start.', ''];
  return [
    HEAD,
    ...configurationReference().map(section),
    ...relations,
    ...RELATIONS.map(({ says }) => `- ${says}`),
    '',
  ].join('\n');
}
