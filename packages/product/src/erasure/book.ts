/** All erasures of a log, as its records tell: each process has its own book, and all agree. */
import type { Logger } from '@millrace/core'
import { StreamFollower, type EventLog, type LogRecord } from '@millrace/log'
import {
  ERASURE_BEGUN,
  ERASURE_ENDED,
  ERASURE_HEARD,
  ERASURE_RETRACTED,
  ERASURES_STREAM,
  type ErasureBegun,
  type ErasureHeard,
  type ErasureReport,
  type ErasureStep,
} from './events.ts'

/** An erasure. */
export interface Erasure extends ErasureBegun {
  readonly begunMs: number
  /** True when its events are retracted, and the processes that share the log were asked to follow. */
  readonly isRetracted?: boolean
  /** Present when it has ended. */
  readonly endedMs?: number
  readonly report?: ErasureReport
}

interface BookPorts {
  readonly log: EventLog
  readonly logger: Logger
  /** Called with the people of each erasure, before anybody is told of it. */
  readonly shut: (people: readonly string[]) => unknown
  /** Called with them when it has ended. */
  readonly follow: (people: readonly string[]) => Promise<void>
}

/** See the head of the file. */
export class ErasureBook {
  readonly #ports: BookPorts
  readonly #erasures = new Map<string, Erasure>()
  readonly #byPerson = new Map<string, string>()
  readonly #heard = new Map<string, Set<string>>()
  readonly #listeners = new Set<() => void>()
  readonly #stop: () => void
  readonly #follower: StreamFollower

  private constructor(ports: BookPorts) {
    this.#ports = ports
    this.#follower = new StreamFollower(ports.log, ERASURES_STREAM)
    this.#stop = ports.log.onAdvance(() => {
      if (!this.#follower.hasNews) return
      this.follow().catch((error: unknown) => {
        ports.logger.warn('erasures cannot be read', { reason: String(error) })
      })
    })
  }

  /** Reads the erasures that the log holds, and follows it. */
  static async open(ports: BookPorts): Promise<ErasureBook> {
    const book = new ErasureBook(ports)
    await book.follow()
    return book
  }

  /** In the order in which they began. */
  all(): Iterable<Erasure> {
    return this.#erasures.values()
  }

  find(erasure: string): Erasure | undefined {
    return this.#erasures.get(erasure)
  }

  /** The erasure of a person. */
  of(person: string): Erasure | undefined {
    return this.#erasures.get(this.#byPerson.get(person) ?? '')
  }

  /** The processes that have said so of a step. */
  heard(erasure: string, step: ErasureStep): ReadonlySet<string> {
    return this.#heard.get(`${erasure}.${step}`) ?? new Set()
  }

  /** Calls `listener` when something was read; returns how to stop. */
  onNews(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Reads what came since. */
  async follow(): Promise<void> {
    let hasNews = false
    await this.#follower.follow(async record => {
      hasNews = true
      await this.#add(record)
    })
    if (hasNews) for (const listener of this.#listeners) listener()
  }

  close(): void {
    this.#stop()
  }

  async #add({ type, data, eventTimeMs }: LogRecord): Promise<void> {
    if (type === ERASURE_BEGUN) {
      const begun = data as ErasureBegun
      if (this.#erasures.has(begun.erasure)) return
      this.#ports.shut(begun.people)
      this.#erasures.set(begun.erasure, { ...begun, begunMs: eventTimeMs })
      for (const person of begun.people) this.#byPerson.set(person, begun.erasure)
    } else if (type === ERASURE_HEARD) {
      const { erasure, step, process } = data as ErasureHeard
      const name = `${erasure}.${step}`
      this.#heard.set(name, new Set(this.#heard.get(name)).add(process))
    } else if (type === ERASURE_RETRACTED) {
      const { erasure } = data as Pick<ErasureBegun, 'erasure'>
      const known = this.#erasures.get(erasure)
      if (known !== undefined) this.#erasures.set(erasure, { ...known, isRetracted: true })
    } else if (type === ERASURE_ENDED) {
      const report = data as ErasureReport
      const known = this.#erasures.get(report.erasure)
      if (known?.report !== undefined || known === undefined) return
      await this.#ports.follow(known.people)
      this.#erasures.set(report.erasure, { ...known, endedMs: eventTimeMs, report })
    }
  }
}
