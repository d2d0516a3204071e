/** The logger of a server: JSON lines on standard error, by pino. */
import { silentLogger, type Logger } from '@millrace/core'
import { destination, pino } from 'pino'
import type { LogLevel } from '../config.ts'

/** Opens the logger of a level. */
export function createLogger(level: LogLevel): Logger {
  if (level === 'silent') return silentLogger
  const sink = pino({ level, base: undefined }, destination({ dest: 2, sync: true }))
  return {
    debug: (message, fields) => sink.debug(fields ?? {}, message),
    info: (message, fields) => sink.info(fields ?? {}, message),
    warn: (message, fields) => sink.warn(fields ?? {}, message),
    error: (message, fields) => sink.error(fields ?? {}, message),
  }
}
