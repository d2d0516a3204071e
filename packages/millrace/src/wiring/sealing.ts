/** What of an app is sealed: events of its types, and events inside of Millrace's own records. */
import { personalEvents, type App, type PersonalEvent } from '@millrace/core'
import {
  SEALED_MEMBER,
  type Personal,
  type ReplaceNested,
  type SealingPorts,
  type Spot,
} from '@millrace/log/sealing'
import {
  CHANGESET_ITEMS_STREAM,
  CHANGESETS_STREAM,
  EXPOSED,
  type Exposure,
} from '@millrace/product'
import { AMENDMENTS_STREAM, CORRECTIONS_STREAM, type CorrectionData } from '@millrace/streams'

type PersonalTypes = ReadonlyMap<string, PersonalEvent>
type Data = Spot['data']

/** Data that was decided to stand in the place of events, each of one type. */
export const eventsOfDecisions: ReadonlyMap<string, ReplaceNested> = new Map([
  [AMENDMENTS_STREAM, replaceAmended],
  [CORRECTIONS_STREAM, replaceCorrected],
])

/** What a sealing log has to know of an app. */
export function sealingOf(app: App): Pick<SealingPorts, 'personal' | 'nested'> {
  const personal = personalEvents(app)
  const nested = new Map<string, ReplaceNested>([
    ...eventsOfDecisions,
    [CHANGESETS_STREAM, (data, replace) => replaceRequested(data, replace, personal)],
    [CHANGESET_ITEMS_STREAM, (data, replace) => replaceEntries(data, replace, personal)],
  ])
  const types = new Map<string, Personal>([...personal, [EXPOSED, EXPOSURE]])
  return { personal: types, nested: hasSealed(personal) ? nested : new Map() }
}

/** What was shown to whom: nothing of it is sealed, and who was erased is shown nothing more. */
const EXPOSURE: Personal = {
  fields: new Set(),
  ownerOf: data => (data as Exposure).p,
  peopleOf: data => [(data as Exposure).p ?? []].flat(),
  split: () => undefined,
}

/** True when events have fields that are sealed. */
export function hasSealed(personal: SealingPorts['personal']): boolean {
  return [...personal.values()].some(({ fields }) => fields.size > 0)
}

/** A decision on a dead letter: other data for an event. */
function replaceAmended(amended: unknown, replace: (spot: Spot) => unknown): unknown {
  const { type, data } = amended as { readonly type: string; readonly data?: unknown }
  return isData(data) ? { ...(amended as object), data: replace({ data, types: [type] }) } : amended
}

/** Corrections: other data for events, and what folds emitted. */
function replaceCorrected(corrected: unknown, replace: (spot: Spot) => unknown): unknown {
  const { events, ...rest } = corrected as CorrectionData
  // Ticks are on the stream too.
  if ((events as CorrectionData['events'] | undefined) === undefined) return corrected
  const replaced = events.map(event => {
    const { type, data, emitted } = event
    const own = isData(data) ? { data: replace({ data, types: [type] }) } : {}
    if (!isData(emitted?.data)) return { ...event, ...own }
    const inner = { ...emitted, data: replace({ data: emitted.data, types: [type] }) }
    return { ...event, ...own, emitted: inner }
  })
  return { ...rest, events: replaced }
}

/** What a changeset was asked for, where it is short enough to be kept: rows of a table, or events. */
function replaceRequested(
  decision: unknown,
  replace: (spot: Spot) => unknown,
  personal: PersonalTypes,
): unknown {
  const { request } = decision as { readonly request?: unknown }
  if (!isData(request) || !Array.isArray(request['rows'])) return decision
  const { table } = request
  const rows = (request['rows'] as readonly unknown[]).map(row => {
    if (!isData(row)) return row
    const { id, attributes, data } = row
    if (isData(data)) return { ...row, data: replace({ data, types: [...personal.keys()] }) }
    if (typeof table !== 'string' || !isData(attributes)) return row
    return { ...row, attributes: replaceRow({ table, id, attributes }, replace) }
  })
  return { ...(decision as object), request: { ...request, rows } }
}

/** Attributes, where they stand alone. */
function replaceRow(
  { table, id, attributes: given }: { table: string; id: unknown; attributes: Data },
  replace: (spot: Spot) => unknown,
): unknown {
  const { [SEALED_MEMBER]: member, ...attributes } = given
  const data = { id, attributes, ...(member === undefined ? {} : { [SEALED_MEMBER]: member }) }
  const row = replace({ data, types: [`${table}.put`] }) as Data
  const { [SEALED_MEMBER]: sealed, attributes: own } = row
  return { ...(own as object), ...(sealed === undefined ? {} : { [SEALED_MEMBER]: sealed }) }
}

/** What a changeset would write: attributes of rows (`person/ana`), and other data for events (`person/0/17/<id>`). */
function replaceEntries(
  chunk: unknown,
  replace: (spot: Spot) => unknown,
  personal: PersonalTypes,
): unknown {
  const { entries, ...rest } = chunk as {
    readonly entries?: readonly (Readonly<Record<string, unknown>> & { readonly target: string })[]
  }
  if (entries === undefined) return chunk
  const replaced = entries.map(entry => {
    const { target } = entry
    const slash = target.indexOf('/')
    const stream = target.slice(0, slash)
    const id = target.slice(slash + 1)
    const types = [...personal].filter(([, one]) => one.stream === stream).map(([type]) => type)
    const valueOf = (value: unknown): unknown => {
      if (!isData(value)) return value
      if (typeof value['action'] === 'string' && 'data' in value) {
        const { data } = value
        return isData(data) ? { ...value, data: replace({ data, types }) } : value
      }
      return replaceRow({ table: stream, id, attributes: value }, replace)
    }
    const values = Object.entries(entry)
      .filter(([name]) => name === 'before' || name === 'after')
      .map(([name, value]) => [name, valueOf(value)] as const)
    return { ...entry, ...Object.fromEntries(values) }
  })
  return { ...rest, entries: replaced }
}

function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
