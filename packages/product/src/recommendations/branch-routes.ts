/** What surfaces would answer in a branch, over HTTP. */
import { ID_PATTERN, type JsonSchema } from '@millrace/core'
import type { Branches } from '@millrace/streams'
import type { RouteDefinition } from '../module.ts'
import { branchAnswerSchema } from './answer-schemas.ts'
import type { BranchQuestion } from './branch-answers.ts'
import type { Recommendations } from './module.ts'

const id: JsonSchema = { type: 'string', pattern: ID_PATTERN }

/** The route of surfaces in branches. */
export function branchSurfaceRoute(
  api: Pick<Recommendations, 'recommendIn' | 'surfaces'>,
  branches: Pick<Branches, 'get'>,
): RouteDefinition {
  const known = api.surfaces().join(', ')
  return {
    method: 'GET',
    path: '/v1/branches/:branch/surfaces/:surface/recommendations',
    operation: 'recommendInBranch',
    scope: 'admin',
    summary: 'What a surface would answer in a branch, beside what it answers without its changes',
    description:
      'Ranked by the code that serves, both with the same draws. Nothing is logged. Profiles, statistics and items that the changes touch, or that changed since the branch was opened, are folded first.',
    params: {
      type: 'object',
      properties: {
        branch: { type: 'string', minLength: 1, maxLength: 128 },
        surface: { type: 'string', maxLength: 64, description: `one of: ${known}` },
      },
      required: ['branch', 'surface'],
    },
    query: {
      type: 'object',
      properties: {
        person: { ...id, description: 'id of the person' },
        n: { type: 'integer', minimum: 1, maximum: 1_000, description: "default: the surface's" },
        item: { ...id, description: 'the item that the person looks at: id, or kind/id' },
        explain: { type: 'boolean', default: false, description: 'with reasons and stages' },
      },
    },
    response: branchAnswerSchema,
    folds: [],
    errors: ['BRANCH_UNKNOWN', 'BRANCH_TOO_LARGE', 'BRANCH_INVALID', 'SURFACE_UNKNOWN', 'REQUEST_INVALID'], // prettier-ignore
    async handle({ params, query }) {
      const branch = branches.get(params['branch'] as string)
      const surface = params['surface'] as string
      return { body: await api.recommendIn(branch, { ...(query as Omit<BranchQuestion, 'surface'>), surface }) } // prettier-ignore
    },
  }
}
