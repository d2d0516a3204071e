/**
 * The place of this process among those that share the log, and the leases that it holds.
 *
 * Its row in `members` is renewed four times in the span of a lease; a member that was silent for
 * longer is forgotten by the others, with all that it held. Its name, which the database gave, is a
 * fencing token for everything that it appends: `append` refuses a name that was forgotten. It then
 * enters again under another one and stands for leases anew. Whoever holds a lease that belongs to
 * another by the common plan (`lease-plan.ts`) gives it up when nothing of it is on its way; whoever
 * should have one that is free takes it, with the next token.
 *
 * After an outage of the database nobody is forgotten before all had the time to show themselves: a
 * process forgets others only while its own signs of life come through without a break.
 */
import { Backoff, type Clock, type Logger, type Random, type Timer } from '@millrace/core'
import type { Candidacy, LeaseInfo, Leases, MemberInfo } from '../leases.ts'
import { int4Array } from './arrays.ts'
import { isPassing, type Database } from './database.ts'
import { planLeases, type Lease, type Member } from './lease-plan.ts'

/** A lease is renewed so many times before it would be over. */
const RENEWALS = 8

/** The database gives the name: it is new, whatever the randomness of a process is worth. */
const ENTER = 'INSERT INTO $schema.members (member) VALUES (gen_random_uuid()) RETURNING member'

/** What the leases need. */
export interface LeasesPorts {
  readonly database: Database
  readonly clock: Clock
  readonly random: Random | undefined
  readonly logger: Logger
  /** How long a member may be silent, milliseconds. */
  readonly leaseMs: number
  /** Awaited after each entry into the book; a rejection takes this process out again. */
  readonly admit: () => Promise<void>
  /** Reads what others committed. */
  readonly refresh: () => Promise<void>
  /** Tells the others that a lease changed hands. */
  readonly notify: () => void
}

interface Sight {
  readonly members: readonly [string, string | null, string | null][]
  readonly leases: readonly [number, string | null, number][]
}

/** See the head of the file. */
export class PostgresLeases implements Leases {
  readonly #ports: LeasesPorts
  readonly #beatMs: number
  /** Tokens of the leases that this process holds. */
  readonly #tokens = new Map<number, number>()
  readonly #releasing = new Set<number>()
  readonly #listeners = new Set<() => void>()
  #member: string
  #candidacy: Candidacy | undefined
  #address: string | null = null
  #members: readonly Member[] = []
  #leases: readonly Lease[] = []
  #timer: Timer | undefined
  #beating: Promise<void> | undefined
  #isWanted = false
  #entering: Promise<void> | undefined
  /** A process that is not admitted asks ever more rarely, and shows no life meanwhile. */
  readonly #refusals: Backoff
  #refusal: unknown
  #lastBeatMs: number
  #isClosed = false
  readonly counters = { leasesTaken: 0, leasesGiven: 0, leasesLost: 0 }

  /** Enters this process among the members. */
  static async enter(ports: LeasesPorts): Promise<PostgresLeases> {
    return new PostgresLeases(ports, await enterBook(ports))
  }

  private constructor(ports: LeasesPorts, member: string) {
    this.#ports = ports
    this.#member = member
    this.#beatMs = ports.leaseMs / RENEWALS
    const { clock, random } = ports
    this.#refusals = new Backoff({ clock, random, wake: () => void this.#showLife() })
    this.#lastBeatMs = ports.clock.monotonicMs()
  }

  /** The name of this process in the database; another one after it was taken for dead. */
  get member(): string {
    return this.#member
  }

  /** Leases held. */
  get held(): number {
    return this.#tokens.size
  }

  /** True when steps are committed under leases only. */
  get isStanding(): boolean {
    return this.#candidacy !== undefined
  }

  start(): void {
    this.#schedule()
  }

  tokenOf(partition: number): number | undefined {
    return this.#releasing.has(partition) ? undefined : this.#tokens.get(partition)
  }

  async stand(candidacy: Candidacy): Promise<void> {
    this.#candidacy = candidacy
    await this.beat()
  }

