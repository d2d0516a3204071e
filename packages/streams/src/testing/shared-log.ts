/**
 * One log shared by several runtimes, as processes share one in a database: each sees it through a
 * member of its own. A step is judged when it arrives, by the fencing token that it was made under.
 */
import type { Clock } from '@millrace/core'
import type { Candidacy, EventLog, LeaseInfo, Leases, MemberInfo } from '@millrace/log'
import { logErrors } from '@millrace/log'

interface Lease {
  holder: LogMember | undefined
  token: number
}

/** Who holds which partition. */
export class SharedLog {
  readonly log: EventLog
  readonly clock: Clock
  /** How long a commit is on its way, milliseconds. */
  readonly delayMs: () => number
  readonly leases: Lease[]
  readonly members = new Set<LogMember>()
  /** Commits that were let through: whoever gets a lease sees what they did. */
  readonly passed = new Set<Promise<unknown>>()
  #entered = 0

  constructor(options: { log: EventLog; clock: Clock; partitions: number; delayMs: () => number }) {
    this.log = options.log
    this.clock = options.clock
    this.delayMs = options.delayMs
    this.leases = Array.from({ length: options.partitions }, () => ({ holder: undefined, token: 0 })) // prettier-ignore
  }

  enter(): LogMember {
    const member = new LogMember(this, `member ${++this.#entered}`)
    this.members.add(member)
    return member
  }

  /** Gives a partition to a member, whoever had it; the one before hears of it by `notice`. */
  give(partition: number, to: LogMember): void {
    const lease = this.leases[partition] as Lease
    lease.holder = to
    lease.token += 1
    const { token } = lease
    void Promise.allSettled(this.passed).then(() => {
      if (lease.token === token) to.take(partition, token)
    })
  }

  /** As `give`, after the holder has finished what it was about. */
  async handOver(partition: number, to: LogMember): Promise<void> {
    const { holder } = this.leases[partition] as Lease
    await holder?.release(partition)
    // It may have been taken from the holder meanwhile.
    if ((this.leases[partition] as Lease).holder === holder) this.give(partition, to)
  }
}

/** One process: its log and its leases. */
export class LogMember implements Leases {
  readonly log: EventLog
  readonly #shared: SharedLog
  readonly #tokens = new Map<number, number>()
  readonly #releasing = new Set<number>()
  readonly #listeners = new Set<() => void>()
  readonly #stops: (() => void)[] = []
  #queue: Promise<unknown> = Promise.resolve()
  #candidacy: Candidacy | undefined
  readonly member: string
  isAlive = true

  constructor(shared: SharedLog, name: string) {
    this.#shared = shared
    this.member = name
    const { log } = shared
    this.log = {
      capabilities: log.capabilities,
      declare: streams => log.declare(streams),
      commit: request => this.#commit(request),
      read: request => this.#while(log.read(request)),
      history: request => log.history(request),
      find: log.find,
      version: request => log.version(request),
      seek: request => log.seek(request),
      ends: () => log.ends(),
      steps: request => log.steps(request),
      onAdvance: listener => {
        const stop = log.onAdvance(() => {
          if (this.isAlive) listener()
        })
        this.#stops.push(stop)
        return stop
      },
      stats: () => log.stats(),
      close: async () => undefined,
    }
  }

  /** The process is gone; what it sent may still arrive. */
  kill(): void {
    this.isAlive = false
    this.#shared.members.delete(this)
    for (const stop of this.#stops) stop()
  }

  take(partition: number, token: number): void {
    this.#tokens.set(partition, token)
    this.#changed()
  }

  /** Looks which leases it still has. */
  notice(): void {
    for (const [partition, token] of this.#tokens) {
      if (this.#shared.leases[partition]?.token !== token) this.#tokens.delete(partition)
    }
    this.#changed()
  }

  async release(partition: number): Promise<void> {
    this.#releasing.add(partition)
    await this.#candidacy?.onRelease(partition)
    this.#releasing.delete(partition)
    this.#tokens.delete(partition)
    this.#changed()
  }

  get isStanding(): boolean {
    return this.#candidacy !== undefined
  }

  tokenOf(partition: number): number | undefined {
    return this.#releasing.has(partition) ? undefined : this.#tokens.get(partition)
  }

  async stand(candidacy: Candidacy): Promise<void> {
    this.#candidacy = candidacy
    this.#shared.leases.forEach(({ holder }, partition) => {
      if (holder?.isAlive !== true) this.#shared.give(partition, this)
    })
  }

  async leave(): Promise<void> {
    const others = [...this.#shared.members].filter(other => other !== this && other.isStanding)
    this.#shared.members.delete(this)
    for (const partition of [...this.#tokens.keys()]) {
      const [next] = others
      if (next === undefined) await this.release(partition)
      else await this.#shared.handOver(partition, next)
    }
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  census(): Promise<readonly MemberInfo[]> {
    return Promise.resolve(this.members())
  }

  members(): readonly MemberInfo[] {
    const standing = [...this.#shared.members].filter(({ isStanding }) => isStanding)
    return standing.map(({ member }) => ({ name: member, address: `http://${member}` }))
  }

  refresh(): Promise<void> {
    return Promise.resolve()
  }

  announce(): void {
    // Nobody asks.
  }

  list(): readonly LeaseInfo[] {
    return this.#shared.leases.map(({ token }, partition) => ({
      partition,
      owner: 'somebody',
      address: undefined,
      token,
      isOwn: this.#tokens.has(partition),
    }))
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }

  async #while<T>(work: Promise<T>): Promise<T> {
    const result = await work
    if (!this.isAlive) throw logErrors.create('LOG_CLOSED')
    return result
  }

  /** Commits arrive in the order of the calls, each after a while. */
  #commit: EventLog['commit'] = async request => {
    const { step } = request
    const partition = step?.source.partition ?? 0
    const arrived = this.#queue.then(
      () => new Promise<void>(resolve => this.#shared.clock.after(this.#shared.delayMs(), resolve)),
    )
    this.#queue = arrived
    await arrived
    const lease = this.#shared.leases[partition]
    if (step !== undefined && step.token !== lease?.token) {
      throw logErrors.create('LEASE_LOST', { partition })
    }
    const passed = this.#shared.log.commit(request)
    this.#shared.passed.add(passed)
    return await this.#while(passed.finally(() => this.#shared.passed.delete(passed)))
  }
}
