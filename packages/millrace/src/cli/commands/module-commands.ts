/** The verbs of product modules: each is one request to the API. */
import type { CommandDefinition } from '@millrace/product'
import type { Command } from 'commander'
import { connect } from '../connect.ts'
import type { CommandContext } from '../context.ts'
import type { Run } from '../run-command.ts'

/** Adds the verb of a module. */
export function addModuleCommand(program: Command, definition: CommandDefinition, run: Run): void {
  const command = program
    .command(definition.name)
    .summary(lowerFirst(definition.summary))
    .description(definition.summary)
  for (const { name, description, isRequired } of definition.arguments ?? []) {
    command.argument(isRequired ? `<${name}>` : `[${name}]`, description)
  }
  for (const { flags, description, isRequired } of definition.options ?? []) {
    if (isRequired === true) command.requiredOption(flags, description)
    else command.option(flags, description)
  }
  command.action(
    run(async (context: CommandContext, ...given: unknown[]) => {
      const options = given.at(-1) as Record<string, string | boolean | undefined>
      const words = given.slice(0, -1).filter(word => word !== undefined) as string[]
      await callModule(context, definition, { arguments: words, options })
    }) as (...given: unknown[]) => Promise<void>,
  )
}

async function callModule(
  context: CommandContext,
  definition: CommandDefinition,
  input: Parameters<CommandDefinition['request']>[0],
): Promise<void> {
  const request = definition.request(input)
  const connection = await connect(context)
  try {
    const { body } = await connection.request(request)
    context.output.result(body, definition.print(body, context.output.terminal.columns))
  } finally {
    await connection.close()
  }
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
