/**
 * What processes over one log tell each other of an erasure, on its stream: that nothing which names
 * the people is on its way any more (`shut`), and that no view says anything of them (`clean`).
 *
 * Promise: while whoever erases waits for all that take part, nobody folds or appends anything of the
 * people that it does not know of. One that is silent for longer than a lease is not waited for: what
 * it had on its way is looked for when it hears of the erasure, and taken back.
 */
import { isError, partitionName, type Timer } from '@millrace/core'
import { CORRECTIONS_STREAM } from '@millrace/streams'
import type { ModuleContext, Peers } from '../module.ts'
import type { Erasure, ErasureBook } from './book.ts'
import { ERASURE_HEARD, ERASURES_STREAM, type ErasureHeard, type ErasureStep } from './events.ts'

/** How often it is looked who takes part, and whether whoever erases has died. */
const LOOK_EVERY_MS = 200
/** Who is waited for is named when it takes so long. */
const SLOW_MS = 10_000
/** How long views may take to reflect what was retracted, before it is tried again. */
const REFLECTED_MS = 60_000

type Ports = Pick<ModuleContext, 'log' | 'streams' | 'clock' | 'logger' | 'leads'> & {
  readonly book: ErasureBook
  readonly peers: Peers
  readonly privacy: NonNullable<ModuleContext['privacy']>
  readonly isRunning: (erasure: string) => boolean
  /** Carries an erasure out that another process began. */
  readonly takeOver: (erasure: Erasure) => void
  /** Looks once more for what names the people of an erasure that went on without this process. */
  readonly sweep: (erasure: Erasure) => Promise<void>
  /** Lets go of what this process has of the views as they were. */
  readonly forget: () => Promise<void>
}

/** See the head of the file. */
export class Rounds {
  readonly #ports: Ports
  /** Erasures that wait for this process, or that began before it. */
  readonly #taken: Set<string>
  readonly #working = new Map<string, Promise<void>>()
  #timer: Timer | undefined
  #isClosed = false

  constructor(ports: Ports) {
    this.#ports = ports
    // Nothing of theirs was on its way in a process that begins.
    this.#taken = new Set([...ports.book.all()].map(({ erasure }) => erasure))
  }

  /** Says so of a step, and resolves when all others that take part have. */
  async gather(erasure: string, step: ErasureStep): Promise<void> {
    const { book, peers, clock, logger } = this.#ports
    await this.#tell({ erasure, process: peers.own(), step })
    const sinceMs = clock.monotonicMs()
    let isTold = false
    for (;;) {
      const others = await peers.others()
      await peers.refresh()
      await book.follow()
      const heard = book.heard(erasure, step)
      const missing = others.filter(name => !heard.has(name))
      if (missing.length === 0 || this.#isClosed) return
      if (!isTold && clock.monotonicMs() - sinceMs > SLOW_MS) {
        isTold = true
        logger.warn('an erasure waits for other processes', { erasure, step, processes: missing })
      }
      await new Promise<void>(resolve => clock.after(LOOK_EVERY_MS, resolve))
    }
  }

  /** Does what others wait for, and looks again while an erasure is under way. */
  wake(): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    let isOwed = false
    for (const erasure of this.#ports.book.all()) {
      const { erasure: id, report } = erasure
      isOwed ||= report === undefined
      if (this.#working.has(id) || this.#ports.isRunning(id)) continue
      if (report !== undefined && this.#taken.has(id)) continue
      const work = this.#answer(erasure)
        .catch((error: unknown) => {
          isOwed = true
          if (this.#isClosed || isError(error, 'LOG_CLOSED')) return
          this.#ports.logger.warn('others wait for this process to take part in an erasure', { erasure: id, reason: String(error) }) // prettier-ignore
        })
        .finally(() => this.#working.delete(id))
      this.#working.set(id, work)
    }
    if (isOwed) this.#timer = this.#ports.clock.after(LOOK_EVERY_MS, () => this.wake())
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await Promise.all(this.#working.values())
  }

  async #answer(erasure: Erasure): Promise<void> {
    const { book, peers, privacy, streams, leads } = this.#ports
    const { erasure: id, people, process } = erasure
    const own = peers.own()
    if (!this.#taken.has(id)) {
      await privacy.shut(people)
      if (erasure.isRetracted) await this.#ports.sweep(erasure)
      this.#taken.add(id)
    }
    if (erasure.report !== undefined) return
    if (!erasure.isRetracted) {
      await privacy.shut(people)
      await this.#tell({ erasure: id, process: own, step: 'shut' })
    } else if (!book.heard(id, 'clean').has(own)) {
      await peers.refresh()
      const name = partitionName(CORRECTIONS_STREAM, 0)
      const position = new Map([[name, this.#ports.log.ends().get(name) ?? 0]])
      await streams.reached({ position, timeoutMs: REFLECTED_MS })
      await this.#ports.forget()
      await this.#tell({ erasure: id, process: own, step: 'clean' })
    }
    if (process === own || leads?.(id) !== true) return
    if (!(await peers.others()).includes(process ?? '')) this.#ports.takeOver(erasure)
  }

  async #tell(data: ErasureHeard): Promise<void> {
    const { book, log, clock } = this.#ports
    const { erasure, process, step } = data
    if (book.heard(erasure, step).has(process)) return
    const event = { stream: ERASURES_STREAM, key: erasure, eventTimeMs: clock.nowMs() }
    const id = `${erasure}.${step}.${process}`
    await log.commit({ events: [{ ...event, type: ERASURE_HEARD, id, data }] })
  }
}
