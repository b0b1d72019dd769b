/** Writes docs/errors.md out of the table in protocol/errors.ts. `npm run docs` writes it, a test compares. */
import { ERRORS, type ErrorSpec } from '../protocol/index.js';

const HEAD = `# Errors

Generated from \`protocol/errors.ts\` by \`npm run docs\`; do not edit by hand.

Every error has a code from this table, a message that quotes the offending value and the place, and a remedy. Programs branch on
the code, never on the text. **Retryable** means that nothing happened: such an error is never saved, and the client library sends
the request again under the same id until its deadline. All others are final, and are the saved answer of their message.

On the command line an error is shown as \`CODE Name: message\`, its remedy below it.
`;

function row(code: string, spec: ErrorSpec): string {
  return `| \`${code}\` | ${spec.means} | ${spec.remedy.replaceAll('|', '\\|')} | ${spec.retry ? 'yes' : ''} |`;
}

/** The whole page, as it stands in docs/errors.md. */
export function errorsPage(): string {
  const rows = Object.entries(ERRORS as Record<string, ErrorSpec>).map(([code, spec]) => row(code, spec));
  return [HEAD, '| code | means | remedy | retryable |', '| --- | --- | --- | --- |', ...rows, ''].join('\n');
}
