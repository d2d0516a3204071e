/** Who should hold which lease: the same for everybody who sees the same members and leases. */

/** A process as the others see it. */
export interface Member {
  readonly name: string
  /** Undefined while it does not stand for leases. */
  readonly lineage: string | undefined
  readonly address: string | undefined
}

/** A lease as it is in the database. */
export interface Lease {
  readonly partition: number
  readonly owner: string | undefined
  readonly token: number
}

/**
 * The wanted holder of each lease, by partition. Members are in the order in which they joined; those
 * of the lineage of the last one share the leases evenly. Whoever holds a lease keeps it as long as
 * that is within its share, so that few change hands.
 */
export function planLeases(
  leases: readonly Lease[],
  members: readonly Member[],
): ReadonlyMap<number, string> {
  const plan = new Map<number, string>()
  const standing = members.filter(({ lineage }) => lineage !== undefined)
  const lineage = standing.at(-1)?.lineage
  const eligible = standing.filter(member => member.lineage === lineage)
  const shares = new Map<string, number>()
  eligible.forEach(({ name }, index) => {
    const isFirst = index < leases.length % eligible.length
    shares.set(name, Math.floor(leases.length / eligible.length) + (isFirst ? 1 : 0))
  })
  const give = (partition: number, name: string): void => {
    plan.set(partition, name)
    shares.set(name, (shares.get(name) as number) - 1)
  }
  const hasRoom = (name: string): boolean => (shares.get(name) ?? 0) > 0
  for (const { partition, owner } of leases) {
    if (owner !== undefined && hasRoom(owner)) give(partition, owner)
  }
  for (const { partition } of leases) {
    const next = plan.has(partition) ? undefined : eligible.find(({ name }) => hasRoom(name))
    if (next !== undefined) give(partition, next.name)
  }
  return plan
}
