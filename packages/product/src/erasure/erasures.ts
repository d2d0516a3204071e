/**
 * Erasing people. The steps, each of which may be done again:
 *
 *   1 the decision is on the log; from then on events that name the people are refused, and what was on
 *     its way is waited for
 *   2 all events that name them are retracted, every view has followed, and branches are thrown away
 *   3 snapshots are written anew under a new key
 *   4 their keys and the key of the snapshots before are destroyed
 *   5 the report is on the log
 *
 * Processes that share the log do 1 and 2 together (`rounds.ts`), the others are done by one of them.
 *
 * Promise: an erasure that was begun ends, whatever is killed. Until step 4 the personal fields can
 * be read, so that views can take the events out; after it nobody can read them, in the log, in its
 * backups and in snapshots.
 */
import type { ModuleContext } from '../module.ts'
import type { ErasureBook, Erasure } from './book.ts'
import { EXPOSURES } from '../recommendations/index.ts'
import { erasureErrors } from './errors.ts'
import {
  ERASURE_BEGUN,
  ERASURE_ENDED,
  ERASURE_RETRACTED,
  ERASURES_STREAM,
  type ErasureBegun,
  type ErasureReport,
  type ErasedView,
} from './events.ts'
import { remaindersOf } from './remainders.ts'
import { Rounds } from './rounds.ts'
import { findEvents, type Found } from './search.ts'
import { personalEvents } from '@millrace/core'

/** Events that are retracted in one go. */
const RETRACTIONS_MAX = 20_000

/** Who is to be erased, and why. */
export interface ErasureRequest {
  readonly people: readonly string[]
  readonly reason: string
  /** Who asks, as the audit names them. */
  readonly by: string
}

/** What other modules and the host process may call. */
export interface Erasures {
  /** What an erasure would come to; nothing is changed. Rejects with ERASURE_NOBODY. */
  dryRun(request: ErasureRequest): Promise<ErasureReport>
  /** Begins an erasure: durable when it resolves, and carried out from then on. Of people who are erased it gives the one that erased them. Rejects with ERASURE_NOBODY. */
  begin(request: ErasureRequest): Promise<Erasure>
  /** Resolves when an erasure has ended. */
  ended(erasure: string): Promise<Erasure>
  /** Throws ERASURE_UNKNOWN. */
  get(erasure: string): Erasure
  /** The newest first. */
  list(): readonly Erasure[]
}

type Ports = Pick<
  ModuleContext,
  'app' | 'log' | 'streams' | 'clock' | 'logger' | 'newId' | 'leads'
> & {
  readonly book: ErasureBook
  readonly privacy: NonNullable<ModuleContext['privacy']>
  /** All ids of the same people. */
  readonly idsOf: (people: readonly string[]) => readonly string[]
}

/** See the head of the file. */
export class ErasureRunner implements Erasures {
  readonly #ports: Ports
  readonly #running = new Map<string, Promise<Erasure>>()
  /** Present where processes share the log. */
  readonly #rounds: Rounds | undefined
  #stopListening: (() => void) | undefined
  #isClosed = false

  constructor(ports: Ports) {
    this.#ports = ports
    const { book, privacy } = ports
    if (privacy.peers === undefined) return
    const rounds = new Rounds({
      ...ports,
      peers: privacy.peers,
      isRunning: erasure => this.#running.has(erasure),
      takeOver: erasure => this.#goOn(erasure),
      sweep: erasure => this.#sweep(erasure),
      forget: () => this.#forget(),
    })
    this.#rounds = rounds
    this.#stopListening = book.onNews(() => rounds.wake())
  }