  async leave(): Promise<void> {
    if (this.#candidacy === undefined) return
    this.#candidacy = { ...this.#candidacy, lineage: '' }
    await this.#giveUp([...this.#tokens.keys()])
    await this.beat()
  }

  onChange(listener: () => void): () => void {
    const entry = (): void => listener()
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  refresh(): Promise<void> {
    return this.#ports.refresh()
  }

  announce(address: string): void {
    this.#address = address
    void this.#quietly()
  }

  members(): readonly MemberInfo[] {
    const standing = this.#members.filter(({ lineage }) => lineage !== undefined)
    return standing.map(({ name, address }) => ({ name, address }))
  }

  async census(): Promise<readonly MemberInfo[]> {
    await this.beat()
    return this.members()
  }

  list(): readonly LeaseInfo[] {
    const addresses = new Map(this.#members.map(({ name, address }) => [name, address]))
    return this.#leases.map(({ partition, owner, token }) => ({
      partition,
      // A member that was forgotten holds nothing.
      owner: addresses.has(owner ?? '') ? owner : undefined,
      address: addresses.get(owner ?? ''),
      token,
      isOwn: this.#tokens.has(partition),
    }))
  }

  /** Shows life and looks at the leases; a call that comes meanwhile is followed by one more look. */
  async beat(): Promise<void> {
    if (this.#beating !== undefined) {
      this.#isWanted = true
      return this.#beating
    }
    this.#beating = this.#beatOn().finally(() => (this.#beating = undefined))
    return this.#beating
  }

  /** Another process gave up a lease, or took one. */
  heard(): void {
    if (this.isStanding) void this.#quietly()
  }

