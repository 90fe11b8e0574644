import { pino } from 'pino';
import { LineWriter } from './line-writer.ts';

/** What every layer logs through. Fields never hold secrets or file data. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Opens the process's log on stderr. Lines are JSON; `pretty` gives one human line each, for terminals. */
export function createLogger(level: LogLevel, pretty: boolean): Logger {
  const format = pretty ? prettyLine : (line: string): string => line;
  const lines = new LineWriter(2, (count) => format(lostNote(count)));
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'message' },
    { write: (line) => lines.write(format(line)) },
  );
}

function lostNote(lines: number): string {
  const fields = { level: 40, time: new Date().toISOString(), lines, message: 'lines of the log could not be written' };
  return `${JSON.stringify(fields)}\n`;
}

/** A logger that says nothing, for tests and library use. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

const LEVEL_NAMES: Record<number, string> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

function prettyLine(line: string): string {
  const { level, time, message, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.entries(fields).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const clock = String(time).slice(11, 19);
  return `${clock} ${LEVEL_NAMES[level as number] ?? level} ${message}${rest.join('')}\n`;
}