  async dryRun({ people, reason, by }: ErasureRequest): Promise<ErasureReport> {
    const all = this.#ports.idsOf(people)
    const found = await this.#find(all)
    await this.#refuseNobody(people, found)
    const set = { corrections: found.retractions, reason: 'a dry run', by: 'nobody' }
    const views =
      found.retractions.length === 0 ? [] : (await this.#ports.streams.corrections.affected(set)).folds // prettier-ignore
    const request = { erasure: '', people: all, reason, by }
    return await this.#report(request, found, views.map(({ fold, records, keys }) => ({ fold, records, keys }))) // prettier-ignore
  }

  async begin({ people, reason, by }: ErasureRequest): Promise<Erasure> {
    const { book, log, clock, newId } = this.#ports
    await book.follow()
    const all = this.#ports.idsOf(people)
    const known = all.map(person => book.of(person))
    const first = known[0]
    if (first !== undefined && known.every(one => one === first)) return first
    const left = all.filter((_, index) => known[index] === undefined)
    await this.#refuseNobody(people, await this.#find(left))
    const erasure = newId()
    const data: ErasureBegun = { erasure, people: left, reason, by, ...this.#process() }
    const event = { stream: ERASURES_STREAM, key: erasure, eventTimeMs: clock.nowMs() }
    await log.commit({ events: [{ ...event, type: ERASURE_BEGUN, id: erasure, data }] })
    await book.follow()
    this.#goOn(this.get(erasure))
    return this.get(erasure)
  }

  #process(): Pick<ErasureBegun, 'process'> {
    const { peers } = this.#ports.privacy
    return peers === undefined ? {} : { process: peers.own() }
  }

  /** Erases people whom another past of this log has erased; see `docs/adr/0021`. */
  async beginAgain(people: readonly string[]): Promise<void> {
    const { book, log, clock, newId } = this.#ports
    const left = people.filter(person => book.of(person) === undefined)
    if (left.length === 0) return
    const erasure = newId()
    const reason = 'erased after the moment that this log was restored to'
    const data: ErasureBegun = { erasure, people: left, reason, by: 'restore', ...this.#process() }
    const event = { stream: ERASURES_STREAM, key: erasure, eventTimeMs: clock.nowMs() }
    await log.commit({ events: [{ ...event, type: ERASURE_BEGUN, id: erasure, data }] })
    await book.follow()
    await this.#start(this.get(erasure))
  }

  /** Goes on with what was begun and has not ended; of processes that share the log one does. */
  resume(): void {
    if (this.#rounds !== undefined) return this.#rounds.wake()
    for (const erasure of this.#ports.book.all()) {
      if (erasure.report === undefined) this.#goOn(erasure)
    }
  }

  #goOn(erasure: Erasure): void {
    this.#start(erasure).catch((error: unknown) => {
      if (this.#isClosed) return
      const reason = String(error)
      this.#ports.logger.error('an erasure stopped; it goes on when it is asked for, or at the next start', { erasure: erasure.erasure, reason }) // prettier-ignore
    })
  }

  async ended(erasure: string): Promise<Erasure> {
    const known = this.get(erasure)
    return known.report === undefined ? await this.#start(known) : known
  }

  get(erasure: string): Erasure {
    const found = this.#ports.book.find(erasure)
    if (found === undefined) throw erasureErrors.create('ERASURE_UNKNOWN', { erasure: erasure.slice(0, 128) }) // prettier-ignore
    return found
  }

  list(): readonly Erasure[] {
    return [...this.#ports.book.all()].reverse()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopListening?.()
    await this.#rounds?.close()
    await Promise.allSettled(this.#running.values())
  }

  #start(erasure: Erasure): Promise<Erasure> {
    const running = this.#running.get(erasure.erasure)
    if (running !== undefined) return running
    const run = this.#run(erasure).finally(() => this.#running.delete(erasure.erasure))
    this.#running.set(erasure.erasure, run)
    return run
  }

  async #run(erasure: Erasure): Promise<Erasure> {
    const { book, log, clock, privacy } = this.#ports
    const { erasure: id, people } = erasure
    const note = async (type: string, data: unknown): Promise<void> => {
      const event = { stream: ERASURES_STREAM, key: id, eventTimeMs: clock.nowMs() }
      await log.commit({ events: [{ ...event, type, id: `${id}.${type.split('.')[1]}`, data }] })
      await book.follow()
    }
    await privacy.shut(people)
    await this.#rounds?.gather(id, 'shut')
    // Who is being closed leaves the rest to the next one.
    if (this.#isClosed) return this.get(id)
    const found = await this.#find(people)
    const views = await this.#retract(erasure, found)
    await this.#forget()
    if (this.#rounds !== undefined) {
      await note(ERASURE_RETRACTED, { erasure: id })
      await this.#rounds.gather(id, 'clean')
    }
    if (this.#isClosed) return this.get(id)
    await privacy.destroy(people)
    await note(ERASURE_ENDED, await this.#report(erasure, found, views))
    return this.get(id)
  }

  /** Open branches hold states from before, and can fold what was retracted; files beside the log tell of them. */
  async #forget(): Promise<void> {
    const { privacy, streams } = this.#ports
    for (const branch of streams.branches.list()) branch.close()
    await privacy.tidy()
  }

  /** Takes back what this process appended after others had looked for it. */
  async #sweep(erasure: Erasure): Promise<void> {
    const { privacy, streams } = this.#ports
    const found = await this.#find(erasure.people)
    const isLeft = found.retractions.some(({ id }) => streams.corrections.of(id).at(-1)?.action !== 'retract') // prettier-ignore
    if (!isLeft) return
    await this.#retract(erasure, found)
    await this.#forget()
    await privacy.destroy(erasure.people)
  }

  /** Retracts what is not retracted yet; resolves when every view reflects it, to what it came to. */
  async #retract({ erasure }: Erasure, { retractions }: Found): Promise<readonly ErasedView[]> {
    const { corrections } = this.#ports.streams
    const views = new Map<string, ErasedView>()
    for (let at = 0; at < retractions.length; at += RETRACTIONS_MAX) {
      const part = retractions.slice(at, at + RETRACTIONS_MAX)
      // The reason is public, and that of the request may be personal.
      const set = { changeset: `erasure-${erasure}`, corrections: part, reason: 'erasure', by: 'erasure', isFinal: true } // prettier-ignore
      for (const { fold, records, keys } of (await corrections.affected(set)).folds) {
        const known = views.get(fold)
        views.set(fold, {
          fold,
          records: records + (known?.records ?? 0),
          keys: keys + (known?.keys ?? 0),
        })
      }
      await corrections.apply(set)
    }
    return [...views.values()]
  }

  async #find(people: readonly string[]): Promise<Found> {
    const { app, log } = this.#ports
    return await findEvents({ app, log, personal: personalEvents(app) }, people)
  }

  /** Somebody of whom there is nothing is most likely a slip of the pen. */
  async #refuseNobody(people: readonly string[], { retractions }: Found): Promise<void> {
    const { book, idsOf } = this.#ports
    if (people.length === 1 && retractions.length > 0) return
    for (const [index, person] of people.entries()) {
      if (book.of(person) !== undefined) continue
      const ids = idsOf([person])
      if ((await this.#find(ids)).retractions.length > 0 || (await this.#wasShown(ids))) continue
      throw erasureErrors.create('ERASURE_NOBODY', { number: index + 1 })
    }
  }

  async #wasShown(people: readonly string[]): Promise<boolean> {
    const shown = this.#ports.log.history({ stream: EXPOSURES, keys: people })
    for await (const _ of shown) return true
    return false
  }

  async #report(
    { erasure, people, reason, by }: ErasureBegun,
    found: Found,
    views: readonly ErasedView[],
  ): Promise<ErasureReport> {
    const { retractions, ofOthers, types } = found
    const remains = await remaindersOf(this.#ports, people, found)
    return { erasure, people, reason, by, events: retractions.length, ofOthers, types, views, remains } // prettier-ignore
  }
}