  /** The name was forgotten: enters again, unless that is done already. */
  async enterAgain(gone: string): Promise<void> {
    if (this.#member !== gone) return
    if (this.#refusals.isPausing) throw this.#refusal
    this.#entering ??= this.#enter().finally(() => (this.#entering = undefined))
    await this.#entering
  }

  /** Takes this process out of the book. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#refusals.stop()
    await this.#beating?.catch(() => undefined)
    const { database, logger } = this.#ports
    try {
      await database.query('DELETE FROM $schema.members WHERE member = $1', [this.#member])
      if (this.#candidacy !== undefined) this.#ports.notify()
    } catch (error) {
      logger.debug('the process stays in the book of members until it is found silent', { error })
    }
  }

  async #beatOn(): Promise<void> {
    do {
      this.#isWanted = false
      await this.#beatOnce()
    } while (this.#isWanted && !this.#isClosed)
  }

  async #beatOnce(): Promise<void> {
    const { database, clock, leaseMs } = this.#ports
    const member = this.#member
    const mayForget = clock.monotonicMs() - this.#lastBeatMs < leaseMs / 2
    // The name of a lineage is never empty: an empty one stands for nothing.
    const lineage = this.#candidacy?.lineage || null
    const [row] = await database.query('SELECT $schema.beat($1, $2, $3, $4, $5)', [
      member,
      leaseMs,
      mayForget,
      lineage,
      this.#address,
    ])
    this.#lastBeatMs = clock.monotonicMs()
    const text = row?.[0] ?? null
    if (text === null) {
      await this.enterAgain(member)
      this.#isWanted = true
      return
    }
    this.#see(JSON.parse(text) as Sight)
    if (lineage !== null && !this.#isClosed) await this.#settle()
  }

  #see({ members, leases }: Sight): void {
    this.#members = members.map(([name, lineage, address]) => ({
      name,
      lineage: lineage ?? undefined,
      address: address ?? undefined,
    }))
    this.#leases = leases.map(([partition, owner, token]) => ({
      partition,
      owner: owner ?? undefined,
      token,
    }))
    const held = new Map(
      this.#leases.flatMap(({ partition, owner, token }) =>
        owner === this.#member ? [[partition, token]] : [],
      ),
    )
    // A lease that is not in the book, as in a database that was emptied, is lost as well.
    for (const [partition, token] of this.#tokens) {
      if (held.get(partition) === token) continue
      this.#tokens.delete(partition)
      this.counters.leasesLost += 1
      this.#changed()
    }
  }

  /** Gives up what others should have, takes what is free and ours. */
  async #settle(): Promise<void> {
    const plan = planLeases(this.#leases, this.#members)
    const living = new Set(this.#members.map(({ name }) => name))
    const surplus: number[] = []
    const wanted: number[] = []
    for (const { partition, owner } of this.#leases) {
      const isOurs = plan.get(partition) === this.#member
      if (this.#tokens.has(partition)) {
        if (!isOurs) surplus.push(partition)
      } else if (isOurs && (owner === undefined || !living.has(owner))) wanted.push(partition)
    }
    if (surplus.length > 0) await this.#giveUp(surplus)
    if (wanted.length > 0) await this.#claim(wanted)
  }

  async #claim(wanted: readonly number[]): Promise<void> {
    const { database, refresh, logger } = this.#ports
    const member = this.#member
    const rows = await database.query('SELECT * FROM $schema.claim($1, $2)', [
      member,
      int4Array(wanted),
    ])
    if (rows.length === 0) return
    // What the one before committed is known before this process goes on from it.
    await refresh()
    if (this.#member !== member) return
    for (const [partition, token] of rows) this.#tokens.set(Number(partition), Number(token))
    const own = new Map(rows.map(([partition, token]) => [Number(partition), Number(token)]))
    this.#leases = this.#leases.map(lease => {
      const token = own.get(lease.partition)
      return token === undefined ? lease : { ...lease, owner: member, token }
    })
    this.counters.leasesTaken += rows.length
    logger.info('partitions were taken over', { partitions: [...own.keys()].sort((a, b) => a - b) })
    this.#changed()
  }

  async #giveUp(partitions: readonly number[]): Promise<void> {
    const { database, clock, leaseMs, logger } = this.#ports
    if (partitions.length === 0) return
    for (const partition of partitions) this.#releasing.add(partition)
    try {
      const done = Promise.all(
        partitions.map(async partition => this.#candidacy?.onRelease(partition)),
      ).catch((error: unknown) => {
        logger.warn('a partition is given up in the middle of its work', { error })
      })
      let timer: Timer | undefined
      // Whoever takes too long is refused by the token: nothing is lost or doubled.
      const late = new Promise<void>(resolve => (timer = clock.after(leaseMs, resolve)))
      await Promise.race([done, late])
      timer?.cancel()
      for (const partition of partitions) this.#tokens.delete(partition)
      await database.query(
        'UPDATE $schema.leases SET owner = NULL WHERE owner = $1 AND partition = ANY ($2)',
        [this.#member, int4Array(partitions)],
      )
      this.counters.leasesGiven += partitions.length
    } finally {
      for (const partition of partitions) this.#releasing.delete(partition)
      this.#changed()
    }
    this.#ports.notify()
  }

  async #enter(): Promise<void> {
    const { logger } = this.#ports
    let member: string
    try {
      member = await enterBook(this.#ports)
    } catch (error) {
      if (!isPassing(error)) {
        this.#refusal = error
        this.#refusals.fail()
      }
      throw error
    }
    this.#refusals.succeed()
    logger.warn('this process was silent for so long that the others took it for dead', {
      member: this.#member,
    })
    this.#member = member
    this.counters.leasesLost += this.#tokens.size
    this.#tokens.clear()
    this.#changed()
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = this.#ports.clock.after(this.#beatMs, () => void this.#showLife())
  }

  async #showLife(): Promise<void> {
    await this.#quietly()
    if (!this.#refusals.isPausing) this.#schedule()
  }

  async #quietly(): Promise<void> {
    if (this.#refusals.isPausing) return
    try {
      await this.beat()
    } catch (error) {
      if (!this.#isClosed)
        this.#ports.logger.warn('no sign of life reached the database', { error })
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** The name that the book gives; without one, who may not be in it leaves no trace. */
async function enterBook({ database, admit }: LeasesPorts): Promise<string> {
  const [row] = await database.query(ENTER)
  const member = row?.[0] as string
  try {
    await admit()
  } catch (error) {
    await database.query('DELETE FROM $schema.members WHERE member = $1', [member])
    throw error
  }
  return member
}
