/**
 * Loads another definition beside the one that is served: a file in the folder of the served app.
 *
 * Code that is loaded runs in this process, so it must be the owner's: files outside of the folder are
 * refused. Modules that the file imports by a relative path are loaded anew with it, since an edited
 * one would otherwise be the one that the server began with. Node forgets no module, so what was
 * loaded is used again until one of its files changes.
 */
import { realpathSync, statSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { dirname, extname, isAbsolute, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isError, type App } from '@millrace/core'
import { serverErrors } from '../errors.ts'

const EXTENSIONS = new Set(['.ts', '.mts', '.js', '.mjs'])
const LOADED_MAX = 16
const MARK = 'millrace-definition'

interface Loaded {
  readonly app: App
  /** The files that it is made of, as they were. */
  readonly stamps: ReadonlyMap<string, string>
}

/** Loads definitions. */
export interface DefinitionFiles {
  /** Throws DEFINITION_FILE_REFUSED, DEFINITION_FILE_INVALID. */
  load(file: string): Promise<App>
}

/** Those beside `appFile`; without it none can be loaded. */
export function createDefinitionFiles(appFile: string | undefined): DefinitionFiles {
  const known = new Map<string, Loaded>()
  return {
    async load(given) {
      const file = fileBeside(appFile, given)
      const kept = known.get(file)
      if (kept !== undefined && isCurrent(kept)) return kept.app
      const loaded = await loadAnew(file)
      known.delete(file)
      known.set(file, loaded)
      for (const oldest of known.keys()) if (known.size > LOADED_MAX) known.delete(oldest)
      return loaded.app
    },
  }
}

/** The file that is meant, links resolved. Throws DEFINITION_FILE_REFUSED. */
function fileBeside(appFile: string | undefined, given: string): string {
  const refuse = (reason: string): never => {
    throw serverErrors.create('DEFINITION_FILE_REFUSED', { file: given.slice(0, 256), reason })
  }
  if (appFile === undefined) return refuse('this server was opened with a definition of no file')
  const folder = realpathSync(dirname(appFile))
  let file: string
  try {
    file = realpathSync(resolve(folder, given))
  } catch {
    return refuse('there is no such file')
  }
  const path = relative(folder, file)
  const isOutside = path === '' || isAbsolute(path) || path.split(sep).includes('..')
  if (isOutside || path.split(sep).includes('node_modules')) {
    return refuse(`it is not in the folder of the app that is served, ${folder}`)
  }
  if (!EXTENSIONS.has(extname(file))) return refuse(`it is none of ${[...EXTENSIONS].join(' ')}`)
  return file
}

function isCurrent({ stamps }: Loaded): boolean {
  return [...stamps].every(([file, stamp]) => stampOf(file) === stamp)
}

function stampOf(file: string): string {
  const stats = statSync(file, { throwIfNoEntry: false })
  return stats === undefined ? '' : `${stats.mtimeMs} ${stats.size} ${stats.ino}`
}

let loads = 0

/** Loads a file, and what it imports by relative paths, as if for the first time. */
async function loadAnew(file: string): Promise<Loaded> {
  loads += 1
  const mark = `?${MARK}=${loads}`
  const stamps = new Map([[file, stampOf(file)]])
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context)
      const isOurs = context.parentURL?.endsWith(mark) === true && /^\.{1,2}\//.test(specifier)
      if (!isOurs || !found.url.startsWith('file:')) return found
      const path = fileURLToPath(found.url)
      stamps.set(path, stampOf(path))
      return { ...found, url: `${found.url}${mark}` }
    },
  })
  try {
    const module = (await import(`${pathToFileURL(file).href}${mark}`)) as Record<string, unknown>
    const app = module['default'] ?? module['app']
    if (!isApp(app)) throw invalid(file, 'it exports no app')
    return { app, stamps }
  } catch (error) {
    if (isError(error, 'DEFINITION_FILE_INVALID')) throw error
    throw invalid(file, error instanceof Error ? error.message : String(error), error)
  } finally {
    hooks.deregister()
  }
}

function invalid(file: string, reason: string, cause?: unknown): Error {
  return serverErrors.create('DEFINITION_FILE_INVALID', { file, reason }, cause)
}

/** True for what `defineApp` gives. */
export function isApp(value: unknown): value is App {
  if (typeof value !== 'object' || value === null) return false
  const candidate = value as Partial<App>
  return typeof candidate.admit === 'function' && candidate.events instanceof Map
}
