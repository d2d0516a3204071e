/**
 * The families that compete and the settings that each tries, one ladder after the other: the best value
 * is kept before the next ladder is climbed. What is tried depends on sizes alone, never on the clock, so
 * that the same data gives the same choice.
 */
import type { Workspace } from '../kernels/workspace.ts'
import { fitAls } from './als.ts'
import type { Events, Places } from './events.ts'
import { fitNeighbours, fitTransitions } from './lists.ts'
import type { Family, Model, Settings } from './model.ts'
import { fitPopularity } from './popularity.ts'
import { fitEase, fitSequence } from './regression.ts'
import { createFilter, fitBasis, type Basis } from './spectral.ts'

/** Fits a model of one family. `keep` holds what later fits of the family may start from. */
export type Fit = (settings: Settings, keep: Kept) => Promise<Model | undefined>

/** What fits of one family share: the basis of the last. Owned by whoever makes it. */
export interface Kept {
  basis?: Basis
}

/** A family and what it tries. */
export interface Plan {
  readonly family: Family
  readonly start: Settings
  readonly ladders: readonly (readonly [setting: string, values: readonly number[]])[]
}

/** The shape of the data, which decides what is tried. */
export interface Shape {
  readonly people: number
  readonly items: number
  readonly events: number
  readonly isOrdered: boolean
  readonly isFast: boolean
  readonly seed: number
}

/** Items up to which the closed forms are fitted, and multiply-adds that a family may spend on trials. */
const CLOSED_FORM_ITEMS_MAX = 6500
const TRIAL_WORK_MAX = 400e9
/** Items from which each trial costs seconds, so that fewer are made. */
const LARGE_ITEMS = 8000

/** All plans for data of a shape. */
export function plansFor(shape: Shape): Plan[] {
  const { items, isOrdered, isFast } = shape
  const isClosed = items <= CLOSED_FORM_ITEMS_MAX && !(isFast && items > 2000)
  return [
    popularity(shape),
    neighbours(shape),
    ...(Math.min(shape.people, items) < 8 ? [] : [spectral(shape)]),
    ...(isClosed ? [ease(shape)] : []),
    ...(isFast ? [] : [als(shape)]),
    ...(isOrdered ? [transitions(shape)] : []),
    ...(isOrdered && isClosed ? [sequence(shape)] : []),
  ]
}

const LASTING = Infinity

function popularity({ isOrdered }: Shape): Plan {
  return {
    family: 'popularity',
    start: { halfLife: LASTING },
    ladders: isOrdered ? [['halfLife', [5, 20]]] : [],
  }
}

function neighbours({ items, isOrdered, isFast }: Shape): Plan {
  const isLarge = items > LARGE_ITEMS
  return {
    family: 'neighbours',
    start: { personExponent: 0.3, rowExponent: 0.8, columnExponent: 0.15, width: Math.min(items, 256), halfLife: LASTING }, // prettier-ignore
    ladders: [
      ...(isOrdered ? [['halfLife', [5, 20]] as const] : []),
      ['columnExponent', isFast && isLarge ? [] : [0.3, 0.5]],
      ['personExponent', isFast || isLarge ? [] : [0, 0.5]],
      ['rowExponent', isFast || isLarge ? [] : [0.5, 1]],
      ['width', isFast || isLarge ? [] : [64].filter(width => width < items)],
    ],
  }
}

/** One QR is enough to choose by: the fit to everything goes on from the same basis. */
function spectral({ people, items, isOrdered, isFast, seed }: Shape): Plan {
  const most = Math.max(4, Math.floor(Math.min(people, items) / 4) * 4)
  const isLarge = items > LARGE_ITEMS
  const basisRank = Math.min(most, isFast ? 256 : isLarge ? 1024 : 512)
  const rank = isLarge ? basisRank : Math.min(basisRank, 64)
  const ranks = [16, 32, 64, 128, 256, 512, 1024].filter(r => r !== rank && r <= basisRank && r >= (isLarge ? 256 : 16)) // prettier-ignore
  return {
    family: 'spectral',
    start: { rank, basisRank, personExponent: 0.3, itemExponent: 0.4, inExponent: 0.4, outExponent: 0.25, rounds: 2, halfLife: LASTING, seed }, // prettier-ignore
    ladders: [
      ...(isOrdered ? [['halfLife', [5, 20]] as const] : []),
      ['rank', isFast && isLarge ? [] : ranks],
      ['outExponent', isFast ? [] : [0.1, 0.4]],
      ['inExponent', isFast || isLarge ? [] : [0.25, 0.5]],
    ],
  }
}

