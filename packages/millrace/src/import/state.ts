/**
 * How far an import has come, kept beside its sorted runs under `imports/<key>/` of the data
 * directory. The key names the files, their mapping and the app, so that another import never goes
 * on where this one stopped. The note is replaced atomically.
 */
import { createHash } from 'node:crypto'
import { isError, type App, type Disk } from '@millrace/core'
import type { CheckReport } from '@millrace/product'
import type { UnknownItems } from './checks.ts'
import type { RefusedRow } from './rows.ts'

/** The note of an import. */
export interface ImportState {
  readonly version: 1
  readonly folder: string
  readonly refusedPath: string
  readonly isSorted: boolean
  readonly runs: readonly string[]
  /** Event types by the number that the runs use. */
  readonly types: readonly string[]
  readonly byType: Readonly<Record<string, number>>
  readonly rows: number
  /** Rows of the runs that are durable in the log. */
  readonly committed: number
  readonly appended: number
  readonly duplicates: number
  readonly refused: number
  readonly refusedFirst: readonly (RefusedRow & { readonly file: string })[]
  readonly refusedBytes: number
  readonly latinLines: number
  readonly firstAtMs: number | undefined
  readonly lastAtMs: number | undefined
  readonly samples: readonly ImportSample[]
  /** What the checks of the app say of the rows. */
  readonly checks: readonly CheckReport[]
  /** Items that rows name and nobody knows. */
  readonly unknown: UnknownItems
}

/** What the first row of an event type became. */
export interface ImportSample {
  readonly type: string
  readonly file: string
  readonly line: number
  readonly atMs: number
  readonly data: unknown
}

/** Where imports keep their work, and rows that they refused, in a data directory. */
export const IMPORTS_FOLDER = 'imports'

/** The note of this import if it was sorted before, or a fresh one. */
export async function loadState(
  disk: Disk,
  app: App,
  inputs: readonly { readonly identity: string }[],
): Promise<ImportState> {
  const facts = [app.name, app.fingerprint, ...inputs.map(input => input.identity)]
  const key = createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 16)
  const folder = `${IMPORTS_FOLDER}/${key}`
  const found = await readState(disk, folder)
  if (found !== undefined) return found
  await disk.remove(folder)
  await disk.makeDirectory(folder)
  return {
    version: 1,
    folder,
    refusedPath: `${IMPORTS_FOLDER}/${key}.refused.jsonl`,
    isSorted: false,
    runs: [],
    types: [],
    byType: {},
    rows: 0,
    committed: 0,
    appended: 0,
    duplicates: 0,
    refused: 0,
    refusedFirst: [],
    refusedBytes: 0,
    latinLines: 0,
    firstAtMs: undefined,
    lastAtMs: undefined,
    samples: [],
    checks: [],
    unknown: {},
  }
}

async function readState(disk: Disk, folder: string): Promise<ImportState | undefined> {
  const bytes = await readFile(disk, `${folder}/state.json`)
  if (bytes === undefined) return undefined
  try {
    const state = JSON.parse(bytes.toString('utf8')) as ImportState
    return state.version === 1 && state.isSorted && state.folder === folder ? state : undefined
  } catch {
    // A note that cannot be read means that nothing is known: the import begins again, and what
    // it appended before is recognised.
    return undefined
  }
}

/** Replaces the note. */
export async function saveState(disk: Disk, state: ImportState): Promise<void> {
  const path = `${state.folder}/state.json`
  const bytes = Buffer.from(JSON.stringify(state))
  const file = await disk.open(`${path}.new`, 'write')
  try {
    await file.truncate(0)
    await file.write(bytes, 0, bytes.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(`${path}.new`, path)
  await disk.syncDirectory(state.folder)
}

/** Removes what the import worked with; refused rows stay. */
export async function removeWork(disk: Disk, state: ImportState): Promise<void> {
  await disk.remove(state.folder)
}

async function readFile(disk: Disk, path: string): Promise<Buffer | undefined> {
  try {
    const file = await disk.open(path, 'read')
    try {
      const bytes = Buffer.alloc(await file.size())
      const read = await file.read(bytes, 0, bytes.length, 0)
      return bytes.subarray(0, read)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isError(error, 'DISK_NOT_FOUND')) return undefined
    throw error
  }
}

/** Imports that were interrupted: their folders under `imports/`. */
export async function unfinishedImports(disk: Disk): Promise<readonly string[]> {
  const names = await disk.list(IMPORTS_FOLDER)
  return names.filter(name => /^[0-9a-f]{16}$/.test(name)).map(name => `${IMPORTS_FOLDER}/${name}`)
}
