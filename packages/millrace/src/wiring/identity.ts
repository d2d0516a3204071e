/**
 * `millrace.json`: what a data directory remembers of its app, so that another app, or the same one
 * with another number of partitions, is refused before it writes anything. It holds the secret that
 * signs tokens, so only its owner may read it.
 *
 * Written once, then only when the definition changes; replaced atomically.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { App, Random } from '@millrace/core'
import { serverErrors } from '../errors.ts'
import { builtInApp } from '../import/built-in.ts'

/** What the file says. */
export interface Identity {
  readonly app: string
  /** Definition version of the last start. */
  readonly fingerprint: string
  readonly partitions: number
  /** The built-in app that it holds, so that the CLI needs no file to open it again. */
  readonly builtIn: string | undefined
  /** 32 random bytes for signing tokens. */
  readonly secret: Uint8Array
  /** Format of the data directory that it stands in. */
  readonly format: number
  /** How often the installation was promoted from a standby. */
  readonly term: number
}

/** The name of the file in its data directory. */
export const IDENTITY_FILE = 'millrace.json'

/**
 * The format of data directories that this build writes. 2 keeps the units of split segments
 * (`log/units`). It reads 1 too, and makes it 2 when it opens the directory.
 */
export const DATA_FORMAT = 2
const FORMAT_FIRST = 1
const SECRET_BYTES = 32

/** The identity of a data directory, or undefined when it has none. Throws DATA_FORMAT_UNKNOWN, or CONFIG_INVALID for a file. */
export async function readIdentity(directory: string): Promise<Identity | undefined> {
  const file = join(directory, IDENTITY_FILE)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ENOTDIR') {
      const name = `the data directory ${directory}`
      throw serverErrors.create('CONFIG_INVALID', { name, reason: 'it is a file' })
    }
    throw serverErrors.create('DATA_FORMAT_UNKNOWN', { file, reason: String(error) }, error)
  }
  return parseIdentity(file, text)
}

/** Reads what `identityText` wrote. Throws DATA_FORMAT_UNKNOWN naming `file`. */
export function parseIdentity(file: string, text: string): Identity {
  const refuse = (reason: string): never => {
    throw serverErrors.create('DATA_FORMAT_UNKNOWN', { file, reason })
  }
  let content: Record<string, unknown> = {}
  try {
    content = Object(JSON.parse(text)) as Record<string, unknown>
  } catch {
    refuse('it is not JSON')
  }
  const { format, app, fingerprint, partitions, builtIn, secret, term } = content
  const isKnown = format === FORMAT_FIRST || format === DATA_FORMAT
  if (!isKnown) {
    const found = JSON.stringify(format) ?? 'missing'
    refuse(`its format is ${found}, this version knows up to ${DATA_FORMAT}`)
  }
  if (typeof app !== 'string' || typeof fingerprint !== 'string') refuse('the app is missing')
  if (!Number.isInteger(partitions)) refuse('the number of partitions is missing')
  const bytes = Buffer.from(typeof secret === 'string' ? secret : '', 'base64url')
  if (bytes.length !== SECRET_BYTES) refuse('the secret is missing')
  return {
    app: app as string,
    fingerprint: fingerprint as string,
    partitions: partitions as number,
    builtIn: typeof builtIn === 'string' ? builtIn : undefined,
    secret: new Uint8Array(bytes),
    format: format as number,
    term: typeof term === 'number' ? term : 0,
  }
}

/**
 * Makes the data directory that of `app`, or checks that it is. Call while owning its lock. Throws
 * DATA_OF_OTHER_APP, DATA_PARTITIONS_FIXED, DATA_FORMAT_UNKNOWN.
 */
export async function claimDirectory(
  directory: string,
  app: App,
  random: Random,
): Promise<Identity> {
  const existing = await readIdentity(directory)
  if (existing === undefined) {
    const created = { ...createIdentity(app, random), format: DATA_FORMAT }
    await writeIdentity(directory, created)
    return created
  }
  const followed = followApp(existing, app, directory)
  const isCurrent = followed.format === DATA_FORMAT
  const claimed = isCurrent ? followed : { ...followed, format: DATA_FORMAT }
  if (claimed !== existing) await writeIdentity(directory, claimed)
  return claimed
}

/** The identity after `app` was opened; the same object when nothing changes. Throws DATA_OF_OTHER_APP, DATA_PARTITIONS_FIXED. */
export function followApp(existing: Identity, app: App, directory: string): Identity {
  if (existing.app !== app.name) {
    const details = { directory, existing: existing.app, wanted: app.name }
    throw serverErrors.create('DATA_OF_OTHER_APP', details)
  }
  if (existing.partitions !== app.partitions) {
    const details = { directory, existing: existing.partitions, wanted: app.partitions }
    throw serverErrors.create('DATA_PARTITIONS_FIXED', details)
  }
  if (existing.fingerprint === app.fingerprint) return existing
  return { ...existing, fingerprint: app.fingerprint, builtIn: builtInName(app) }
}

/** The identity of a Millrace outside of a data directory. */
export function createIdentity(app: App, random: Random): Identity {
  return {
    app: app.name,
    fingerprint: app.fingerprint,
    partitions: app.partitions,
    builtIn: builtInName(app),
    secret: random.fill(new Uint8Array(SECRET_BYTES)),
    format: FORMAT_FIRST,
    term: 0,
  }
}

function builtInName(app: App): string | undefined {
  return builtInApp(app.name) === app ? app.name : undefined
}

/** The identity as it is stored. */
export function identityText(identity: Identity): string {
  const content = {
    format: identity.format,
    app: identity.app,
    fingerprint: identity.fingerprint,
    partitions: identity.partitions,
    ...(identity.builtIn === undefined ? {} : { builtIn: identity.builtIn }),
    ...(identity.term === 0 ? {} : { term: identity.term }),
    secret: Buffer.from(identity.secret).toString('base64url'),
  }
  return `${JSON.stringify(content, undefined, 2)}\n`
}

/** Replaces the identity of a directory; durable when it resolves. */
export async function writeIdentity(directory: string, identity: Identity): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const target = join(directory, IDENTITY_FILE)
  const temporary = `${target}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(identityText(identity))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, target)
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
