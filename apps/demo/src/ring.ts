/** A ring of bots: accounts that play a few clips over and over. */
import type { Audience } from '@millrace/sim/audience'

const CLIPS_PLAYED = 12
const PLAYS_PER_BOT = 100
const PLAYED_MS = 60_000

/** What it does. */
export interface Ring {
  readonly bots: readonly string[]
  readonly clips: readonly string[]
  readonly events: readonly {
    readonly type: 'watched'
    readonly at: number
    readonly data: {
      readonly viewer: string
      readonly clip: string
      readonly watchedMs: number
    }
  }[]
}

/** The clips that people like least, by what the simulator knows of the first of them. */
export function unlovedClips(audience: Audience): readonly string[] {
  const people = audience.people().slice(0, 40)
  const liking = (clip: string): number =>
    people.reduce((sum, { id }) => sum + audience.oracle.affinity(id, clip, audience.nowMs), 0)
  return audience
    .items()
    .filter(({ kind }) => kind === 'clip')
    .map(({ id }) => ({ id, liking: liking(id) }))
    .sort((a, b) => a.liking - b.liking)
    .slice(0, CLIPS_PLAYED)
    .map(({ id }) => id)
}

/** A ring that plays now, each bot and each clip in turn. */
export function createRing(
  audience: Audience,
  { events, nowMs }: { readonly events: number; readonly nowMs: number },
): Ring {
  const clips = unlovedClips(audience)
  const bots = Array.from(
    { length: Math.ceil(events / PLAYS_PER_BOT) },
    (_, bot) => `bot-${bot + 1}`,
  )
  return {
    bots,
    clips,
    events: Array.from({ length: events }, (_, play) => ({
      type: 'watched',
      at: nowMs,
      data: {
        viewer: bots[play % bots.length] as string,
        clip: clips[Math.floor(play / bots.length) % clips.length] as string,
        watchedMs: PLAYED_MS,
      },
    })),
  }
}
