/** The reference page of events and streams: what the runtime and the built-in modules write. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readExample } from './open-example.ts'
import { code, origin, table } from './page-text.ts'

interface Module {
  readonly name: string
  readonly uses?: readonly string[]
  readonly events?: readonly { readonly name: string }[]
  readonly commands?: readonly { readonly name: string }[]
  streams?(app: unknown): readonly { readonly name: string }[]
  folds?(app: unknown): readonly { readonly name: string }[]
}

/** Streams of the example app, in words. Every stream of the example needs an entry. */
const MEANINGS: Readonly<Record<string, readonly [records: string, meaning: string]>> = {
  person: ['events of the app', 'Events whose key is a person, in the order of each person.'],
  clip: ['`clip.put`, `clip.removed`', 'Versions of the items of the kind; one stream for each.'],
  'clip.from-person': [
    'emitted',
    'Events of one entity re-keyed to another, for views that are keyed by the other.',
  ],
  'item-signals': ['`item-signal`', 'What people did, re-keyed to the items that they acted on.'],
  exposure: ['`exposed`', 'What was served: one record for each answer of a surface.'],
  'streams.generations': ['internal', 'Which version of a fold made an emitted stream.'],
  'streams.amendments': [
    '`amended`',
    'What was decided about events that a fold could not take: [dead letters](../dead-letters.md).',
  ],
  'streams.corrections': [
    '`corrected`',
    'Events that are retracted, held, corrected or restored, for every view: [corrections](../corrections.md).',
  ],
  'streams.rebuilds': [
    '`rebuild.started`, `rebuild.compared`, `rebuild.switched`, `rebuild.dropped`',
    'Which build of a view is served: [rebuilds](../rebuild.md).',
  ],
  'product.changesets': [
    '`changeset.planned`, `changeset.approved`, `changeset.begun`, `changeset.progress`, `changeset.paused`, `changeset.resumed`, `changeset.cancelled`, `changeset.ended`',
    'What was decided about [changesets](../changesets.md), and how far they have come; the key is the changeset.',
  ],
  'product.erasures': [
    '`erasure.begun`, `erasure.ended`',
    'People who were [erased](../erasure.md), by their surrogate ids, with the reports.',
  ],
  'product.changesets.items': [
    '`changeset.chunk`',
    'What the plans of changesets would change, in pieces.',
  ],
  'millrace.schemas': [
    '`schema.registered`, `definition.registered`',
    'The versions of every event type, by which a changed definition is checked.',
  ],
}

/** Renders docs/reference/events.md. */
export async function renderEventsPage(root: string): Promise<string> {
  const load = (path: string): Promise<unknown> => import(pathToFileURL(join(root, path)).href)
  const { app } = (await load('examples/quickstart/app.ts')) as { app: unknown }
  const { standardModules } = (await load('packages/millrace/src/wiring/modules.ts')) as {
    standardModules(): readonly Module[]
  }
  const { streams } = await readExample(root)
  const records = readFileSync(join(root, 'packages/product/src/recommendations/events.ts'), 'utf8')
  const modules = standardModules()
  return `# Events and streams

${origin('the modules and the app of examples/quickstart')}

An event from outside has a \`type\`, its \`data\`, and optionally an \`id\` (recognised when it is sent again) and \`at\` (when it happened: milliseconds since 1970, or RFC 3339). Its type names the stream: the kind of entity that its key refers to. For each declared kind of item, and for people with attributes, there are the events \`<kind>.put {id, attributes}\` and \`<kind>.removed {id}\`, which any client may send as well.

## Streams of the app in the README

${table(
  ['Stream', 'Partitions', 'Records', 'What it is'],
  [...streams].map(([name, partitions]) => {
    const [kind, meaning] = MEANINGS[name] ?? unknownStream(name)
    return [code(name), String(partitions), kind, meaning]
  }),
)}

## Modules

${table(
  ['Module', 'Uses', 'Its streams', 'Its folds', 'Its commands'],
  modules.map(module => [
    code(module.name),
    list(module.uses ?? []),
    list((module.streams?.(app) ?? []).map(({ name }) => name)),
    list((module.folds?.(app) ?? []).map(({ name }) => name)),
    list((module.commands ?? []).map(({ name }) => name)),
  ]),
)}

Folds of your views are named \`view.<name>\`. A module of your own is declared by the same contract, \`defineModule\`, and passed in \`modules\` of \`defineApp\`.

## Data of \`item-signal\`

${fields(records, 'ItemSignal')}

## Data of \`exposed\`

Names are short, since there is one record for each answer. \`npx millrace explain\` and \`GET /v1/answers/{answerId}\` show it readably.

${fields(records, 'Exposure')}

A slot in \`i\` is a list: item key, place of its main source in \`c\`, score, propensity, 1 if explored.
`
}

function list(names: readonly string[]): string {
  return names.map(code).join(', ')
}

function unknownStream(name: string): never {
  throw new TypeError(`scripts/docs/events-page.ts does not say what the stream ${name} is.`)
}

/** The fields of an interface, with their doc comments. */
function fields(source: string, name: string): string {
  const body = new RegExp(`export interface ${name} \\{\\n([^]*?)\\n\\}`).exec(source)?.[1]
  if (body === undefined) throw new TypeError(`There is no interface ${name}.`)
  const rows = [...body.matchAll(/(?:\/\*\* (.*?) \*\/\n\s*)?readonly (\w+)(\??): (.*)/g)].map(
    ([, meaning = '', field = '', optional = '', type = '']) => [
      `${code(field)}${optional === '' ? '' : ' (optional)'}`,
      code(type.replace(/\breadonly /g, '')),
      meaning,
    ],
  )
  return table(['Field', 'Type', 'What it is'], rows)
}
