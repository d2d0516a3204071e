/**
 * Which of several processes over one log commits the steps of a partition. All of them append
 * events and read everything; the steps of folds on the partitions with one number (of all streams)
 * are committed by one process at a time, which holds the lease of that number.
 *
 * Promise: a step is committed only while its process holds the lease that it was made under. The
 * log checks the fencing token of the lease in the transaction of the step, so a process that was
 * paused or cut off cannot commit late, whatever it believes (LEASE_LOST).
 */

/** One lease. */
export interface LeaseInfo {
  /** The number of the partitions, in all streams, that it is about. */
  readonly partition: number
  /** The process that holds it; undefined while nobody does. */
  readonly owner: string | undefined
  /** Where that process answers, when it has said so. */
  readonly address: string | undefined
  /** Grows each time that the lease goes to somebody. */
  readonly token: number
  readonly isOwn: boolean
}

/** A process that stands for leases. */
export interface MemberInfo {
  readonly name: string
  /** Where it answers, when it has said so. */
  readonly address: string | undefined
}

/** How a process takes part. */
export interface Candidacy {
  /**
   * What its folds emit, as a text. Where processes differ in it, those that are like the one that
   * joined last get the leases: in a rolling change of the definition the new one takes over at once.
   */
  readonly lineage: string
  /**
   * Called before a lease is given up to another process: resolves when nothing more is on its way
   * under it. It is not waited for longer than a lease lasts.
   */
  readonly onRelease: (partition: number) => Promise<void>
}

/** The leases as one process sees them. */
export interface Leases {
  /** The name of this process; another one after it was taken for dead. */
  readonly member: string
  /** All processes that stand for leases, as they were seen last. */
  members(): readonly MemberInfo[]
  /** The same, as the log has it at the call. */
  census(): Promise<readonly MemberInfo[]>
  /**
   * The fencing token under which this process commits steps of the partitions with that number;
   * undefined while it should not. With another token a new term begins: what is on its way under the
   * former one is refused.
   */
  tokenOf(partition: number): number | undefined
  /** Takes leases from now on; resolves after the first were taken, if any were free. */
  stand(candidacy: Candidacy): Promise<void>
  /** Gives up all leases at once and takes no more: others go on before this process has ended. */
  leave(): Promise<void>
  /** Calls `listener` after tokens may have changed; returns how to stop. */
  onChange(listener: () => void): () => void
  /** Resolves when this process knows all that was durable at the call. */
  refresh(): Promise<void>
  /** Tells the others where this process answers. */
  announce(address: string): void
  /** All leases by partition, as they were seen last. */
  list(): readonly LeaseInfo[]
}
