/** Rules about packages, backends and the lock file. */
import { dirname } from 'node:path'
import type { Finding, SourceFile } from './sources.ts'

const backendFolder =
  /^(packages\/[^/]+\/src)\/(?:.*\/)?(memory|file|kafka|postgres|redis|level|duckdb|sqlite)\/index\.ts$/

/** Backend folders whose tests do not run the suite of their contract. */
export function findBackendsWithoutSuite(files: readonly SourceFile[]): Finding[] {
  const withSuite = new Set(
    files.flatMap(({ path }) => {
      const found = /^(packages\/[^/]+\/src)\/suite(\.ts$|\/)/.exec(path)?.[1]
      return found === undefined ? [] : [found]
    }),
  )
  return files.flatMap(({ path }) => {
    const source = backendFolder.exec(path)?.[1]
    if (source === undefined) return []
    if (!withSuite.has(source)) {
      return [
        { rule: 'backend-suite', place: path, message: `the contract has no ${source}/suite.ts` },
      ]
    }
    const folder = `${dirname(path)}/`
    const runsIt = files.some(
      file =>
        file.path.startsWith(folder) &&
        file.path.endsWith('.test.ts') &&
        /from '[^']*\/suite(\.ts|\/[^']*)'/.test(file.text),
    )
    return runsIt
      ? []
      : [{ rule: 'backend-suite', place: path, message: 'no test of the folder runs the suite' }]
  })
}

interface Manifest {
  readonly name?: string
  readonly description?: string
  readonly license?: string
  readonly private?: boolean
}

/** Packages without a README that opens with their name, a description or the licence. */
export function findBarePackages(files: readonly SourceFile[]): Finding[] {
  const manifests = files.filter(({ path }) => /^packages\/[^/]+\/package\.json$/.test(path))
  return manifests.flatMap(({ path, text }) => {
    const manifest = JSON.parse(text) as Manifest
    const readme = files.find(file => file.path === `${dirname(path)}/README.md`)
    const fault = (message: string): Finding => ({ rule: 'package', place: path, message })
    return [
      ...(manifest.description ? [] : [fault('has no description')]),
      ...(manifest.license === 'Apache-2.0' ? [] : [fault('does not name the licence Apache-2.0')]),
      ...(readme === undefined
        ? [fault('the package has no README.md')]
        : readme.text.startsWith(`# ${manifest.name}\n`)
          ? []
          : [fault(`README.md does not open with "# ${manifest.name}"`)]),
    ]
  })
}

const traces: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  { pattern: /(^|[\s'"`(=:])\/(work|root|home)\/[a-z]/, message: 'a path of one machine' },
  { pattern: /\bregistry\.(?!json\b|ts\b)[a-z0-9-]+\.[a-z]+/, message: 'the host of a registry' },
  { pattern: /"resolved": "https?:/, message: 'the address of a registry' },
]

/** Paths of a machine and hosts of registries, which mean nothing elsewhere. */
export function findTraces(files: readonly SourceFile[]): Finding[] {
  return files.flatMap(file => {
    if (/^(scripts\/tidy|test)\//.test(file.path)) return []
    return file.text
      .split('\n')
      .flatMap((line, at) =>
        traces
          .filter(({ pattern }) => pattern.test(line))
          .map(({ message }) => ({ rule: 'portable', place: `${file.path}:${at + 1}`, message })),
      )
  })
}

interface LockEntry {
  readonly optional?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/**
 * Optional dependencies that the lock file leaves out: `npm install` passes over a platform whose
 * package the registry does not have yet, and `npm ci` then refuses the lock file.
 */
export function findLockGaps(files: readonly SourceFile[]): Finding[] {
  const lock = files.find(({ path }) => path === 'package-lock.json')
  if (lock === undefined) return []
  const { packages } = JSON.parse(lock.text) as { packages: Record<string, LockEntry> }
  return Object.entries(packages).flatMap(([path, entry]) => {
    // npm ci does not ask for the platforms of a package that is itself optional.
    if (entry.optional === true) return []
    return Object.keys(entry.optionalDependencies ?? {})
      .filter(name => !isLocked(packages, path, name))
      .map(name => ({ rule: 'lock-file', place: path, message: `lacks the optional ${name}` }))
  })
}

function isLocked(
  packages: Readonly<Record<string, LockEntry>>,
  from: string,
  name: string,
): boolean {
  for (
    let folder = from;
    ;
    folder = folder.slice(0, Math.max(folder.lastIndexOf('/node_modules/'), 0))
  ) {
    if (packages[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`] !== undefined)
      return true
    if (folder === '') return false
    if (!folder.includes('/node_modules/')) folder = ''
  }
}
