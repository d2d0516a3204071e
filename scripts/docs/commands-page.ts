/** The reference page of the command line, from the commands as commander knows them. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { code, origin, table } from './page-text.ts'

/** As much of commander's `Command` as the page needs. */
interface Command {
  name(): string
  summary(): string
  description(): string
  readonly commands: readonly Command[]
  readonly options: readonly {
    readonly flags: string
    readonly description: string
    readonly helpGroupHeading?: string
    readonly defaultValue?: unknown
    readonly hidden: boolean
  }[]
  readonly registeredArguments: readonly {
    readonly required: boolean
    readonly variadic: boolean
    readonly description: string
    name(): string
  }[]
}

interface Sources {
  createProgram(ports: unknown, run: () => () => Promise<void>, isJson: boolean): Command
  standardModules(): readonly unknown[]
  readonly EXIT_CODES: readonly { readonly code: number; readonly meaning: string }[]
}

/** Renders docs/reference/commands.md. */
export async function renderCommandsPage(root: string): Promise<string> {
  const { createProgram, standardModules, EXIT_CODES } = await load(root)
  const terminal = { out: () => undefined, err: () => undefined, isInteractive: false, columns: 80 }
  const ports = { terminal, modules: standardModules() }
  const program = createProgram(ports, () => () => Promise.resolve(), false)
  const leaves = program.commands.flatMap(command => leavesOf(command, 'millrace'))
  const shared = (leaves[0]?.command.options ?? []).filter(({ helpGroupHeading }) =>
    Boolean(helpGroupHeading),
  )
  return `# Commands

${origin('the commands of packages/millrace/src/cli and of the modules')}

A command speaks to the running server of its data directory, or opens the directory itself when no server runs. \`npx millrace help <command>\` shows the same with examples.

## On every command

${optionTable(shared)}

${leaves.map(section).join('\n\n')}

## Exit codes

${table(
  ['Code', 'Meaning'],
  EXIT_CODES.map(({ code: number, meaning }) => [String(number), meaning]),
)}
`
}

async function load(root: string): Promise<Sources> {
  const paths = ['cli/main.ts', 'cli/exit-codes.ts', 'wiring/modules.ts']
  const modules = await Promise.all(
    paths.map(path => import(pathToFileURL(join(root, 'packages/millrace/src', path)).href)),
  )
  return modules.reduce<object>((all, module) => ({ ...all, ...(module as object) }), {}) as Sources
}

interface Leaf {
  readonly path: string
  readonly command: Command
}

function leavesOf(command: Command, above: string): Leaf[] {
  const path = `${above} ${command.name()}`
  if (command.commands.length === 0) return [{ path, command }]
  return command.commands.flatMap(child => leavesOf(child, path))
}

function section({ path, command }: Leaf): string {
  const own = command.options.filter(({ helpGroupHeading, hidden }) => !helpGroupHeading && !hidden)
  const given = command.registeredArguments.map(argument => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`
    return argument.required ? `<${name}>` : `[${name}]`
  })
  const parts = [
    `## ${path}`,
    code([path, ...given, ...(own.length > 0 ? ['[options]'] : [])].join(' ')),
    sentence(command.description() || command.summary()),
  ]
  if (given.length > 0) {
    parts.push(
      table(
        ['Argument', 'What it is'],
        command.registeredArguments.map((argument, at) => [
          code(given[at] as string),
          argument.description,
        ]),
      ),
    )
  }
  if (own.length > 0) parts.push(optionTable(own))
  return parts.join('\n\n')
}

function optionTable(options: Command['options']): string {
  return table(
    ['Option', 'What it does'],
    options.map(({ flags, description, defaultValue }) => {
      const standard =
        typeof defaultValue === 'string' || typeof defaultValue === 'number'
          ? ` (default ${code(String(defaultValue))})`
          : ''
      return [code(flags), `${description}${standard}`]
    }),
  )
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
