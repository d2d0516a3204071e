/** The exit codes of every command, in one table, from which the reference is made. */
import { isError } from '@millrace/core'

/** An exit code and what it means. */
export interface ExitCode {
  readonly code: number
  readonly name: string
  readonly meaning: string
}

/** All exit codes. */
export const EXIT_CODES: readonly ExitCode[] = [
  { code: 0, name: 'ok', meaning: 'Done.' },
  { code: 1, name: 'refused', meaning: 'Refused or failed; the message says why and what to do.' },
  { code: 2, name: 'usage', meaning: 'The command line is wrong; nothing was done.' },
  {
    code: 3,
    name: 'partial',
    meaning: 'Done in part: some rows or events were refused, and named.',
  },
  {
    code: 4,
    name: 'unreachable',
    meaning: 'The server does not answer, or another process owns the data directory or the port.',
  },
  { code: 130, name: 'interrupted', meaning: 'Stopped by Ctrl+C.' },
]

const codeOf = (name: string): number => EXIT_CODES.find(known => known.name === name)?.code ?? 1

export const EXIT_OK = codeOf('ok')
export const EXIT_REFUSED = codeOf('refused')
export const EXIT_USAGE = codeOf('usage')
export const EXIT_PARTIAL = codeOf('partial')
export const EXIT_UNREACHABLE = codeOf('unreachable')

const BY_ERROR: Readonly<Record<string, number>> = {
  CLI_USAGE: EXIT_USAGE,
  CONFIG_INVALID: EXIT_USAGE,
  CLI_UNREACHABLE: EXIT_UNREACHABLE,
  CLI_OWNER_SILENT: EXIT_UNREACHABLE,
  DIRECTORY_LOCKED: EXIT_UNREACHABLE,
  PORT_IN_USE: EXIT_UNREACHABLE,
}

/** The exit code that says what kind of failure this was. */
export function exitCodeOf(error: unknown): number {
  return isError(error) ? (BY_ERROR[error.code] ?? EXIT_REFUSED) : EXIT_REFUSED
}
