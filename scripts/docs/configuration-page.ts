/** The reference page of the configuration, from the settings of the server. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { code, origin, table } from './page-text.ts'

interface Setting {
  readonly name: string
  readonly field: string
  readonly default: string | number
  readonly allowed?: readonly (number | string)[]
  readonly unit?: string
  readonly description: string
}

/** Renders docs/reference/configuration.md. */
export async function renderConfigurationPage(root: string): Promise<string> {
  const file = pathToFileURL(join(root, 'packages/millrace/src/config.ts')).href
  const { settings } = (await import(file)) as { settings: readonly Setting[] }
  const rows = settings.map(setting => [
    code(setting.name),
    code(setting.field),
    [code(amount(setting.default)), setting.unit ?? ''].join(' ').trim(),
    allowed(setting),
    setting.description,
  ])
  return `# Configuration

${origin('packages/millrace/src/config.ts')}

What is set in code, as an option of \`openMillrace\`, wins over the environment, and the environment over the default. On the command line \`--data\` and \`--port\` win over both. A value out of bounds refuses the start with \`CONFIG_INVALID\`, which names the setting.

${table(['Environment', 'Option', 'Default', 'Allowed', 'What it is'], rows)}
`
}

function allowed({ allowed: values, default: standard }: Setting): string {
  if (values === undefined) return 'any text'
  if (typeof standard === 'string') return values.map(value => code(String(value))).join(', ')
  const [min = 0, max = 0] = values as readonly number[]
  return `${amount(min)} to ${amount(max)}`
}

function amount(value: string | number): string {
  return typeof value === 'number' ? value.toLocaleString('en-US', { useGrouping: false }) : value
}
