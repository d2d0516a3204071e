/** `/openapi.json`: OpenAPI 3.1 from the operations and the schemas of the definition. */
import type { App, JsonSchema } from '@millrace/core'
import { envelopeSchemas } from './event-routes.ts'
import type { Operation } from './operation.ts'
import { problemSchema } from './problems.ts'
import { querySchema } from './query.ts'

/** A document, as far as we look into it. */
export interface OpenApiDocument {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>
    readonly [kind: string]: unknown
  }
  readonly [key: string]: unknown
}

const componentName = (type: string): string => `event.${type}`

/** The schema of any event of an app, by reference to the components of the document. */
export function anyEventReference(app: App): JsonSchema {
  return {
    oneOf: [...app.events.keys()].map(type => ({
      $ref: `#/components/schemas/${componentName(type)}`,
    })),
    discriminator: {
      propertyName: 'type',
      mapping: Object.fromEntries(
        [...app.events.keys()].map(type => [type, `#/components/schemas/${componentName(type)}`]),
      ),
    },
  }
}

/** Makes the document. */
export function openApiDocument(
  app: App,
  operations: readonly Operation[],
  version: string,
): OpenApiDocument {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    if (operation.isHidden === true) continue
    const path = operation.path.replace(/:(\w+)/g, '{$1}')
    const entry = (paths[path] ??= {})
    entry[operation.method.toLowerCase()] = describe(operation)
  }
  const schemas: Record<string, JsonSchema> = { Problem: problemSchema }
  for (const [type, schema] of envelopeSchemas(app)) schemas[componentName(type)] = schema
  for (const [kind, table] of app.tables) schemas[`attributes.${kind}`] = table.schema
  return {
    openapi: '3.1.0',
    info: {
      title: app.name,
      version,
      description: `The app ${app.name}, definition ${app.fingerprint}, served by Millrace.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(operations.map(operation => operation.tag))].map(name => ({ name })),
    paths,
    components: {
      schemas,
      securitySchemes: {
        key: {
          type: 'http',
          scheme: 'bearer',
          description: 'A key of `millrace keys create`. None is needed until the first is made.',
        },
      },
      responses: {
        Problem: {
          description: 'The request was refused.',
          content: { 'application/problem+json': { schema: reference('Problem') } },
        },
      },
      headers: {
        Position: {
          description: 'The position that the answer reflects; pass it as `atLeast`.',
          schema: { type: 'string' },
        },
      },
    },
  }
}

const reference = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })

function describe(operation: Operation): Record<string, unknown> {
  const { errors = [] } = operation
  const told = errors.length === 0 ? '' : `\n\nRefusals: ${errors.join(', ')}.`
  const description = `${operation.description ?? ''}${told}`.trim()
  const parameters = [...pathParameters(operation), ...queryParameters(operation)]
  return {
    operationId: operation.operation,
    tags: [operation.tag],
    summary: operation.summary,
    ...(description === '' ? {} : { description }),
    'x-millrace-scope': operation.scope,
    // `{}`: before the first key is made, loopback needs none.
    security: operation.scope === 'open' ? [] : [{ key: [] }, {}],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(operation.body === undefined ? {} : { requestBody: requestBody(operation) }),
    responses: responses(operation),
  }
}

function pathParameters(operation: Operation): unknown[] {
  const properties = (operation.params?.['properties'] ?? {}) as Record<string, JsonSchema>
  return [...operation.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: properties[name as string] ?? { type: 'string' },
  }))
}

function queryParameters(operation: Operation): unknown[] {
  const isReading = operation.method === 'GET' && operation.isOutsideLog !== true
  const schema = querySchema(operation.query, isReading)
  const required = (schema['required'] ?? []) as readonly string[]
  return Object.entries(schema['properties'] as Record<string, JsonSchema>).map(
    ([name, property]) => {
      const { description, ...rest } = property as { description?: string }
      return {
        name,
        in: 'query',
        required: required.includes(name),
        ...(description === undefined ? {} : { description }),
        schema: rest,
        ...(property['type'] === 'array' ? { style: 'form', explode: false } : {}),
        // `?explain`: a flag without a value means yes.
        ...(property['type'] === 'boolean' ? { allowEmptyValue: true } : {}),
      }
    },
  )
}

function requestBody(operation: Operation): unknown {
  const bodies = operation.bodies ?? { 'application/json': operation.body as JsonSchema }
  return {
    required: true,
    content: Object.fromEntries(
      Object.entries(bodies).map(([mediaType, schema]) => [mediaType, { schema }]),
    ),
  }
}

function responses(operation: Operation): Record<string, unknown> {
  const headers =
    operation.isOutsideLog === true
      ? {}
      : { headers: { 'millrace-position': { $ref: '#/components/headers/Position' } } }
  const content =
    operation.media === undefined
      ? { 'application/json': { schema: operation.response ?? {} } }
      : { [operation.media.mediaType]: { schema: operation.media.schema } }
  const answers: Record<string, unknown> = {
    200: { description: operation.summary, ...headers, content },
  }
  for (const [status, answer] of Object.entries(operation.answers ?? {})) {
    answers[status] = {
      description: answer.description,
      content: { 'application/json': { schema: answer.schema } },
    }
  }
  return { ...answers, default: { $ref: '#/components/responses/Problem' } }
}
