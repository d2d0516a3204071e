/** Finds and loads the app definition that a command means. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isError, type App } from '@millrace/core'
import { cliErrors } from './errors.ts'

/** The names that are looked for in the working directory, in order. */
export const APP_FILES = [
  'millrace.app.ts',
  'app.ts',
  'src/app.ts',
  'millrace.app.mjs',
  'millrace.app.js',
  'app.mjs',
] as const

/** The file of the app definition: `--app`, or one of the names in the working directory; undefined when there is none. */
export function findAppFile(cwd: string, given: string | undefined): string | undefined {
  if (given !== undefined) {
    const file = resolve(cwd, given)
    if (existsSync(file)) return file
    throw cliErrors.create('CLI_APP_MISSING', { reason: `${file} does not exist` })
  }
  return APP_FILES.map(name => join(cwd, name)).find(file => existsSync(file))
}

/** Loads a definition: the default export of the file, or its export `app`. Refuses anything else readably (CLI_APP_INVALID). */
export async function loadApp(file: string): Promise<App> {
  const refuse = (reason: string, next: string, cause?: unknown): never => {
    throw cliErrors.create('CLI_APP_INVALID', { file, reason, next }, cause)
  }
  let module: Record<string, unknown>
  try {
    module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (error) {
    if (isError(error)) return refuse(error.message, error.remedy, error)
    return refuse(readable(error, file), 'Correct the file and try again.', error)
  }
  const app = module['default'] ?? module['app']
  if (isApp(app)) return app
  return refuse(
    'it exports no app.',
    'Export what defineApp gives: export default defineApp({ ... })',
  )
}

function isApp(value: unknown): value is App {
  if (typeof value !== 'object' || value === null) return false
  const candidate = value as Partial<App>
  return typeof candidate.admit === 'function' && candidate.events instanceof Map
}

/** An error of loading as a person reads it: what, and where in their file. */
function readable(error: unknown, file: string): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ERR_MODULE_NOT_FOUND' && error.message.includes("'millrace'")) {
    return 'the package millrace is not installed beside it (npm install millrace).'
  }
  return [error.message, ...placeOf(error, file)].join('\n')
}

/** The line of the file that is to blame: Node puts it before the stack, or into it. */
function placeOf(error: Error, file: string): readonly string[] {
  const lines = (error.stack ?? '').split('\n')
  const [first = ''] = lines
  if (/^file:.*:\d+$/.test(first)) {
    const end = lines.findIndex((line, index) => index > 0 && /^\S*Error/.test(line))
    const frame = lines.slice(1, end < 0 ? 1 : end).filter(line => line.trim() !== '')
    return [
      `  at ${fileURLToPath(first.replace(/:\d+$/, ''))}:${first.split(':').at(-1)}`,
      ...frame.map(line => `  ${line}`),
    ]
  }
  const own = lines.find(line => line.includes(file))
  const match = own === undefined ? null : /(:\d+(?::\d+)?)\)?$/.exec(own.trim())
  return match === null ? [] : [`  at ${file}${match[1]}`]
}
