/**
 * Linear item-to-item regressions with a closed form, for catalogues whose square fits.
 *
 * EASE (Steck 2019): history to the same history without each item itself; B = I - P / diag P with
 * P = (X'X + lambda)^-1. Sequence: the items before a place, halved with every `halfLife` places, to the
 * items after it, weighted by distance^-0.75; B = (X'X + lambda)^-1 X'Y (a linear form of SASRec and of
 * Choi et al. 2021, SLIST). Both tables are sums over pairs of events that depend on their distance, so
 * that no design matrix is ever made. 2 n^3 multiply-adds, 12 n^2 bytes.
 */
import { invert, multiply, rows } from '../kernels/dense.ts'
import type { Floats, Workspace } from '../kernels/workspace.ts'
import { degrees, pairsOf, recentValues, type Events, type Places } from './events.ts'
import { SPAN } from './lists.ts'
import type { Model } from './model.ts'

/** How EASE is regularised. */
export interface EaseSettings {
  readonly lambda: number
  readonly personExponent: number
  readonly halfLife: number
}

/** How the sequence regression looks back and ahead. */
export interface SequenceSettings {
  readonly lambda: number
  /** Places; of the history when it is fitted and when it is scored. */
  readonly halfLife: number
  /** How many items after a place are predicted. */
  readonly ahead: number
  /** How fast later ones count less. */
  readonly decay: number
}

/** Fits EASE; undefined when the table cannot be inverted. */
export async function fitEase(
  workspace: Workspace,
  events: Events,
  places: Places,
  settings: EaseSettings,
): Promise<Model | undefined> {
  const { items } = events
  const { byPerson } = degrees(events)
  const values = workspace.floats(events.ids.length)
  for (let person = 0; person < events.people; person++) {
    const weight = (byPerson[person] as number) ** -settings.personExponent
    for (let at = events.offsets[person]!; at < events.offsets[person + 1]!; at++)
      values[at] = weight * (events.values[at] as number)
  }
  const table = await coOccurrence(workspace, { events, places, values, span: SPAN })
  workspace.free(values)
  addRidge(table, items, settings.lambda)
  if (!(await invert(workspace, table, items, items))) {
    workspace.free(table)
    return undefined
  }
  const diagonal = Float32Array.from({ length: items }, (_, j) => -1 / (table[j * items + j] as number)) // prettier-ignore
  for (let i = 0; i < items; i++) {
    const row = table.subarray(i * items, (i + 1) * items)
    for (let j = 0; j < items; j++) row[j]! *= diagonal[j] as number
    row[i] = 0
  }
  return denseModel(workspace, { family: 'ease', items, settings, parts: { table } }) // prettier-ignore
}

/** Fits the sequence regression; undefined when the table cannot be inverted. */
export async function fitSequence(
  workspace: Workspace,
  events: Events,
  places: Places,
  settings: SequenceSettings,
): Promise<Model | undefined> {
  const { items } = events
  const { halfLife, ahead, decay } = settings
  const behind = Math.min(SPAN, Math.ceil(halfLife * 8))
  const weight = (distance: number): number =>
    distance >= 0 && distance < behind ? 0.5 ** (distance / halfLife) : 0
  const self = workspace.floats(2 * behind + 1)
  for (let lag = 0; lag <= behind; lag++) {
    let sum = 0
    for (let t = 0; t < behind; t++) sum += weight(t) * weight(t + lag)
    self[behind + lag] = self[behind - lag] = sum
  }
  const span = behind + ahead
  const after = workspace.floats(2 * span + 1)
  for (let lag = 1; lag <= span; lag++) {
    let sum = 0
    for (let d = 1; d <= Math.min(ahead, lag); d++) sum += weight(lag - d) * d ** -decay
    after[span + lag] = sum
  }
  const { values } = events
  const table = await coOccurrence(workspace, { events, places, values, span: behind, lags: self })
  addRidge(table, items, settings.lambda)
  if (!(await invert(workspace, table, items, items))) {
    workspace.free(table, self, after)
    return undefined
  }
  const next = await coOccurrence(workspace, { events, places, values, span, lags: after })
  const out = workspace.floats(items * items)
  await multiply(workspace, { m: items, n: items, depth: items, a: rows(table, items), b: rows(next, items), out: rows(out, items) }) // prettier-ignore
  workspace.free(table, next, self, after)
  return denseModel(workspace, { family: 'sequence', items, settings, parts: { table: out } }) // prettier-ignore
}

async function coOccurrence(
  workspace: Workspace,
  {
    events,
    places,
    values,
    span,
    lags,
  }: {
    readonly events: Events
    readonly places: Places
    readonly values: Floats
    readonly span: number
    readonly lags?: Floats
  },
): Promise<Floats> {
  const { items } = events
  const table = workspace.floats(items * items)
  await workspace.run('coOccurDense', { work: pairsOf(events) }, items, places.offsets, places.places, places.owners, events.offsets, events.ids, values, lags, span, table, items * 4) // prettier-ignore
  return table
}

function addRidge(table: Floats, items: number, lambda: number): void {
  for (let item = 0; item < items; item++) table[item * items + item]! += lambda
}

/** What either fit makes of its square table. */
export function denseModel(
  workspace: Workspace,
  {
    family,
    items,
    settings,
    parts,
  }: {
    readonly family: 'ease' | 'sequence'
    readonly items: number
    readonly settings: EaseSettings | SequenceSettings
    readonly parts: { readonly table: Floats }
  },
): Model {
  const { table } = parts
  return {
    family,
    settings: { ...settings },
    parts,
    async score(histories, out) {
      const weights = recentValues(workspace, histories, settings.halfLife)
      const padded = items - (items % 4)
      await workspace.run('spmm', { work: histories.ids.length * items }, histories.people, histories.offsets, histories.ids, weights, undefined, undefined, table, items * 4, out, items * 4, padded) // prettier-ignore
      scoreRest(histories, weights, table, out, padded)
      workspace.free(weights)
    },
    release: () => workspace.free(table),
  }
}

/** The last columns, which do not fill four lanes. */
function scoreRest(
  { people, items, offsets, ids }: Events,
  weights: Floats,
  table: Floats,
  out: Floats,
  from: number,
): void {
  for (let person = 0; person < people; person++) {
    for (let item = from; item < items; item++) {
      let sum = 0
      for (let at = offsets[person]!; at < offsets[person + 1]!; at++)
        sum += (weights[at] as number) * (table[ids[at]! * items + item] as number)
      out[person * items + item] = sum
    }
  }
}
