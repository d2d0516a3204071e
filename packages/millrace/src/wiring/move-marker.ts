/** What a home of data says while its data is moved, and after: no server may open it then. */
import { existsSync, readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type * as postgresLog from '@millrace/log/postgres'
import { serverErrors } from '../errors.ts'

/** The mark of a home. */
export interface MoveMark {
  /** Data is being brought here; is on its way from here, nobody writing; has left. */
  readonly state: 'arriving' | 'leaving' | 'left'
  /** The home at the other end. */
  readonly other: string
}

const FILE = 'move.json'
const SETTING = 'move'

/** Refuses a home that is not whole, or that was left (MOVE_UNFINISHED, DATA_MOVED). */
export function refuseMarked(place: string, mark: MoveMark | undefined): void {
  if (mark === undefined) return
  const { state, other } = mark
  const code = state === 'left' ? 'DATA_MOVED' : 'MOVE_UNFINISHED'
  throw serverErrors.create(code, { place, other })
}

/** The mark of a data directory. */
export function markOfDirectory(directory: string): MoveMark | undefined {
  const file = join(directory, FILE)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as MoveMark) : undefined
}

/** Puts the mark of a data directory, or takes it away. */
export async function markDirectory(directory: string, mark: MoveMark | undefined): Promise<void> {
  const file = join(directory, FILE)
  if (mark === undefined) await rm(file, { force: true })
  else await writeFile(file, `${JSON.stringify(mark)}\n`, { flush: true, mode: 0o600 })
}

/** The mark of a database. */
export async function markOfDatabase(
  { readSetting }: Pick<typeof postgresLog, 'readSetting'>,
  database: postgresLog.Database,
): Promise<MoveMark | undefined> {
  const text = await readSetting(database, SETTING)
  return text === undefined ? undefined : (JSON.parse(text) as MoveMark)
}

/** Puts the mark of a database, or takes it away. */
export async function markDatabase(
  { putSetting, removeSetting }: Pick<typeof postgresLog, 'putSetting' | 'removeSetting'>,
  database: postgresLog.Database,
  mark: MoveMark | undefined,
): Promise<void> {
  if (mark === undefined) await removeSetting(database, SETTING)
  else await putSetting(database, SETTING, JSON.stringify(mark))
}
