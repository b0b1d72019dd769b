/**
 * JSON lines to the process's log. The one importer of pino. Synchronous: the lines before a crash are there.
 * A field `error` that is an Error shows its code, message and stack.
 */
import { pino } from 'pino';
import { TelosError } from '../../protocol/index.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: LogLevel, event: string, data?: Record<string, unknown>) => void;

/** `silent` writes nothing. */
const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

function wantedLevel(): string {
  const level = process.env['TELOS_LOG_LEVEL'] || 'info';
  if (LEVELS.includes(level)) return level;
  throw new TelosError('BAD_CONFIG', `TELOS_LOG_LEVEL is ${JSON.stringify(level)}, which is no level`, {
    remedy: `set it to one of ${LEVELS.join(', ')}, or leave it out`,
  });
}

/** @throws TelosError BAD_CONFIG for a TELOS_LOG_LEVEL that is none @param target path of the log file; absent: standard output, which the parent has made the log file */
export function createLog(name: string, target?: string): Log {
  const destination = pino.destination({ dest: target ?? 1, sync: true, append: true, mkdir: false });
  destination.on('error', () => undefined);
  const logger = pino(
    {
      level: wantedLevel(),
      base: { name, pid: process.pid },
      serializers: { error: describe },
    },
    destination,
  );
  return (level, event, data = {}) => logger[level](data, event);
}

function describe(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return {
    ...('code' in error ? { code: error.code } : {}),
    name: error.name,
    message: error.message,
    stack: error.stack,
  };
}
