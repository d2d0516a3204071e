/** The same list for everybody: how often items occurred, old events counting less when they are in order. */
import type { Floats, Workspace } from '../kernels/workspace.ts'
import { degrees, recentValues, type Events } from './events.ts'
import type { Model } from './model.ts'

/** Counts the events of each item; `halfLife` in a person's events, Infinity: all alike. */
export function fitPopularity(
  workspace: Workspace,
  events: Events,
  settings: { readonly halfLife: number },
): Model {
  const values = recentValues(workspace, events, settings.halfLife)
  const { byItem } = degrees({ ...events, values })
  workspace.free(values)
  return popularityModel(workspace, settings, { counts: workspace.floatsOf(byItem) })
}

/** What `fitPopularity` makes of its counts. */
export function popularityModel(
  workspace: Workspace,
  settings: { readonly halfLife: number },
  parts: { readonly counts: Floats },
): Model {
  const { counts } = parts
  return {
    family: 'popularity',
    settings,
    parts,
    async score(histories, out) {
      for (let row = 0; row < histories.people; row++) out.set(counts, row * counts.length)
    },
    release: () => workspace.free(counts),
  }
}
