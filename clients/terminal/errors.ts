/** Errors as people read them: what happened, then what to do about it. Never a stack. */
import { TelosError, toJson } from '../../protocol/index.js';
import { plain, type Paint } from './paint.js';

/** `CODE Name: message` and the remedy on the next line; errors of the user's own code as `Name: message`. */
export function showError(thrown: unknown, paint: Paint = plain): string {
  if (thrown instanceof TelosError) {
    const display = thrown.toDisplay();
    const { length } = thrown.code;
    const shown = paint.red(paint.bold(display.slice(0, length)) + display.slice(length));
    return thrown.remedy === '' ? shown : `${shown}\n${paint.dim(`  ${thrown.remedy}`)}`;
  }
  if (thrown instanceof Error) return paint.red(`${thrown.name}: ${thrown.message}`);
  return paint.red(`thrown: ${String(thrown)}`);
}

/** The form of an error under `--json`; one of the user's own code has no code and no remedy. */
export function errorJson(thrown: unknown): object {
  if (!(thrown instanceof TelosError)) {
    const { name, message } = thrown instanceof Error ? thrown : { name: 'thrown', message: String(thrown) };
    return { error: { code: '', name, message, remedy: '' } };
  }
  const { code, name, message, remedy, details } = thrown;
  return { error: { code, name, message, remedy, ...(details === null ? {} : { details: toJson(details) }) } };
}
