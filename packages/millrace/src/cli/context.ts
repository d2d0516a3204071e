/** What every command gets: the options that all of them take, and the ports. */
import { resolve } from 'node:path'
import type { Clock, Random } from '@millrace/core'
import type { ProductModule } from '@millrace/product'
import { readConfig } from '../config.ts'
import type { Output, Terminal } from './output.ts'

/** Options of every command. */
export interface GlobalOptions {
  readonly data?: string
  readonly port?: string
  readonly app?: string
  readonly json?: boolean
  readonly verbose?: boolean
}

/** The outside, as the command line sees it. */
export interface CliPorts {
  readonly terminal: Terminal
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly random: Random
  /** Resolves when the process is asked to end. A command that never asks is ended by the signal itself. */
  stopped(): Promise<void>
  /** Product modules whose commands exist besides the built-in ones. */
  readonly modules: readonly ProductModule[]
}

/** A command at work. */
export interface CommandContext extends CliPorts {
  readonly options: GlobalOptions
  readonly output: Output
  /** Absolute path of the data directory. */
  readonly data: string
  /** The port that was asked for, by option or environment. */
  readonly port: { readonly number: number; readonly isExplicit: boolean; readonly isSet: boolean }
  /** The key that the environment gives; empty for none. */
  readonly key: string
  /** Sets the exit code of a command that did not fail as a whole. */
  exitWith(code: number): void
}

/** Resolves data directory and port from options, environment and defaults. Throws CONFIG_INVALID. */
export function createContext(
  ports: CliPorts,
  options: GlobalOptions,
  output: Output,
  exitWith: (code: number) => void,
): CommandContext {
  const { environment } = ports
  const config = readConfig(
    {
      ...(options.data === undefined ? {} : { data: options.data }),
      ...(options.port === undefined ? {} : { port: options.port as unknown as number }),
    },
    environment,
  )
  const isSet = options.port !== undefined || (environment['PORT'] ?? '') !== ''
  return {
    ...ports,
    options,
    output,
    data: config.data === 'memory' ? 'memory' : resolve(ports.cwd, config.data),
    key: config.key,
    port: { number: config.port, isExplicit: options.port !== undefined, isSet },
    exitWith,
  }
}
