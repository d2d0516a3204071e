/** What people ask of identities: to merge them, to split them, to see first what that would touch, to look at them. */
import { deriveId, partitionName, type Clock, type Position } from '@millrace/core'
import { DEFAULT_TENANT, type EventLog } from '@millrace/log'
import { CORRECTIONS_STREAM } from '../corrections/contract.ts'
import type { AffectedFold } from '../corrections/control.ts'
import { streamsErrors } from '../errors.ts'
import { affectedBy, type AffectedPorts } from './affected.ts'
import { IDENTIFIED_TYPE, type IdentityData, type IdentityLink } from './contract.ts'
import { goesThrough } from './links.ts'

/** Merges and splits that belong together, in their order. */
export type IdentitySet = IdentityData

/** What becomes of one of them. */
export interface IdentityResult {
  readonly from: string
  /** `unchanged`: it is so already. */
  readonly status: 'changed' | 'unchanged' | 'refused'
  /** Why it is refused. */
  readonly reason?: string
}

/** Who is who; see `contract.ts`. */
export interface Identities {
  /**
   * Puts merges and splits on the log, in one unit, and resolves when all views reflect them. What
   * cannot be is told one by one and holds up no other. Throws CORRECTION_INVALID,
   * POSITION_NOT_REACHED.
   */
  apply(
    set: IdentitySet,
    options?: { readonly timeoutMs?: number },
  ): Promise<{ readonly results: readonly IdentityResult[]; readonly position: Position }>
  /** What `apply` of these links would touch, fold by fold; nothing is changed. */
  affected(links: readonly IdentityLink[]): Promise<readonly AffectedFold[]>
  /** Who an id is; itself when nobody merged it. */
  canonical(id: string): string
  /** Into whom an id is merged directly; undefined when it is itself. */
  into(id: string): string | undefined
  /** All ids that are this one, itself left out. */
  members(id: string): readonly string[]
  /** What was decided on an id, oldest first: into whom it was merged, undefined for a split. */
  history(id: string): readonly (string | undefined)[]
}

/** What they stand on. */
export interface IdentityPorts extends AffectedPorts {
  readonly log: EventLog
  readonly clock: Clock
  readonly reached: (request: { position: Position; timeoutMs: number }) => Promise<void>
}

const TIMEOUT_MS = 3_600_000
const ID_MAX = 512

/** Creates them. */
export function createIdentities(ports: IdentityPorts): Identities {
  const { log, clock, book, reached } = ports
  const { people } = book
  /** What a link came to that was put on the log at `offset`: another one may have come before it. */
  const inForce = (
    result: IdentityResult,
    link: IdentityLink | undefined,
    offset: number,
  ): IdentityResult => {
    if (result.status !== 'changed' || link === undefined) return result
    const { from, into } = link
    if ((people.intoAt(from, offset + 1) ?? null) === into) return result
    return { from, status: 'refused', reason: circleText(link) }
  }
  return {
    async apply({ links, ...facts }, { timeoutMs = TIMEOUT_MS } = {}) {
      const refuse = (reason: string): never => {
        throw streamsErrors.create('CORRECTION_INVALID', { reason })
      }
      if (facts.reason.trim() === '') refuse('no reason is given')
      if (facts.by.trim() === '') refuse('it does not say who decided it')
      if (new Set(links.map(({ from }) => from)).size < links.length) refuse('an id is named twice')
      await book.follow()
      const { position: before } = book
      // One after the other, as the log will have them.
      const asked = new Map<string, string | undefined>()
      const intoOf = (id: string): string | undefined =>
        asked.has(id) ? asked.get(id) : people.intoAt(id, before)
      const results = links.map((link): IdentityResult => {
        const { from, into } = link
        const reason = refusalOf(link, into !== null && goesThrough(into, from, intoOf))
        if (reason !== undefined) return { from, status: 'refused', reason }
        if ((intoOf(from) ?? null) === into) return { from, status: 'unchanged' }
        asked.set(from, into ?? undefined)
        return { from, status: 'changed' }
      })
      let offset = before
      const changed = links.filter((_, index) => results[index]?.status === 'changed')
      if (changed.length > 0) {
        const data: IdentityData = { ...facts, links: changed }
        const nowMs = clock.nowMs()
        const id = deriveId(nowMs, `identity\n${before}\n${JSON.stringify(data)}`)
        const place = { tenant: DEFAULT_TENANT, stream: CORRECTIONS_STREAM, key: 'identities' }
        const event = { ...place, type: IDENTIFIED_TYPE, id, eventTimeMs: nowMs, data }
        const [placed] = (await log.commit({ events: [event] })).results
        if (placed !== undefined && placed.status !== 'conflict') offset = placed.offset
      }
      const name = partitionName(CORRECTIONS_STREAM, 0)
      const position = new Map([[name, log.ends().get(name) ?? 0]])
      await reached({ position, timeoutMs })
      return { results: results.map((result, at) => inForce(result, links[at], offset)), position }
    },
    async affected(links) {
      await book.follow()
      return await affectedBy(ports, links)
    },
    canonical: id => people.canonicalAt(id, book.position),
    into: id => people.intoAt(id, book.position),
    members: id => people.membersAt(id, book.position),
    history: id => people.history(id).map(({ into }) => into),
  }
}

/** Why a link cannot be; undefined when it can. */
export function refusalOf({ from, into }: IdentityLink, isCircle: boolean): string | undefined {
  const isId = (id: string): boolean => id !== '' && id.length <= ID_MAX
  if (!isId(from) || (into !== null && !isId(into))) return `an id is text of 1 to ${ID_MAX} characters` // prettier-ignore
  if (into === null) return undefined
  if (into === from) return 'nobody is merged into themselves'
  return isCircle ? circleText({ from, into }) : undefined
}

function circleText({ from, into }: IdentityLink): string {
  return `${into} is ${from} already: split them first`
}
