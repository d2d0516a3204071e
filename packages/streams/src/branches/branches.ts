/** Opens branches, and throws away those that nobody asks any more: see `contract.ts`. */
import { deriveId, partitionOf, type Clock } from '@millrace/core'
import { DEFAULT_TENANT, type LogRecord, type NewEvent } from '@millrace/log'
import type { CorrectionRequests } from '../corrections/control.ts'
import { streamsErrors } from '../errors.ts'
import type { FoldDefinition } from '../fold.ts'
import { OUTSIDE } from '../generations.ts'
import { isInner } from '../reach.ts'
import { Places } from '../past/places.ts'
import type { FoldRunner } from '../runner.ts'
import { addedRecord } from './added.ts'
import { OpenBranch } from './branch.ts'
import { ChangedWorld } from './changed.ts'
import type { AddedEvent, Branch, Branches, BranchLimits, BranchRequest } from './contract.ts'
import { assertWithin, estimateOf } from './estimate.ts'
import { Ground, type BranchPorts } from './ground.ts'
import { Overlay } from './overlay.ts'
import { RequestedPeople } from './people.ts'
import { RequestedCorrections, type FoundCorrections } from './requested.ts'
import { Trunk } from './world.ts'

const LIMITS_DEFAULT: BranchLimits = { recordsMax: 5_000_000, bytesMax: 64 * 1024 * 1024 }
const IDLE_MS_DEFAULT = 15 * 60_000
const TIMEOUT_MS_DEFAULT = 5_000
const BRANCHES_MAX = 16
/** Of more corrections than this, so many are looked at before it is opened: the cost of all is estimated from theirs. */
const CORRECTIONS_SAMPLED = 128
/** Questions under way together: other work waits for one slice of each. */
const PLACES = 2

/** What opening branches needs. */
export interface BranchesPorts extends BranchPorts {
  readonly clock: Clock
  readonly requests: Pick<CorrectionRequests, 'plan'>
  readonly runnerOf: (fold: string) => FoldRunner
}

/** See the head of the file. */
export class OpenBranches implements Branches {
  readonly #ports: BranchesPorts
  readonly #open = new Map<string, OpenBranch>()
  readonly #places = new Places({ places: PLACES, waitingMax: BRANCHES_MAX })
  readonly #timers = new Map<string, { cancel(): void }>()
  #opening = 0
  #count = 0

  constructor(ports: BranchesPorts) {
    this.#ports = ports
  }

  async open(request: BranchRequest): Promise<Branch> {
    if (this.#open.size + this.#opening >= BRANCHES_MAX) {
      throw streamsErrors.create('BRANCHES_FULL', { branches: BRANCHES_MAX })
    }
    this.#opening += 1
    try {
      return await this.#create(request)
    } finally {
      this.#opening -= 1
    }
  }

  get(id: string): Branch {
    const branch = this.#open.get(id)
    if (branch === undefined) throw streamsErrors.create('BRANCH_UNKNOWN', { branch: id })
    return branch
  }

