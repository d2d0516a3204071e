/** HTTP operations on people. */
import { ID_PATTERN, type JsonSchema } from '@millrace/core'
import type { Branches, Moment } from '@millrace/streams'
import { productErrors } from '../errors.ts'
import type { RouteAnswer, RouteDefinition } from '../module.ts'
import { atParameter, MOMENT_ERRORS, momentIn } from '../moment.ts'
import { changeQuery, changeResponse, rowBody } from '../row-schemas.ts'
import { singleResult } from '../table-writer.ts'
import type { People } from './people.ts'

const properties = { id: { type: 'string', pattern: ID_PATTERN } }
const params: JsonSchema = { type: 'object', properties, required: ['id'] }

const person: JsonSchema = {
  type: 'object',
  properties: {
    id: { type: 'string', description: 'of the person that the id is now' },
    aliases: {
      type: 'array',
      items: { type: 'string' },
      description: 'other ids that are this person, by merges',
    },
    attributes: { type: 'object', additionalProperties: true },
    signals: { type: 'integer', description: 'signals of interest so far' },
    interests: {
      type: 'array',
      description: 'newest distinct items that the person acted on, newest first',
      items: {
        type: 'object',
        properties: {
          kind: { type: 'string' },
          id: { type: 'string' },
          title: { type: 'string' },
          weight: { type: 'number' },
          atMs: { type: 'number' },
        },
        required: ['kind', 'id', 'title', 'weight', 'atMs'],
      },
    },
  },
  required: ['id', 'signals', 'interests'],
}

/** The routes of people; reads wait for `folds`. */
export function peopleRoutes(
  people: People,
  { folds, attributes }: { folds: readonly string[]; attributes: JsonSchema | undefined },
): RouteDefinition[] {
  return [
    {
      method: 'PUT',
      path: '/v1/people/:id',
      operation: 'putPerson',
      scope: 'server',
      summary: "Puts a person's attributes",
      description: 'Replaces all attributes. Appends the event `person.put`.',
      params,
      query: changeQuery,
      body: rowBody,
      bodies: { 'application/json': attributes ?? rowBody },
      response: changeResponse,
      folds: [],
      errors: ['PEOPLE_UNDECLARED', 'REQUEST_INVALID', 'ROW_CONFLICT'],
      async handle({ params: { id = '' }, query, body }) {
        const eventId = query['eventId'] as string | undefined
        const written = await people.put({ id, attributes: body, eventId, at: query['at'] })
        return { body: singleResult(written), position: written.position }
      },
    },
    {
      method: 'GET',
      path: '/v1/people/:id',
      operation: 'getPerson',
      scope: 'server',
      summary: 'Reads what is known about a person, or what was',
      params,
      query: { type: 'object', properties: { at: atParameter } },
      response: person,
      folds,
      errors: ['PERSON_UNKNOWN', ...MOMENT_ERRORS],
      handle({ params: { id = '' }, query }) {
        const at = momentIn(query, 'at')
        if (at !== undefined) return getPersonAt(people, id, at)
        const found = people.get(id)
        if (found === undefined) throw productErrors.create('PERSON_UNKNOWN')
        return { body: found }
      },
    },
    {
      method: 'DELETE',
      path: '/v1/people/:id',
      operation: 'removePerson',
      scope: 'server',
      summary: "Removes a person's attributes",
      description:
        'Appends the event `person.removed`. What the person did stays in the log and in its views.',
      params,
      query: changeQuery,
      response: changeResponse,
      folds: [],
      errors: ['PEOPLE_UNDECLARED', 'REQUEST_INVALID', 'ROW_CONFLICT'],
      async handle({ params: { id = '' }, query }) {
        const eventId = query['eventId'] as string | undefined
        const written = await people.remove({ id, eventId, at: query['at'] })
        return { body: singleResult(written), position: written.position }
      },
    },
  ]
}

/** The route of people in branches. */
export function personInBranchRoute(
  people: Pick<People, 'getIn'>,
  branches: Pick<Branches, 'get'>,
): RouteDefinition {
  const branch: JsonSchema = { type: 'string', minLength: 1, maxLength: 128 }
  return {
    method: 'GET',
    path: '/v1/branches/:branch/people/:id',
    operation: 'getPersonInBranch',
    scope: 'admin',
    summary: 'Reads what would be known about a person in a branch',
    params: { type: 'object', properties: { ...properties, branch }, required: ['branch', 'id'] },
    response: person,
    folds: [],
    errors: ['BRANCH_UNKNOWN', 'BRANCH_TOO_LARGE', 'PERSON_UNKNOWN'],
    async handle({ params: { branch: name = '', id = '' } }) {
      const found = await people.getIn(branches.get(name), id)
      if (found === undefined) throw productErrors.create('PERSON_UNKNOWN')
      return { body: found }
    },
  }
}

async function getPersonAt(people: People, id: string, at: Moment): Promise<RouteAnswer> {
  const found = await people.getAt(id, at)
  if (found === undefined) throw productErrors.create('PERSON_UNKNOWN')
  const { position, ...body } = found
  return { body, position }
}
