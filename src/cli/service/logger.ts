import { createLogger, type Logger } from '../../base/log.ts';
import type { Settings } from '../../config.ts';

/** The process's log: readable lines on a terminal, JSON elsewhere. */
export function loggerFor(settings: Settings<'logLevel' | 'debug'>): Logger {
  return createLogger(settings.debug ? 'debug' : settings.logLevel, process.stderr.isTTY === true);
}