  list(): readonly Branch[] {
    return [...this.#open.values()]
  }

  /** Throws all of them away. */
  close(): void {
    for (const branch of this.#open.values()) branch.close()
  }

  async #create(request: BranchRequest): Promise<Branch> {
    const { clock, runners, runnerOf } = this.#ports
    const { at, changes, idleMs = IDLE_MS_DEFAULT, timeoutMs = TIMEOUT_MS_DEFAULT } = request
    const limits = { ...LIMITS_DEFAULT, ...request.limits }
    const ground = await Ground.open(this.#ports, at, timeoutMs)
    this.#count += 1
    const id = deriveId(clock.nowMs(), `branch\n${this.#count}`)
    const corrected = new RequestedCorrections(ground, this.#ports.requests, {
      requested: changes.corrections ?? [],
      source: id,
    })
    const people = new RequestedPeople(ground, changes.links ?? [])
    const others = {
      source: id,
      people,
      events: await this.#events(ground, changes.events ?? []),
      definitions: new Map(
        (changes.definitions ?? []).map(each => [each.name, this.#replacing(each)]),
      ),
    }
    const overlay = new Overlay(limits.bytesMax)
    const trunk = new Trunk(ground, overlay)
    const worldOf = (found: FoundCorrections): ChangedWorld =>
      new ChangedWorld(ground, overlay, trunk, { ...others, ...found })
    const sample = await corrected.sample(CORRECTIONS_SAMPLED)
    const share = Math.max(1, corrected.requested.length / CORRECTIONS_SAMPLED)
    const estimate = await estimateOf(worldOf(sample), runners, share)
    const replaced = new Set(others.definitions.keys())
    // What other code costs depends on what is asked.
    assertWithin(
      estimate.folds.filter(({ fold }) => !replaced.has(fold)),
      limits,
    )
    const branch: OpenBranch = new OpenBranch({
      id,
      ground,
      overlay,
      without: trunk,
      changes,
      people,
      corrected,
      worldOf,
      estimate,
      isSampled: share > 1,
      limits,
      replaced,
      runnerOf,
      places: this.#places,
      onUse: () => this.#expireAfter(branch, idleMs),
      onClose: () => this.#forget(id),
    })
    this.#open.set(id, branch)
    this.#expireAfter(branch, idleMs)
    return branch
  }

  #expireAfter(branch: OpenBranch, idleMs: number): void {
    if (!this.#open.has(branch.id)) return
    const { clock } = this.#ports
    branch.expiresAtMs = clock.monotonicMs() + idleMs
    if (this.#timers.has(branch.id)) return
    const look = (): void => {
      const leftMs = branch.expiresAtMs - clock.monotonicMs()
      if (leftMs > 0) this.#timers.set(branch.id, clock.after(leftMs, look))
      else branch.close()
    }
    this.#timers.set(branch.id, clock.after(idleMs, look))
  }

  #forget(id: string): void {
    this.#open.delete(id)
    this.#timers.get(id)?.cancel()
    this.#timers.delete(id)
  }

  async #events(ground: Ground, events: readonly AddedEvent[]): Promise<readonly LogRecord[]> {
    const { log, runners } = this.#ports
    const counts = new Map(
      log.stats().streams.map(({ stream, partitions }) => [stream, partitions.length]),
    )
    const ids = events.flatMap(({ id }) => (id === undefined ? [] : [id]))
    const known = new Set((await log.find(ids)).keys())
    const records: LogRecord[] = []
    for (const event of events) {
      const { stream, key, eventTimeMs } = event
      const refuse = (reason: string): never => {
        throw streamsErrors.create('BRANCH_INVALID', { reason })
      }
      const isRead = runners.some(({ definition }) => definition.source === stream)
      const partitions = counts.get(stream)
      if (partitions === undefined || !isRead || isInner(stream))
        refuse(`no fold reads events from outside on a stream ${stream}`)
      const text = `branch\n${JSON.stringify([event, records.length])}`
      const id = event.id ?? deriveId(eventTimeMs, text)
      if (known.has(id))
        refuse(`there is an event ${id} already: correct it, or name the new one otherwise`)
      known.add(id)
      const partition = partitionOf(key, partitions as number)
      const made: NewEvent = {
        ...event,
        id,
        tenant: DEFAULT_TENANT,
        partition,
        generation: OUTSIDE,
        isHistory: true,
      }
      const { timeMs: arrivedMs } = ground.instant
      records.push(addedRecord(made, { arrivedMs, watermarkMs: Number.NEGATIVE_INFINITY }))
    }
    return records
  }

  #replacing(definition: FoldDefinition): FoldDefinition {
    const refuse = (reason: string): never => {
      throw streamsErrors.create('BRANCH_INVALID', { reason: `${definition.name} ${reason}` })
    }
    const { watch, runnerOf } = this.#ports
    const runner = runnerOf(definition.name)
    const { definition: live } = runner
    if (live.isRekeying === true || watch.isTable(runner))
      refuse('makes what others read: only views can be others in a branch')
    const isAlike = (of: (fold: FoldDefinition) => unknown): boolean =>
      JSON.stringify(of(live)) === JSON.stringify(of(definition))
    if (!isAlike(({ source }) => source)) refuse('reads another stream')
    if (!isAlike(({ targets }) => targets ?? [])) refuse('emits to other streams')
    if (!isAlike(({ tables }) => tables ?? [])) refuse('joins other tables')
    return definition
  }
}