function ease({ people, items, events, isOrdered }: Shape): Plan {
  const trials = Math.floor(TRIAL_WORK_MAX / (1.3 * items ** 3 + 1))
  const average = events / people
  return {
    family: 'ease',
    start: { lambda: Math.max(1, average), personExponent: 0, halfLife: isOrdered ? 20 : LASTING },
    ladders: [
      ['lambda', [3, 10, 0.3].map(factor => factor * Math.max(1, average)).slice(0, trials)],
      ['halfLife', isOrdered ? [5, LASTING].slice(0, trials) : []],
      ['personExponent', [0.25].slice(0, Math.max(0, trials - 4))],
    ],
  }
}

function als({ events, items, isOrdered, seed }: Shape): Plan {
  const isLarge = items > LARGE_ITEMS || events > 3e6
  const factors = isLarge || events < 3e5 ? 64 : 128
  return {
    family: 'als',
    start: { factors, rounds: 5, unseen: isLarge ? 0.02 : 0.1, lambda: 0.003, steps: 3, halfLife: LASTING, seed }, // prettier-ignore
    ladders: isLarge
      ? []
      : [
          ...(isOrdered ? [['halfLife', [20]] as const] : []),
          ['unseen', [0.3, 0.02]],
          ['lambda', [0.01, 0.001]],
        ],
  }
}

function transitions({ items, isFast }: Shape): Plan {
  return {
    family: 'transitions',
    start: { lagHalfLife: 3, rowExponent: 0.5, columnExponent: 0.15, width: Math.min(items, 256), halfLife: 3 }, // prettier-ignore
    ladders: [
      ['halfLife', isFast ? [1] : [1, 8]],
      ['lagHalfLife', isFast ? [] : [1, 8]],
      ['columnExponent', isFast ? [] : [0, 0.3, 0.5]],
      ['rowExponent', isFast ? [] : [0.8]],
    ],
  }
}

function sequence({ items }: Shape): Plan {
  const trials = Math.floor(TRIAL_WORK_MAX / (2.3 * items ** 3 + 1))
  return {
    family: 'sequence',
    start: { lambda: 300, halfLife: 3, ahead: 10, decay: 0.75 },
    ladders: [
      ['lambda', [30, 100, 1000].slice(0, trials)],
      ['halfLife', [1.5, 6].slice(0, Math.max(0, trials - 3))],
    ],
  }
}

/** How a family is fitted to some events. */
export function fitterOf(
  workspace: Workspace,
  family: Family,
  events: Events,
  places: Places,
): Fit {
  const as = <T>(settings: Settings): T => settings as T
  const fits: Record<Family, Fit> = {
    popularity: async settings => fitPopularity(workspace, events, as(settings)),
    neighbours: settings => fitNeighbours(workspace, events, places, as(settings)),
    transitions: settings => fitTransitions(workspace, events, places, as(settings)),
    ease: settings => fitEase(workspace, events, places, as(settings)),
    sequence: settings => fitSequence(workspace, events, places, as(settings)),
    als: settings => fitAls(workspace, events, places, as(settings)),
    async spectral(settings, keep) {
      const { basisRank = 0 } = settings
      keep.basis ??= await fitBasis(workspace, events, places, { ...as<Basis['settings']>(settings), rank: basisRank }) // prettier-ignore
      return createFilter(workspace, events, keep.basis, as(settings))
    },
  }
  return fits[family]
}
