/**
 * What a command prints. Results go to standard output, everything else to standard error; with
 * `--json` standard output gets one JSON object and nothing else, failures included.
 */
import { isError, type MillraceError } from '@millrace/core'
import { cliErrors } from './errors.ts'

/** Where a command writes. */
export interface Terminal {
  /** Writes to standard output. */
  out(text: string): void
  /** Writes to standard error. */
  err(text: string): void
  /** Standard error is looked at by a person: progress may be drawn. */
  readonly isInteractive: boolean
  /** Characters of a line. */
  readonly columns: number
}

/** What a command says. */
export interface Output {
  readonly isJson: boolean
  readonly terminal: Terminal
  /** The result: the object for `--json`, the text for people. Once per command. */
  result(value: unknown, text: string): void
  /** A piece of a result that does not end, such as a tail: one JSON object a line, or text. */
  item(value: unknown, text: string): void
  /** Said on the way, for people; with `--json` too, on standard error. */
  note(text: string): void
  /** Why the command failed; the exit code is part of the JSON. */
  failure(error: unknown, exitCode: number): void
}

/** Creates the output of one command. */
export function createOutput(terminal: Terminal, isJson: boolean, isVerbose: boolean): Output {
  const line = (text: string): string => visible(text.endsWith('\n') ? text : `${text}\n`)
  const print = (value: unknown, text: string): void =>
    terminal.out(isJson ? `${JSON.stringify(value)}\n` : line(text))
  return {
    isJson,
    terminal,
    result: print,
    item: print,
    note: text => terminal.err(line(text)),
    failure(thrown, exitCode) {
      const error = registered(thrown)
      if (isJson) {
        terminal.out(`${JSON.stringify({ error: errorJson(error, exitCode) })}\n`)
      } else {
        terminal.err(line(`${error.message}\n${error.remedy}`))
      }
      if (isVerbose) terminal.err(`${stackOf(thrown)}\n`)
    },
  }
}

/** Titles and rows come from outside: what they hold must not steer the terminal. */
function visible(text: string): string {
  return text.replace(/[^\P{Cc}\t\n]/gu, '\ufffd')
}

/** The code of a failure; a refusal of the server keeps its own. */
export function codeOf(error: MillraceError): string {
  const code = error.details['code']
  return error.code === 'CLI_REFUSED' && typeof code === 'string' ? code : error.code
}

function errorJson(error: MillraceError, exitCode: number): Readonly<Record<string, unknown>> {
  const { reason: _reason, next: _next, code: _code, ...details } = error.details
  return {
    code: codeOf(error),
    message: error.message,
    remedy: error.remedy,
    retryable: error.retryable,
    ...(Object.keys(details).length === 0 ? {} : { details }),
    exitCode,
  }
}

function registered(thrown: unknown): MillraceError {
  if (isError(thrown)) return thrown
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return cliErrors.create('CLI_FAILED', { reason }, thrown)
}

function stackOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const cause = thrown.cause === undefined ? '' : `\ncaused by ${stackOf(thrown.cause)}`
  return (thrown.stack ?? thrown.message) + cause
}

/** Rows of text in columns, the last one cut to the width; numbers to the right. */
export function table(rows: readonly (readonly string[])[], columns: number): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    }
  }
  return rows
    .map(row => {
      const cells = row.map((cell, index) => {
        if (index === row.length - 1)
          return isNumber(cell) ? cell.padStart(widths[index] ?? 0) : cell
        return isNumber(cell) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)
      })
      return cut(cells.join('  ').trimEnd(), columns)
    })
    .join('\n')
}

/** Text that fits into so many characters, with `...` where it was cut. */
export function cut(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, Math.max(0, columns - 3))}...`
}

/** A number with separators: 1,234,567. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** A moment as people read it, in UTC: 2026-11-21 09:30:00. */
export function time(timeMs: number): string {
  return new Date(timeMs).toISOString().replace('T', ' ').slice(0, 19)
}

/** Bytes as people read them. */
export function bytes(value: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB']
  let size = value
  let unit = 0
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000
    unit += 1
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`
}

function isNumber(text: string): boolean {
  return /^-?[\d,.]+( [KMGT]?B| bytes)?$/.test(text)
}
