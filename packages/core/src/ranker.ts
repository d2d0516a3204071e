/**
 * How a surface scores candidates: by terms over one row of a feature service for each of them. The
 * rows of an answer are read at once, at one position; the score of a candidate is the sum of its
 * terms, so that an explanation can tell which feature added what.
 */
import type { Refuse } from './definition-checks.ts'
import type { SurfaceDefinition } from './definition.ts'
import type { AnyFeatureService, FeatureRow } from './feature.ts'
import { isUnfitted } from './prepare.ts'

/** Candidates that are scored when a ranker does not say. */
const CANDIDATES_DEFAULT = 100
const CANDIDATES_MAX = 1_000
const TERMS_MAX = 32
const TERM_NAME = /^[a-z][a-zA-Z0-9_-]{0,63}$/

/** A declared ranker. */
export interface RankerDefinition<S extends AnyFeatureService = AnyFeatureService> {
  readonly kind: 'ranker'
  /** What the terms read; one of the app's. */
  readonly service: S
  /** At most so many candidates are scored: those that the sources propose most strongly. */
  readonly candidates: number
  readonly terms: Readonly<Record<string, { term(row: FeatureRow<S>): number }['term']>>
}

/**
 * Declares a ranker. A term is a pure function of a row; one that throws, or gives a number that is
 * not finite, adds nothing and is counted, and the others go on. At most `candidates` (default 100)
 * are scored. The service is about the items of the surface, and about people where it has to be.
 */
export function ranker<const S extends AnyFeatureService>(options: {
  service: S
  candidates?: number
  terms: Readonly<Record<string, (row: FeatureRow<S>) => number>>
}): RankerDefinition<S> {
  const { service, candidates = CANDIDATES_DEFAULT, terms } = options
  return { kind: 'ranker', service, candidates, terms }
}

/** Refuses a ranker that cannot score what its surface shows. */
export function checkRanker(
  { items, ranker: made, size }: SurfaceDefinition,
  services: Readonly<Record<string, unknown>>,
  { path, refuse }: { readonly path: string; readonly refuse: Refuse },
): void {
  if (made === undefined) return
  if ((made as { kind?: string }).kind !== 'ranker') refuse(path, 'it is not made by ranker()')
  const { service, candidates, terms } = made
  if (!Object.values(services).includes(service)) {
    refuse(`${path}.service`, 'it is not among the features of the app')
  }
  if (isUnfitted(service)) {
    refuse(`${path}.service`, 'its steps have learnt nothing: make a training set of it, and give what that writes to preparedService as `fitted`') // prettier-ignore
  }
  const [shown, ...others] = items
  if (others.length > 0) {
    refuse(path, 'its surface shows several kinds of items, and a service is about one')
  }
  for (const entity of service.entities) {
    if (entity === 'person' || entity === shown?.name) continue
    refuse(`${path}.service`, `it is about ${entity}; a request names a person and ${shown?.name}`)
  }
  if (!Number.isInteger(candidates) || candidates < size.default || candidates > CANDIDATES_MAX) {
    refuse(`${path}.candidates`, `use a whole number from the size of a slate to ${CANDIDATES_MAX}`)
  }
  const names = Object.keys(terms)
  if (names.length === 0 || names.length > TERMS_MAX) {
    refuse(`${path}.terms`, `there are ${names.length}, and it is 1 to ${TERMS_MAX}`)
  }
  for (const name of names) {
    if (!TERM_NAME.test(name))
      refuse(`${path}.terms.${name}`, 'a term is named [a-z][a-zA-Z0-9_-]*')
    if (typeof terms[name] !== 'function') refuse(`${path}.terms.${name}`, 'it is no function')
  }
}
