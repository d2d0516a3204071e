/** The definition of a branch: loaded, compared with the one that is served, and told. */
import type { App } from '@millrace/core'
import { streamsErrors, type Branch, type BranchChanges } from '@millrace/streams'
import { serverErrors } from '../errors.ts'
import { changesBetween, readsOtherwise, type DefinitionChanges } from '../wiring/definition-changes.ts' // prettier-ignore
import { withSettings, type DefinitionSettings } from '../wiring/definition-settings.ts'
import type { ServerContext } from './context.ts'

/** Another definition, as it is asked for. */
export interface DefinitionRequest {
  /** A file beside that of the app; default: the definition that is served. */
  readonly file?: string
  readonly settings?: DefinitionSettings
}

/** What of a definition is otherwise, as it is told. */
export interface DefinitionTold {
  readonly fingerprint: string
  readonly folds: readonly string[]
  readonly surfaces: readonly string[]
  readonly added: readonly string[]
  readonly removed: readonly string[]
}

/**
 * The changes of a branch that come of another definition. Throws DEFINITION_FILE_REFUSED, also for a
 * caller who is not of this machine, DEFINITION_FILE_INVALID, SETTING_INVALID, BRANCH_INVALID.
 */
export async function definitionIn(
  { app, definitions }: Pick<ServerContext, 'app' | 'definitions'>,
  { file, settings = {} }: DefinitionRequest,
  actor: string | undefined,
): Promise<Pick<BranchChanges, 'app' | 'definitions'>> {
  if (file !== undefined && actor?.startsWith('key:') === true) {
    const reason = 'a key cannot name code that runs in the server'
    throw serverErrors.create('DEFINITION_FILE_REFUSED', { file: file.slice(0, 256), reason })
  }
  const other = withSettings(file === undefined ? app : await definitions.load(file), settings)
  const otherwise = readsOtherwise(app, other)
  if (otherwise !== undefined) throw streamsErrors.create('BRANCH_INVALID', { reason: otherwise })
  return { app: other, definitions: changesBetween(app, other).folds }
}

const told = new WeakMap<App, DefinitionTold>()

/** What of a branch's definition is not what is served; undefined where it has none of its own. */
export function definitionOf(
  { app }: Pick<ServerContext, 'app'>,
  { changes }: Pick<Branch, 'changes'>,
): DefinitionTold | undefined {
  const other = changes.app
  if (other === undefined) return undefined
  const known = told.get(other) ?? tell(other, changesBetween(app, other))
  told.set(other, known)
  return known
}

function tell(
  { fingerprint }: App,
  { folds, surfaces, added, removed }: DefinitionChanges,
): DefinitionTold {
  return { fingerprint, folds: folds.map(({ name }) => name), surfaces, added, removed }
}
