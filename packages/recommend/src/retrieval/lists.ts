/**
 * Item to item: what occurs in the same histories, as a bounded list for each item.
 *
 * Neighbours: sum over people of w^2 d(person)^-2a, divided by d(i)^b d(j)^c: cosine for b = c = 1/2 and
 * a = 0; with a > 0 the linear term of graph filters (Shen et al. 2021, GF-CF). Transitions: only what
 * came after, weighted by 2^-(distance / halfLife) (as in Markov chains and sequential rules, Ludewig,
 * Jannach 2018), and scored from the newest events of a history. O(sum of squared row lengths), each
 * row seen through a window of `SPAN` places.
 */
import type { Floats, Ints, Workspace } from '../kernels/workspace.ts'
import { degrees, pairsOf, powers, recentValues, type Events, type Places } from './events.ts'
import type { Model } from './model.ts'

/** Events that lie further apart are not compared: a bound for people with very many. */
export const SPAN = 1000

/** How neighbours are weighed. */
export interface NeighbourSettings {
  readonly personExponent: number
  readonly rowExponent: number
  readonly columnExponent: number
  /** Length of a list. */
  readonly width: number
  /** Of a history's events when it is scored. */
  readonly halfLife: number
}

/** How transitions are weighed. */
export interface TransitionSettings {
  /** In places between the two events. */
  readonly lagHalfLife: number
  readonly rowExponent: number
  readonly columnExponent: number
  readonly width: number
  readonly halfLife: number
}

/** `width` places for each item, best first; -1 ends a shorter list. */
export interface ListParts {
  readonly listIds: Ints
  readonly listValues: Floats
}

/** Fits neighbour lists. */
export async function fitNeighbours(
  workspace: Workspace,
  events: Events,
  places: Places,
  settings: NeighbourSettings,
): Promise<Model> {
  const { byPerson } = degrees(events)
  const values = workspace.floats(events.ids.length)
  for (let person = 0; person < events.people; person++) {
    const weight = (byPerson[person] as number) ** -settings.personExponent
    for (let at = events.offsets[person]!; at < events.offsets[person + 1]!; at++)
      values[at] = weight * (events.values[at] as number)
  }
  const parts = await fitLists(workspace, { events, places, values, span: SPAN, settings })
  workspace.free(values)
  return listModel(workspace, { family: 'neighbours', items: events.items, settings, parts })
}

/** Fits lists of what comes after. */
export async function fitTransitions(
  workspace: Workspace,
  events: Events,
  places: Places,
  settings: TransitionSettings,
): Promise<Model> {
  const span = Math.min(SPAN, Math.ceil(settings.lagHalfLife * 10))
  const lags = workspace.floats(2 * span + 1)
  for (let lag = 1; lag <= span; lag++) lags[span + lag] = 0.5 ** ((lag - 1) / settings.lagHalfLife)
  const values = workspace.floatsOf(events.values)
  const parts = await fitLists(workspace, { events, places, values, span, settings, lags })
  workspace.free(lags, values)
  return listModel(workspace, { family: 'transitions', items: events.items, settings, parts })
}

async function fitLists(
  workspace: Workspace,
  {
    events,
    places,
    values,
    span,
    lags,
    settings,
  }: {
    readonly events: Events
    readonly places: Places
    readonly values: Float32Array
    readonly span: number
    readonly lags?: Float32Array
    readonly settings: NeighbourSettings | TransitionSettings
  },
): Promise<ListParts> {
  const { items } = events
  const { width, rowExponent, columnExponent } = settings
  const { byItem } = degrees(events)
  const rowScale = powers(workspace, byItem, -rowExponent)
  const columnScale = powers(workspace, byItem, -columnExponent)
  const listIds = workspace.ints(items * width)
  const listValues = workspace.floats(items * width)
  await workspace.run('coOccurLists', { work: pairsOf(events), scratchBytes: items * 8 + 64 }, items, places.offsets, places.places, places.owners, events.offsets, events.ids, values, lags, span, rowScale, columnScale, width, listIds, listValues) // prettier-ignore
  workspace.free(rowScale, columnScale)
  return { listIds, listValues }
}

/** What either fit makes of its lists. */
export function listModel(
  workspace: Workspace,
  {
    family,
    items,
    settings,
    parts,
  }: {
    readonly family: 'neighbours' | 'transitions'
    readonly items: number
    readonly settings: NeighbourSettings | TransitionSettings
    readonly parts: ListParts
  },
): Model {
  const { width, halfLife } = settings
  const { listIds, listValues } = parts
  return {
    family,
    settings: { ...settings },
    parts: { ...parts },
    async score(histories, out) {
      const weights = recentValues(workspace, histories, halfLife)
      await workspace.run('listScores', { work: histories.ids.length * width }, histories.people, histories.offsets, histories.ids, weights, width, listIds, listValues, items, out, items * 4) // prettier-ignore
      workspace.free(weights)
    },
    release: () => workspace.free(listIds, listValues),
  }
}
