/** The HTTP operation that makes changesets of a branch. */
import type { App } from '@millrace/core'
import type { Branches } from '@millrace/streams'
import type { RouteDefinition } from '../module.ts'
import { planBranch } from './branch-plans.ts'
import type { Changesets } from './changesets.ts'
import { changesetSchema } from './routes.ts'

/** The route. */
export function branchPlanRoute(
  app: App,
  changesets: Changesets,
  branches: Pick<Branches, 'get'>,
): RouteDefinition {
  return {
    method: 'POST',
    path: '/v1/branches/:branch/changesets',
    operation: 'planBranch',
    scope: 'admin',
    summary: 'Plans what a branch has otherwise, as changesets',
    description:
      'Its corrections are one changeset, its merges and splits another, its items one for each kind; they are applied as others are. Refused when somebody changed since what the branch changes. The same branch again gives the same plans.',
    params: {
      type: 'object',
      properties: { branch: { type: 'string', minLength: 1, maxLength: 80 } },
      required: ['branch'],
    },
    body: {
      type: 'object',
      properties: { title: { type: 'string', maxLength: 200 } },
      additionalProperties: false,
    },
    response: {
      type: 'object',
      properties: { changesets: { type: 'array', items: changesetSchema } },
      required: ['changesets'],
    },
    folds: [],
    errors: ['BRANCH_UNKNOWN', 'BRANCH_STALE', 'CHANGESET_INVALID', 'CHANGESET_TAKEN', 'CHANGESET_CONTENDED'], // prettier-ignore
    async handle({ params, body, actor = 'host' }) {
      const branch = branches.get(params['branch'] as string)
      const { title } = body as { readonly title?: string }
      const asked = { actor, ...(title === undefined ? {} : { title }) }
      return { body: { changesets: await planBranch({ app, changesets }, branch, asked) } }
    },
  }
}
