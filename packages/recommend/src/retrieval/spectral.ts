/**
 * Spectral low-pass: scores are the history projected on the leading right singular vectors of
 * A = Du^-a R Di^-b (Shen et al. 2021; Choi et al. 2023), found by randomised subspace iteration
 * (Halko et al. 2011). With V orthonormal, score = (r Di^-c) V V' Di^d. No rotation of V matters, so no
 * eigenvectors are computed: each round is two sparse products, and every other one a Cholesky QR.
 * Columns are orthogonalised in order, so that the first k of V are the answer for rank k.
 * Additive: a new event adds one scaled row of V to a person's vector.
 */
import { inverseFactor, multiply, rows, SHAPE, transposed } from '../kernels/dense.ts'
import type { Floats, Workspace } from '../kernels/workspace.ts'
import { degrees, powers, recentValues, type Events, type Places } from './events.ts'
import type { Model } from './model.ts'

/** What the basis depends on. */
export interface BasisSettings {
  readonly rank: number
  /** a */
  readonly personExponent: number
  /** b */
  readonly itemExponent: number
  /** Rounds of the subspace iteration. */
  readonly rounds: number
  readonly seed: number
}

/** What scoring with a basis depends on. */
export interface FilterSettings {
  /** At most that of the basis. */
  readonly rank: number
  /** c */
  readonly inExponent: number
  /** d */
  readonly outExponent: number
  readonly halfLife: number
}

/** The leading subspace: `items` rows of `rank` numbers. */
export interface Basis {
  readonly settings: BasisSettings
  readonly vectors: Floats
}

/** Finds the basis; `start`, a basis of similar events, saves rounds. `rank` is a multiple of 4. */
export async function fitBasis(
  workspace: Workspace,
  events: Events,
  places: Places,
  settings: BasisSettings,
  start?: Basis,
): Promise<Basis> {
  const { people, items } = events
  const { rank, rounds } = settings
  const { byPerson, byItem } = degrees(events)
  const person = powers(workspace, byPerson, -settings.personExponent)
  const item = powers(workspace, byItem, -settings.itemExponent)
  const turned = workspace.floats(places.places.length)
  for (let at = 0; at < turned.length; at++)
    turned[at] = events.values[places.places[at] as number] as number
  let vectors = workspace.floats(items * rank)
  let other = workspace.floats(items * rank)
  const between = workspace.floats(people * rank)
  if (start === undefined) fillNoise(vectors, settings.seed)
  else {
    const stride = start.settings.rank
    for (let item = 0; item < items; item++)
      vectors.set(start.vectors.subarray(item * stride, item * stride + rank), item * rank)
  }
  const work = events.ids.length * rank
  for (let round = 0; round < rounds; round++) {
    await workspace.run('spmm', { work }, people, events.offsets, events.ids, events.values, person, item, vectors, rank * 4, between, rank * 4, rank) // prettier-ignore
    await workspace.run('spmm', { work }, items, places.offsets, places.owners, turned, item, person, between, rank * 4, vectors, rank * 4, rank) // prettier-ignore
    // Two rounds in f32 keep what one QR can tell apart.
    if ((rounds - round) % 2 === 1) {
      await orthogonalise(workspace, vectors, other, items, rank)
      ;[vectors, other] = [other, vectors]
    }
  }
  workspace.free(person, item, turned, other, between)
  return { settings, vectors }
}

/** `to` = `from` times the inverse of its triangular QR factor. */
async function orthogonalise(
  workspace: Workspace,
  from: Floats,
  to: Floats,
  items: number,
  rank: number,
): Promise<void> {
  const gram = workspace.floats(rank * rank)
  let inverse: Floats | undefined
  // Directions that the data does not have are kept small instead of failing.
  for (let shift = 1e-6; inverse === undefined; shift *= 10) {
    await multiply(workspace, { m: rank, n: rank, depth: items, a: transposed(rows(from, rank)), b: rows(from, rank), out: rows(gram, rank), shape: SHAPE.lower }) // prettier-ignore
    let trace = 0
    for (let at = 0; at < rank; at++) trace += gram[at * rank + at] as number
    const ridge = (shift * trace) / rank + 1e-30
    for (let at = 0; at < rank; at++) gram[at * rank + at]! += ridge
    inverse = await inverseFactor(workspace, gram, rank, rank)
  }
  await multiply(workspace, { m: items, n: rank, depth: rank, a: rows(from, rank), b: transposed(rows(inverse, rank)), out: rows(to, rank), shape: SHAPE.untilJ }) // prettier-ignore
  workspace.free(gram, inverse)
}

/** Uniform in [-1, 1), by a linear congruence: the subspace needs no better. */
function fillNoise(out: Floats, seed: number): void {
  let state = seed | 0
  for (let at = 0; at < out.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    out[at] = state / 2 ** 31
  }
}

/** A low-pass filter on a basis, which it does not own. */
export function createFilter(
  workspace: Workspace,
  events: Events,
  basis: Basis,
  settings: FilterSettings,
): Model {
  const { byItem } = degrees(events)
  const entry = powers(workspace, byItem, -settings.inExponent)
  const itemScale = powers(workspace, byItem, settings.outExponent)
  const parts = { vectors: basis.vectors, entry, itemScale }
  const all = { ...basis.settings, ...settings }
  const release = (): void => workspace.free(entry, itemScale)
  return { ...filterModel(workspace, all, parts), release }
}

/** What a filter has learned. */
export interface FilterParts {
  /** The basis: a row for each item. */
  readonly vectors: Floats
  /** Di^-c */
  readonly entry: Floats
  /** Di^d */
  readonly itemScale: Floats
}

/** What `createFilter` makes of a basis; its release gives the basis back as well. */
export function filterModel(
  workspace: Workspace,
  settings: BasisSettings & FilterSettings,
  parts: FilterParts,
): Model {
  const { vectors: basis, entry, itemScale } = parts
  const items = entry.length
  const stride = basis.length / items
  const { rank } = settings
  return {
    family: 'spectral',
    settings: { ...settings },
    parts: { ...parts },
    itemScale,
    async score(histories, out) {
      const { people, offsets, ids } = histories
      const weights = recentValues(workspace, histories, settings.halfLife)
      const vectors = workspace.floats(people * rank)
      await workspace.run('spmm', { work: ids.length * rank }, people, offsets, ids, weights, undefined, entry, basis, stride * 4, vectors, rank * 4, rank) // prettier-ignore
      await multiply(workspace, { m: people, n: items, depth: rank, a: rows(vectors, rank), b: transposed(rows(basis, stride)), out: rows(out, items) }) // prettier-ignore
      workspace.free(weights, vectors)
    },
    release: () => workspace.free(basis, entry, itemScale),
  }
}
