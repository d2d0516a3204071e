/** The reference page of errors, from the registries of all packages. */
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { code, origin, table } from './page-text.ts'

interface ErrorSpec {
  readonly status: number
  readonly retryable: boolean
  readonly message: string
  readonly remedy: string
}

const head = ['Code', 'Status', 'Retry helps', 'What is wrong', 'What to do']

/** Renders docs/reference/errors.md for the packages below `root`. */
export async function renderErrorsPage(root: string): Promise<string> {
  const sections: string[] = []
  for (const path of globSync('packages/*/src/**/errors.ts', { cwd: root }).toSorted()) {
    const module = (await import(pathToFileURL(join(root, path)).href)) as Record<string, unknown>
    const specs = Object.values(module).flatMap(value =>
      isRegistry(value) ? Object.entries(value.specs) : [],
    )
    if (specs.length === 0) continue
    sections.push(`## ${titleOf(path)}\n`, table(head, rows(specs)), '')
  }
  return `# Errors

${origin('the errors.ts files of the packages')}

Every refusal has a stable code. Over HTTP it is the member \`code\` of the problem details
(RFC 9457), in a host process the property \`code\` of the error, on the command line the field
\`code\` of the \`--json\` answer. Values in braces are filled in.

${sections.join('\n')}`
}

function titleOf(path: string): string {
  const [, name = '', , ...rest] = path.split('/')
  const part = rest.slice(0, -1).join('/')
  return part === '' ? name : `${name}: ${part}`
}

function isRegistry(value: unknown): value is { specs: Readonly<Record<string, ErrorSpec>> } {
  return typeof value === 'object' && value !== null && 'specs' in value && 'create' in value
}

function rows(specs: readonly (readonly [code: string, spec: ErrorSpec])[]): string[][] {
  return specs.map(([name, { status, retryable, message, remedy }]) => [
    code(name),
    String(status),
    retryable ? 'yes' : 'no',
    message,
    remedy,
  ])
}
