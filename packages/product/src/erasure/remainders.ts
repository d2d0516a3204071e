/** What an erasure cannot reach: said in its report, with what can be done. */
import type { ModuleContext } from '../module.ts'
import { EXPOSURES } from '../recommendations/index.ts'
import type { Remainder } from './events.ts'
import type { Found } from './search.ts'

type Ports = Pick<ModuleContext, 'log'> & {
  readonly privacy: NonNullable<ModuleContext['privacy']>
}

/** The list for people of whom `found` was found. */
export async function remaindersOf(
  { log, privacy }: Ports,
  people: readonly string[],
  { types, unread }: Found,
): Promise<readonly Remainder[]> {
  const remains: Remainder[] = [
    {
      what: 'the surrogate ids, the times and the ids of the events, in the log',
      remedy: 'none is needed where surrogate ids say nothing by themselves',
    },
  ]
  const readable = types.filter(type => type.readable.length > 0)
  if (readable.length > 0) {
    const fields = readable.flatMap(({ type, readable: names }) => names.map(name => `${type}.${name}`)) // prettier-ignore
    remains.push({
      what: `fields that are not marked as personal, in the log: ${fields.join(', ')}`,
      count: readable.reduce((sum, { events }) => sum + events, 0),
      remedy: 'mark them with .personal(), or declare seals: payload, for events to come',
    })
  }
  const clear = types.reduce((sum, type) => sum + type.clear, 0)
  if (clear > 0) {
    remains.push({
      what: 'events with personal fields that were appended before these were sealed, in the log',
      count: clear,
      remedy: 'export the log, and import it into an empty one: its events are sealed then',
    })
  }
  if (unread > 0) {
    remains.push({
      what: 'events that the definition does not understand any more, in the log: whether they name the people is not known',
      count: unread,
      remedy:
        'let an upcaster read them, and retract those that do with a changeset of corrections',
    })
  }
  let exposures = 0
  for await (const _ of log.history({ stream: EXPOSURES, keys: people })) exposures += 1
  if (exposures > 0) {
    remains.push({
      what: 'exposures: what was shown, under the surrogate id',
      count: exposures,
      remedy: 'none is needed where surrogate ids say nothing by themselves',
    })
  }
  return [...remains, ...(await privacy.remains()), ...ELSEWHERE]
}

const ELSEWHERE: readonly Remainder[] = [
  {
    what: 'keys in the stores of backups, until the next backup of each',
    remedy:
      'run `millrace backup` for each of them now; versions that a bucket keeps of an object are its own',
  },
  {
    what: 'exports, copies of the data directory, and what was read from the API before',
    remedy: 'remove them where they are',
  },
  {
    what: 'models that were trained before, and messages that were sent',
    remedy: 'train again; what was sent cannot be taken back',
  },
]
