/** Merges and splits of many people as one change: a value is into whom an id is merged, nothing for one that is itself. */
import { partitionName, type JsonSchema } from '@millrace/core'
import { isJsonEqual, type EventLog } from '@millrace/log'
import { CORRECTIONS_STREAM, type IdentityLink, type Streams } from '@millrace/streams'
import type { Privacy } from '../module.ts'
import { atTheEnd, consequenceOf, UNCHANGED, type ChangeKind, type PlannedChange, type Reading, type Refusal, type RefusedRow, type Write, type WriteContext, type Written } from '../changesets/index.ts' // prettier-ignore

interface IdentityRow {
  readonly from?: unknown
  readonly into?: unknown
}

/** People of one write: each write waits until every view reflects it. */
const WRITES_MAX = 1_000
const READ_TIMEOUT_MS = 60_000
const ID_MAX = 512

/** What `identities` takes. */
export const identitiesRequest: JsonSchema = {
  type: 'object',
  properties: {
    rows: {
      type: 'array',
      maxItems: 1_000_000,
      items: {
        type: 'object',
        properties: {
          from: { description: 'the id that becomes another person' },
          into: { description: 'who they are; absent: they are themselves again' },
        },
        additionalProperties: false,
      },
    },
  },
  required: ['rows'],
  additionalProperties: false,
}

/** Creates the kind. */
export function createIdentitiesKind(ports: {
  readonly log: EventLog
  readonly streams: Streams
  readonly privacy?: Pick<Privacy, 'isErased'>
}): ChangeKind {
  const { log, streams, privacy } = ports
  const { identities } = streams
  const erasedIn = ({ from, into }: IdentityLink): Refusal | undefined => {
    const person =
      into === null ? undefined : [from, into].find(id => privacy?.isErased(id) === true)
    return person === undefined
      ? undefined
      : { code: 'PERSON_ERASED', reason: `${person} was erased` }
  }
  const reading = (id: string): Reading => {
    const into = identities.into(id)
    const version = identities.history(id).length
    return { value: into === undefined ? undefined : { into }, version }
  }
  return {
    name: 'identities',
    request: identitiesRequest,
    writesMax: WRITES_MAX,
    plan: request =>
      (request as { readonly rows: readonly IdentityRow[] }).rows.map((row, index) =>
        changeOf(row, index + 1, erasedIn),
      ),
    async read(targets) {
      const name = partitionName(CORRECTIONS_STREAM, 0)
      const position = new Map([[name, log.ends().get(name) ?? 0]])
      await streams.reached({ position, timeoutMs: READ_TIMEOUT_MS })
      return targets.map(reading)
    },
    reflected: () => atTheEnd(ports),
    async consequences(changes) {
      const links = changes.map(({ target, after }) => linkOf({ target, value: after }))
      return (await identities.affected(links)).map(consequenceOf)
    },
    async write(writes: readonly Write[], { changeset, title, actor }: WriteContext) {
      const early = writes.map((write): Written | undefined => {
        const refused = erasedIn(linkOf(write))
        if (refused !== undefined) return { refused }
        return reading(write.target).version === write.version ? undefined : 'moved'
      })
      const links = writes.filter((_, index) => early[index] === undefined).map(linkOf)
      const reason = title === '' ? `changeset ${changeset}` : title
      const { results } = await identities.apply({ changeset, links, reason, by: actor })
      const given = results.values()
      return early.map((known): Written => {
        if (known !== undefined) return known
        const { status, reason = 'it cannot be' } = given.next().value ?? { status: 'refused' }
        return status === 'refused' ? { refused: { code: 'MERGE_REFUSED', reason } } : 'written'
      })
    },
  }
}

function linkOf({ target, value }: Pick<Write, 'target' | 'value'>): IdentityLink {
  return { from: target, into: (value as { readonly into: string } | undefined)?.into ?? null }
}

function changeOf(
  { from, into }: IdentityRow,
  number: number,
  erasedIn: (link: IdentityLink) => Refusal | undefined,
): PlannedChange | RefusedRow {
  const isId = (id: unknown): id is string =>
    typeof id === 'string' && id !== '' && id.length <= ID_MAX
  if (!isId(from) || (into !== undefined && !isId(into))) {
    const reason = `its ids are not text of 1 to ${ID_MAX} characters`
    return { target: `row ${number}`, refused: { code: 'ID_INVALID', reason } }
  }
  if (from === into) {
    const reason = 'nobody is merged into themselves'
    return { target: from, refused: { code: 'MERGE_REFUSED', reason } }
  }
  const refused = erasedIn({ from, into: into ?? null })
  if (refused !== undefined) return { target: from, refused }
  const value = into === undefined ? undefined : { into }
  const reason = into === undefined ? 'it is itself already' : `it is merged into ${into} already`
  const change: PlannedChange['change'] = present =>
    isJsonEqual(present, value) ? { refused: { code: UNCHANGED, reason } } : { value }
  return { target: from, change }
}
