/** A branch becomes changesets: what it has otherwise is planned on the log as it is, if nobody changed that since. */
import type { App } from '@millrace/core'
import { streamsErrors, type AddedEvent, type Branch } from '@millrace/streams'
import type { Changesets } from './changesets.ts'
import { changesetErrors } from './errors.ts'
import type { ChangesetView } from './views.ts'

const NAMES_SHOWN = 10

/** What plans of branches stand on. */
export interface BranchPlanPorts {
  readonly app: App
  readonly changesets: Pick<Changesets, 'plan'>
}

/**
 * Plans the corrections of a branch, its merges, and its items, as a changeset each; the same branch again gives
 * the same ones. Rejects with CHANGESET_INVALID for a branch that has more than these otherwise, or
 * nothing; with BRANCH_STALE, naming what was changed since it was opened.
 */
export async function planBranch(
  { app, changesets }: BranchPlanPorts,
  branch: Branch,
  { title = `branch ${branch.id}`, actor }: { readonly title?: string; readonly actor: string },
): Promise<readonly ChangesetView[]> {
  const { corrections = [], events = [], links = [], definitions = [], app: other } = branch.changes
  if (definitions.length > 0 || other !== undefined) throw invalid(deployment(definitions))
  const tables = new Map<string, object[]>()
  for (const event of events) {
    const row = rowOf(app, event)
    const rows = tables.get(event.stream)
    if (rows === undefined) tables.set(event.stream, [row])
    else rows.push(row)
  }
  if (corrections.length + events.length + links.length === 0)
    throw invalid('the branch changes nothing')
  const moved = await branch.moved()
  if (moved.length > 0) {
    const more = moved.length - NAMES_SHOWN
    const names = `${moved.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
    throw streamsErrors.create('BRANCH_STALE', { branch: branch.id, names })
  }
  const planned: ChangesetView[] = []
  const plan = async (name: string, kind: string, request: object): Promise<void> => {
    planned.push(await changesets.plan({ id: `${branch.id}-${name}`, kind, title, request }, actor))
  }
  if (corrections.length > 0) {
    const rows = corrections.map(({ id, action, data }) => ({
      id,
      do: action,
      ...(data === undefined ? {} : { data }),
    }))
    await plan('corrections', 'corrections', { rows })
  }
  if (links.length > 0) {
    const rows = links.map(({ from, into }) => (into === null ? { from } : { from, into }))
    await plan('identities', 'identities', { rows })
  }
  for (const [table, rows] of tables) await plan(table, 'catalogue', { table, rows })
  return planned
}

/** The row that an added event puts or removes. Throws CHANGESET_INVALID for another event. */
function rowOf(app: App, { stream, type, key, data }: AddedEvent): object {
  if (app.tables.has(stream) && type === `${stream}.removed`) return { id: key, do: 'remove' }
  if (app.tables.has(stream) && type === `${stream}.put`) {
    return { id: key, do: 'put', attributes: (data as { attributes: unknown }).attributes }
  }
  throw invalid(`${type} of ${key} did not happen: events are sent, not applied`)
}

/** How another definition comes into force. */
function deployment(definitions: readonly { readonly name: string }[]): string {
  const views = definitions.flatMap(({ name }) => (name.startsWith('view.') ? [name.slice('view.'.length)] : [])) // prettier-ignore
  const steps = views.map(view => `millrace rebuild ${view}`).join(', ')
  const rebuilt = steps === '' ? '' : `, with what it replaces, then ${steps} builds and switches`
  return `another definition is deployed, not applied: start the server with it${rebuilt}`
}

function invalid(reason: string): Error {
  return changesetErrors.create('CHANGESET_INVALID', { reason })
}
