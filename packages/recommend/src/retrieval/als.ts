/**
 * Implicit alternating least squares (Hu et al. 2008) with the loss and the frequency-scaled
 * regularisation of Rendle et al. 2022 ("iALS++"): sum over events of w (1 - xy)^2 + alpha0 sum over all
 * pairs of (xy)^2 + lambda (d + alpha0 n)^nu |x|^2. Each half round takes a few conjugate-gradient steps
 * (Takács et al. 2011). A person's vector is folded in from the history alone.
 */
import { multiply, rows, SHAPE, transposed } from '../kernels/dense.ts'
import type { Floats, Workspace } from '../kernels/workspace.ts'
import { degrees, recentValues, type Events, type Places } from './events.ts'
import type { Model } from './model.ts'

/** Size and regularisation. */
export interface AlsSettings {
  /** A multiple of 16. */
  readonly factors: number
  readonly rounds: number
  /** alpha0: how much a pair without an event counts. */
  readonly unseen: number
  readonly lambda: number
  /** Conjugate-gradient steps in a half round. */
  readonly steps: number
  readonly halfLife: number
  readonly seed: number
}

/** Steps when a person is folded in from nothing. */
const FOLD_STEPS = 8

/** Fits factors. */
export async function fitAls(
  workspace: Workspace,
  events: Events,
  places: Places,
  settings: AlsSettings,
): Promise<Model> {
  const { people, items } = events
  const { factors, steps, unseen } = settings
  const own = workspace.floats(people * factors)
  const others = workspace.floats(items * factors)
  fillNormal(own, 0.1 / Math.sqrt(factors), settings.seed)
  fillNormal(others, 0.1 / Math.sqrt(factors), settings.seed + 1)
  const { byPerson, byItem } = degrees(events)
  const personRidge = ridges(workspace, byPerson, items, settings)
  const itemRidge = ridges(workspace, byItem, people, settings)
  const turned = workspace.floats(events.ids.length)
  for (let at = 0; at < turned.length; at++)
    turned[at] = events.values[places.places[at] as number] as number
  const gram = workspace.floats(factors * factors)
  const work = (people + items) * factors ** 2
  for (let round = 0; round < settings.rounds; round++) {
    await gramOf(workspace, { of: others, count: items, factors, unseen, gram })
    await workspace.run('alsHalf', { work, scratchBytes: factors * 16 }, people, events.offsets, events.ids, events.values, others, own, factors, gram, personRidge, steps) // prettier-ignore
    await gramOf(workspace, { of: own, count: people, factors, unseen, gram })
    await workspace.run('alsHalf', { work, scratchBytes: factors * 16 }, items, places.offsets, places.owners, turned, own, others, factors, gram, itemRidge, steps) // prettier-ignore
  }
  await gramOf(workspace, { of: others, count: items, factors, unseen, gram })
  workspace.free(own, personRidge, itemRidge, turned)
  return alsModel(workspace, settings, { others, gram })
}

/** What is learned of the items: `factors` numbers each, and their Gram matrix times alpha0. */
export interface AlsParts {
  readonly others: Floats
  readonly gram: Floats
}

/** What `fitAls` makes of its factors. */
export function alsModel(workspace: Workspace, settings: AlsSettings, parts: AlsParts): Model {
  const { factors } = settings
  const { others, gram } = parts
  const items = others.length / factors
  return {
    family: 'als',
    settings: { ...settings },
    parts: { ...parts },
    async score(histories, out) {
      const values = recentValues(workspace, histories, settings.halfLife)
      const vectors = workspace.floats(histories.people * factors)
      const { byPerson: sums } = degrees({ ...histories, values })
      const ridge = ridges(workspace, sums, items, settings)
      await workspace.run('alsHalf', { work: histories.people * factors ** 2, scratchBytes: factors * 16 }, histories.people, histories.offsets, histories.ids, values, others, vectors, factors, gram, ridge, FOLD_STEPS) // prettier-ignore
      await multiply(workspace, { m: histories.people, n: items, depth: factors, a: rows(vectors, factors), b: transposed(rows(others, factors)), out: rows(out, items) }) // prettier-ignore
      workspace.free(values, vectors, ridge)
    },
    release: () => workspace.free(others, gram),
  }
}

/** gram = unseen * Y'Y, whole. */
async function gramOf(
  workspace: Workspace,
  {
    of,
    count,
    factors,
    unseen,
    gram,
  }: {
    readonly of: Floats
    readonly count: number
    readonly factors: number
    readonly unseen: number
    readonly gram: Floats
  },
): Promise<void> {
  await multiply(workspace, { m: factors, n: factors, depth: count, a: transposed(rows(of, factors)), b: rows(of, factors), out: rows(gram, factors), alpha: unseen, shape: SHAPE.lower }) // prettier-ignore
  for (let i = 0; i < factors; i++)
    for (let j = 0; j < i; j++) gram[j * factors + i] = gram[i * factors + j] as number
}

function ridges(
  workspace: Workspace,
  sums: Float64Array,
  across: number,
  { lambda, unseen }: AlsSettings,
): Floats {
  return workspace.floatsOf(sums.map(sum => lambda * (sum + unseen * across)))
}

/** Normal noise by Box and Muller from a linear congruence. */
function fillNormal(out: Floats, deviation: number, seed: number): void {
  let state = seed >>> 0
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  for (let at = 0; at < out.length; at++)
    out[at] = deviation * Math.sqrt(-2 * Math.log(next() + 1e-12)) * Math.cos(2 * Math.PI * next())
}
