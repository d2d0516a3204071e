/** CLI verbs of the identity module: each is one request. */
import type { CommandDefinition } from '../module.ts'
import type { IdentityView } from './module.ts'

const from = { name: 'id', description: 'the id of a person', isRequired: true }
const reason = { flags: '--reason <text>', description: 'why, for those who look later' }

const pathOf = (id: string | undefined, what: string): string =>
  `/v1/people/${encodeURIComponent(id ?? '')}/${what}`

function bodyOf(options: Readonly<Record<string, string | boolean | undefined>>): object {
  return options['reason'] === undefined ? {} : { reason: options['reason'] }
}

function told({ id, person, aliases, history }: IdentityView): string {
  const who = person === id ? `${id} is itself.` : `${id} is ${person}.`
  const others = aliases.length === 0 ? '' : ` Also known as ${aliases.join(', ')}.`
  const steps = history.map(into => (into === null ? 'split' : `merged into ${into}`))
  return `${who}${others}${steps.length === 0 ? '' : ` So far: ${steps.join(', ')}.`}`
}

/** `merge`, `split` and `identity`. */
export const identityCommands: readonly CommandDefinition[] = [
  {
    name: 'merge',
    summary: 'Merges a person into another one; `split` takes it back',
    arguments: [from, { name: 'into', description: 'the person that they are', isRequired: true }],
    options: [reason],
    request: ({ arguments: [id, into], options }) => ({
      method: 'POST',
      path: pathOf(id, 'merge'),
      body: { into, ...bodyOf(options) },
    }),
    print: body => told(body as IdentityView),
  },
  {
    name: 'split',
    summary: 'Takes the merge of a person back',
    arguments: [from],
    options: [reason],
    request: ({ arguments: [id], options }) => ({
      method: 'POST',
      path: pathOf(id, 'split'),
      body: bodyOf(options),
    }),
    print: body => told(body as IdentityView),
  },
  {
    name: 'identity',
    summary: 'Says which person an id is, and which ids are this one',
    arguments: [from],
    request: ({ arguments: [id] }) => ({ method: 'GET', path: pathOf(id, 'identity') }),
    print: body => told(body as IdentityView),
  },
]
