/**
 * JSON lines to the process's log. The one importer of pino. Synchronous: the lines before a crash are there.
 * A field `error` that is an Error shows its code, message and stack.
 */
import { pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: LogLevel, event: string, data?: Record<string, unknown>) => void;

/** @param target path of the log file; absent: standard output, which the parent has made the log file */
export function createLog(name: string, target?: string): Log {
  const destination = pino.destination({ dest: target ?? 1, sync: true, append: true, mkdir: false });
  destination.on('error', () => undefined);
  const logger = pino(
    {
      level: process.env['TELOS_LOG_LEVEL'] ?? 'info',
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
