/** The reference page of the HTTP API, from the OpenAPI document of a server. */
import { readExample, type OpenApiOperation } from './open-example.ts'
import { code, origin, table } from './page-text.ts'

interface Route {
  readonly method: string
  readonly path: string
  readonly operation: OpenApiOperation
}

/** Renders docs/reference/http.md. */
export async function renderHttpPage(root: string): Promise<string> {
  const { paths } = await readExample(root)
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    })),
  )
  const tags = [...new Set(routes.flatMap(({ operation }) => operation.tags))]
  return `# HTTP

${origin('the OpenAPI document of the app in examples/quickstart')}

JSON in UTF-8. A server describes itself in \`/openapi.json\` (OpenAPI 3.1, with the schemas of your events and items) and, readable, at \`/docs\`; here are its operations for the app of the README, so that kinds and surfaces are those of that app.

- **Positions.** An answer carries the header \`millrace-position\`: the place in the log that it reflects. Passed as \`atLeast\` to a later read, the read waits until it reflects at least that, up to \`timeoutMs\`.
- **Refusals** are problem details (RFC 9457) with a stable \`code\` and a \`remedy\`: see [Errors](errors.md). Those with a \`retry-after\` header may be sent again.
- **Keys.** Once a key was made, an operation needs one of its scope or a greater one, as \`Authorization: Bearer <key>\`; those of the scope open need none. See [Keys](../keys.md).
- **Sending again** is safe for an event with an \`id\`: the second is answered as a duplicate; other content under the same id is a conflict.
- **Tracing.** \`x-request-id\` and \`traceparent\` (W3C) are taken over from the request.

${table(
  ['Operation', 'Request', 'Scope', 'What it does'],
  routes.map(({ method, path, operation }) => [
    `[${code(operation.operationId)}](#${anchor(operation.operationId)})`,
    code(`${method} ${path}`),
    operation['x-millrace-scope'],
    operation.summary,
  ]),
)}

${tags
  .map(tag =>
    [
      `## ${tag[0]?.toUpperCase() ?? ''}${tag.slice(1)}`,
      ...routes.filter(({ operation }) => operation.tags.includes(tag)).map(section),
    ].join('\n\n'),
  )
  .join('\n\n')}
`
}

function anchor(title: string): string {
  return title.toLowerCase()
}

function section({ method, path, operation }: Route): string {
  const { description = '', parameters = [], requestBody, responses } = operation
  const parts = [`### ${operation.operationId}`, code(`${method} ${path}`), `${operation.summary}.`]
  if (description !== '') parts.push(description)
  if (parameters.length > 0) {
    parts.push(
      table(
        ['Parameter', 'In', 'Type', 'What it is'],
        parameters.map(parameter => [
          `${code(parameter.name)}${parameter.required ? ' (required)' : ''}`,
          parameter.in,
          typeOf(parameter.schema),
          parameter.description ?? '',
        ]),
      ),
    )
  }
  const told = [
    ...(requestBody === undefined
      ? []
      : [`Body: ${Object.keys(requestBody.content).map(code).join(', ')}.`]),
    `Answers: ${Object.entries(responses)
      .filter(([status]) => status !== 'default')
      .map(([status, { content }]) => [status, ...Object.keys(content ?? {}).map(code)].join(' '))
      .join(', ')}.`,
  ]
  return [...parts, told.join(' ')].join('\n\n')
}

/** A schema in a few words. */
function typeOf(schema: Readonly<Record<string, unknown>>): string {
  const words = [typeof schema['type'] === 'string' ? schema['type'] : 'any']
  const { minimum, maximum, default: standard, enum: values } = schema
  if (Array.isArray(values)) words.push(values.map(value => code(String(value))).join(', '))
  if (minimum !== undefined || maximum !== undefined) {
    words.push([minimum ?? '', maximum ?? ''].map(String).join(' to ').trim())
  }
  if (standard !== undefined) words.push(`default ${code(JSON.stringify(standard))}`)
  return words.join(', ')
}
