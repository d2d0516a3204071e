/**
 * The other processes over the same log, as the one that rebuilds sees them: who makes a build, and
 * whether all hold the one that is about to be served.
 */
import type { Clock } from '@millrace/core'
import type { Leases, MemberInfo } from '@millrace/log'
import { streamsErrors } from '../errors.ts'
import type { Build, BuildBook } from './events.ts'

/** How long the others may take to load a build. */
const JOIN_MS = 60_000
const POLL_MS = 20

/** See the head of the file. */
export class Fellows {
  readonly #book: BuildBook
  readonly #clock: Clock
  /** Absent where one process has the log to itself. */
  readonly #leases: Leases | undefined

  constructor(ports: {
    readonly book: BuildBook
    readonly clock: Clock
    readonly leases: Leases | undefined
  }) {
    this.#book = ports.book
    this.#clock = ports.clock
    this.#leases = ports.leases
  }

  /** Refuses where another process, which lives, makes the open build (REBUILD_ELSEWHERE). */
  assertOwn(fold: string): void {
    const where = this.elsewhere(fold)
    if (where !== undefined) throw streamsErrors.create('REBUILD_ELSEWHERE', { fold, where })
  }

  /** Where the process answers that makes the open build, when that is another one. */
  elsewhere(fold: string): string | undefined {
    const { open } = this.#book.of(fold)
    const leases = this.#leases
    if (leases === undefined || open?.process === leases.member) return undefined
    const maker = leases.members().find(({ name }) => name === open?.process)
    return maker === undefined ? undefined : (maker.address ?? maker.name)
  }

  /** Says that a build is about to be served, and waits until all others hold it beside theirs. Throws REBUILD_SHARED. */
  async gather(fold: string, build: Build): Promise<void> {
    const leases = this.#leases
    const clock = this.#clock
    if (leases === undefined) return
    const { member: process } = leases
    await this.#book.decide(fold, clock.nowMs(), { kind: 'announced', ...build, process })
    const untilMs = clock.monotonicMs() + JOIN_MS
    while (this.#late(fold).length > 0) {
      if (clock.monotonicMs() > untilMs) this.assertGathered(fold)
      await new Promise<void>(resolve => clock.after(POLL_MS, resolve))
      await this.#book.follow()
    }
  }

  /** Refuses while another process does not hold the build that was announced. */
  assertGathered(fold: string): void {
    const [late] = this.#late(fold)
    if (late === undefined) return
    const where = late.address ?? late.name
    throw streamsErrors.create('REBUILD_SHARED', { fold, where, seconds: JOIN_MS / 1000 })
  }

  #late(fold: string): readonly MemberInfo[] {
    const { announced } = this.#book.of(fold)
    const leases = this.#leases
    const others = leases?.members().filter(({ name }) => name !== leases.member) ?? []
    return others.filter(({ name }) => announced?.joined.includes(name) !== true)
  }
}
