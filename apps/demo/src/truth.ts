/** What a changed list would truly have brought: what the simulator knows, and nobody else can. */
import type { Audience } from '@millrace/sim/audience'
import type { Millrace } from 'millrace'

/** An answer that another definition gives otherwise, as `millrace backtest --out` writes it. */
export interface Difference {
  readonly person?: string
  readonly atMs: number
  readonly dropped: readonly { readonly item: string; readonly slot: number }[]
  readonly added: readonly { readonly item: string; readonly slot: number }[]
  readonly moved: readonly { readonly item: string; readonly from: number; readonly to: number }[]
}

/** What the truth is read from. */
export interface TruthPorts {
  readonly audience: Audience
  readonly log: Pick<Millrace['log'], 'history'>
  /** When interests are looked at; default: the audience's now. */
  readonly momentOf?: (atMs: number) => number
}

/** How many more clips the people would have started, by the lists that differ. Whoever is not of the audience is left out. */
export async function gainOf(
  { audience, log, momentOf = () => audience.nowMs }: TruthPorts,
  differences: readonly Difference[],
): Promise<number> {
  const { oracle } = audience
  const known = new Set(audience.people().map(({ id }) => id))
  const ours = differences.filter(({ person }) => person !== undefined && known.has(person))
  const people = [...new Set(ours.map(({ person }) => person as string))]
  const watched = new Map<string, number>()
  for (const person of people) {
    for await (const { type, data, eventTimeMs } of log.history({
      stream: 'person',
      keys: [person],
    })) {
      if (type !== 'watched') continue
      const name = `${person} ${(data as { readonly clip: string }).clip}`
      watched.set(name, Math.min(eventTimeMs, watched.get(name) ?? Infinity))
    }
  }
  let gain = 0
  for (const { person = '', atMs, dropped, added, moved } of ours) {
    const started = (item: string, slot: number): number => {
      const clip = item.slice(item.indexOf('/') + 1)
      const isMet = (watched.get(`${person} ${clip}`) ?? Infinity) <= atMs
      const when = { atMs: momentOf(atMs), isMet }
      return oracle.examineChance(slot - 1) * oracle.startChance(person, clip, when)
    }
    for (const { item, slot } of added) gain += started(item, slot)
    for (const { item, slot } of dropped) gain -= started(item, slot)
    for (const { item, from, to } of moved) gain += started(item, to) - started(item, from)
  }
  return gain
}
