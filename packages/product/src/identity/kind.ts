/** Merges and splits of many people as one change: a value is into whom an id is merged, nothing for one that is itself. */
import { partitionName, type JsonSchema } from '@millrace/core'
import type { EventLog } from '@millrace/log'
import { CORRECTIONS_STREAM, type IdentityLink, type Streams } from '@millrace/streams'
import { atTheEnd, consequenceOf, type ChangeKind, type PlannedChange, type Reading, type RefusedRow, type Write, type WriteContext, type Written } from '../changesets/index.ts' // prettier-ignore

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
}): ChangeKind {
  const { log, streams } = ports
  const { identities } = streams
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
        changeOf(row, index + 1),
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
      const isStill = writes.map(({ target, version }) => reading(target).version === version)
      const links = writes.filter((_, index) => isStill[index]).map(linkOf)
      const reason = title === '' ? `changeset ${changeset}` : title
      const { results } = await identities.apply({ changeset, links, reason, by: actor })
      const given = results.values()
      return isStill.map((isOne): Written => {
        if (!isOne) return 'moved'
        const { status, reason = 'it cannot be' } = given.next().value ?? { status: 'refused' }
        return status === 'refused' ? { refused: { code: 'MERGE_REFUSED', reason } } : 'written'
      })
    },
  }
}

function linkOf({ target, value }: Pick<Write, 'target' | 'value'>): IdentityLink {
  return { from: target, into: (value as { readonly into: string } | undefined)?.into ?? null }
}

function changeOf({ from, into }: IdentityRow, number: number): PlannedChange | RefusedRow {
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
  return { target: from, change: () => ({ value: into === undefined ? undefined : { into } }) }
}
