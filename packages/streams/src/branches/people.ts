/**
 * Who people are in a branch: its merges and splits above those of the log, and what they change. Of an
 * event that names somebody who is another person there it is what a merge in the log would do: the
 * event counts as it is by the rule, and where that gives it another key a record stands in at the end
 * of the partition (docs/adr/0020-identity.md).
 */
import { partitionName } from '@millrace/core'
import type { LogRecord } from '@millrace/log'
import type { Corrections } from '../corrections/contract.ts'
import type { RecordChange } from '../corrections/originals.ts'
import { streamsErrors } from '../errors.ts'
import type { Canonical, IdentityLink } from '../identity/contract.ts'
import { refusalOf } from '../identity/control.ts'
import { changesOfEvent, graphOf } from '../identity/counted.ts'
import type { PersonLinks } from '../identity/links.ts'
import { Slices } from '../slices.ts'
import type { BranchPeople } from './contract.ts'
import { foundOnce } from './found-once.ts'
import type { Ground } from './ground.ts'

/** What is otherwise in one partition of a stream. */
export type ByPartition = ReadonlyMap<string, readonly RecordChange[]>

/** See the head of the file. */
export class RequestedPeople implements BranchPeople {
  readonly #ground: Ground
  readonly #links: PersonLinks
  readonly #position: number
  /** Ids that are somebody else than at the ground. */
  readonly #changed: readonly string[]
  /** Who ids are there; absent where they are who they are at the ground. */
  readonly upper: Canonical | undefined
  /** Their events that were known at the ground. */
  readonly #known = foundOnce(() => this.#find())

  /** Throws BRANCH_INVALID for links that cannot be. */
  constructor(ground: Ground, links: readonly IdentityLink[]) {
    const { corrected, ports } = ground
    const { people } = ports.book
    this.#ground = ground
    this.#position = links.length === 0 ? corrected : corrected + 1
    this.#links = links.length === 0 ? people : people.followedBy(corrected, links)
    const isTwice = new Set(links.map(({ from }) => from)).size < links.length
    for (const link of links) {
      const isCircle = (this.#links.intoAt(link.from, this.#position) ?? null) !== link.into
      const reason = isTwice ? 'an id is named twice' : refusalOf(link, isCircle)
      if (reason !== undefined) throw streamsErrors.create('BRANCH_INVALID', { reason })
    }
    this.#changed = this.#links.changed(corrected, this.#position)
    this.upper = this.#changed.length === 0 ? undefined : this.#links.at(this.#position)
  }

  canonical(id: string): string {
    return this.#links.canonicalAt(id, this.#position)
  }

  members(id: string): readonly string[] {
    return this.#links.membersAt(id, this.#position)
  }

  /** What changes for the events of those who are somebody else, by partition of the streams that have their records; events of `corrected` are left to whoever corrects them. */
  async changes(corrections: Corrections, corrected: ReadonlySet<string>): Promise<ByPartition> {
    const { ports, corrections: before } = this.#ground
    const graph = graphOf(ports.runners)
    const byPartition = new Map<string, RecordChange[]>()
    const slices = new Slices(ports.clock, ports.sliceMs)
    for (const origin of await this.#known()) {
      if (corrected.has(origin.id)) continue
      for (const { at, change } of changesOfEvent(graph, origin, before, corrections)) {
        const name = partitionName(at.stream, at.partition)
        const own = byPartition.get(name)
        const found = { ...change, arrivedMs: origin.ingestTimeMs }
        if (own === undefined) byPartition.set(name, [found])
        else own.push(found)
      }
      await slices.pause()
    }
    return byPartition
  }

  async #find(): Promise<readonly LogRecord[]> {
    const { ports, instant } = this.#ground
    const events: LogRecord[] = []
    for await (const record of ports.corrector.eventsOf(this.#changed)) {
      const place = partitionName(record.stream, record.partition)
      if (record.offset < (instant.position.get(place) ?? 0)) events.push(record)
    }
    return events
  }
}
