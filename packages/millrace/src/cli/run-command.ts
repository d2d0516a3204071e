import type { Command } from 'commander'
import type { CommandContext } from './context.ts'

/** What a command does with its arguments and options, as commander gives them. */
export type CommandAction<Given extends readonly unknown[]> = (
  context: CommandContext,
  ...given: Given
) => Promise<void>

/** Wraps an action: context, errors and exit code are taken care of. */
export type Run = <Given extends readonly unknown[]>(
  action: CommandAction<Given>,
) => (...given: [...Given, Command]) => Promise<void>
