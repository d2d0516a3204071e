/** A definition with some values of its surfaces otherwise: data alone, no code. */
import { defineApp, isError, type App } from '@millrace/core'
import { serverErrors } from '../errors.ts'

/** Values by their paths, such as `surfaces.home.explore`. */
export type DefinitionSettings = Readonly<Record<string, unknown>>

const PLACES = /^surfaces\.[^.]+\.(sources|filters|limits|explore|size)(\.[a-zA-Z]+)?$/

/** The definition with these values. Throws SETTING_INVALID. */
export function withSettings(app: App, settings: DefinitionSettings): App {
  const entries = Object.entries(settings)
  if (entries.length === 0) return app
  const surfaces = { ...app.options.surfaces } as unknown as Record<string, Record<string, unknown>>
  for (const [path, value] of entries) set(surfaces, path, value)
  try {
    return defineApp({ ...app.options, surfaces: surfaces as never })
  } catch (error) {
    const reason = isError(error) ? error.message : String(error)
    throw serverErrors.create('SETTING_INVALID', { path: entries.map(([path]) => path).join(', '), reason }, error) // prettier-ignore
  }
}

function set(
  surfaces: Record<string, Record<string, unknown>>,
  path: string,
  value: unknown,
): void {
  const refuse = (reason: string): never => {
    throw serverErrors.create('SETTING_INVALID', { path: path.slice(0, 256), reason })
  }
  if (!PLACES.test(path)) {
    refuse('a path is surfaces.<surface>. and one of sources, filters, limits, explore, size.default, size.max') // prettier-ignore
  }
  const [, name = '', option = '', member] = path.split('.')
  const surface = Object.hasOwn(surfaces, name) ? surfaces[name] : undefined
  if (surface === undefined) return refuse(`there is no surface ${name}`)
  const before = surface[option]
  if (member === undefined) {
    const isNamed = option === 'sources' || option === 'filters'
    if (isNamed && !(Array.isArray(value) && value.every(each => typeof each === 'string'))) {
      refuse('it is a list of the names of built-in stages')
    }
    if (typeof before !== typeof value || Array.isArray(before) !== Array.isArray(value)) {
      refuse(`it is ${JSON.stringify(before)}, and the value given is of another type`)
    }
    surfaces[name] = { ...surface, [option]: value }
    return
  }
  const members = before as Record<string, unknown>
  if (Array.isArray(before) || !Object.hasOwn(members, member)) refuse(`${option} has no ${member}`)
  if (typeof members[member] !== typeof value) refuse(`it is ${JSON.stringify(members[member])}`)
  surfaces[name] = { ...surface, [option]: { ...members, [member]: value } }
}
