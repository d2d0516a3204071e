/** Checks of a definition that the types make too, for those who were not asked: JavaScript, casts, excess members. */
import type { AppOptions } from './definition.ts'
import type { AnyView } from './view.ts'

/** Refuses a definition for a reason at a place. */
export type Refuse = (path: string, reason: string) => never

const MEMBERS: Readonly<Record<keyof AppOptions, 'one' | 'list' | 'record'>> = {
  name: 'one',
  events: 'list',
  items: 'list',
  people: 'one',
  signals: 'list',
  surfaces: 'record',
  views: 'record',
  features: 'record',
  trainingSets: 'record',
  checks: 'record',
  modules: 'list',
  approvals: 'list',
  seals: 'one',
  partitions: 'one',
  compatibility: 'one',
  lateness: 'one',
}
/** Members whose entries are made by a function of this package, which marks them. */
const KINDS = {
  events: ['event'],
  items: ['item'],
  surfaces: ['surface'],
  views: ['view'],
  features: ['feature-view', 'feature-service'],
  trainingSets: ['training-set'],
  checks: ['check'],
} as const
const MAKERS = {
  'feature-view': 'featureView',
  'feature-service': 'featureService',
  'training-set': 'trainingSet',
} as const

/** Refuses what the types would, where they were not asked: a misspelt member, an entry of another kind. */
export function checkMembers(options: AppOptions, refuse: Refuse): void {
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    const shape = Object.hasOwn(MEMBERS, name) ? MEMBERS[name as keyof AppOptions] : undefined
    if (shape === undefined) {
      refuse(name, `a definition has no such member; it has ${Object.keys(MEMBERS).join(', ')}`)
    }
    if (value === undefined || shape === 'one') continue
    const isList = Array.isArray(value)
    if (typeof value !== 'object' || value === null || isList !== (shape === 'list')) {
      refuse(name, shape === 'list' ? 'it is not a list' : 'it is not an object with names')
    }
    const kinds: readonly string[] | undefined = Object.hasOwn(KINDS, name)
      ? KINDS[name as keyof typeof KINDS]
      : undefined
    if (kinds === undefined) continue
    for (const [entry, made] of Object.entries(value as Readonly<Record<string, unknown>>)) {
      if (kinds.includes((made as { readonly kind?: string } | null)?.kind ?? '')) continue
      const makers = kinds.map(kind => `${MAKERS[kind as keyof typeof MAKERS] ?? kind}()`)
      const reason = `it is not made by ${makers.join(' or ')}`
      refuse(isList ? `${name}[${entry}]` : `${name}.${entry}`, reason)
    }
  }
  if ((options.events as unknown) === undefined) refuse('events', 'there are none')
  const { seals = 'personal' } = options
  if (seals !== 'personal' && seals !== 'payload') refuse('seals', 'it is personal or payload')
}

/** A rule that cannot be meant would let through what it is to stop. */
export function checkApprovals(options: AppOptions, refuse: Refuse): void {
  for (const [index, rule] of (options.approvals ?? []).entries()) {
    const path = `approvals[${index}]`
    if (typeof rule !== 'object' || rule === null) refuse(path, 'it is not an object')
    const { kind, above, approvals = 1, ...others } = rule
    if (kind !== undefined && typeof kind !== 'string') refuse(`${path}.kind`, 'it is not text')
    if (!Number.isSafeInteger(above) || above < 0) refuse(`${path}.above`, 'it is not a count')
    if (!Number.isSafeInteger(approvals) || approvals < 1) {
      refuse(`${path}.approvals`, 'it is not a whole number from 1 on')
    }
    const [other] = Object.keys(others)
    if (other !== undefined) refuse(`${path}.${other}`, 'a rule has kind, above and approvals')
  }
}

/** A state that JSON cannot carry would be another one after a restart. */
export function checkInitial(view: AnyView, path: string, refuse: Refuse): void {
  let state: unknown
  try {
    state = view.initial()
  } catch (error) {
    refuse(path, `it throws: ${error instanceof Error ? error.message : String(error)}`)
  }
  const found = unlikeJson(state)
  if (found !== undefined) refuse(path, `a state is made of JSON, and it has ${found}`)
}

/**
 * The first place in a value that JSON cannot carry, as `.seen` or `[2].at`, and what stands there;
 * undefined for a value that is the same after it was written and read. Members that are undefined
 * are as good as absent.
 */
export function unlikeJson(value: unknown, path = ''): string | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : told(path, `${value}`)
  if (typeof value !== 'object') return told(path, typeof value)
  if (Array.isArray(value))
    return firstOf(
      value.map((entry, index) => [`[${index}]`, entry]),
      path,
    )
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name: string } } | null
  if (prototype !== null && prototype !== Object.prototype) {
    return told(path, prototype.constructor?.name ?? 'object of a class')
  }
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return firstOf(
    members.map(([name, member]) => [`.${name}`, member]),
    path,
  )
}

function firstOf(
  parts: readonly [place: string, value: unknown][],
  path: string,
): string | undefined {
  for (const [place, value] of parts) {
    const found = unlikeJson(value, `${path}${place}`)
    if (found !== undefined) return found
  }
  return undefined
}

function told(path: string, what: string): string {
  return `${what}${path === '' ? '' : ` at ${path}`}`
}
