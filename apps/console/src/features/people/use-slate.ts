import { useCallback, useEffect, useRef, useState } from 'react'
import { fetchSlate, reasonText, type Slate } from '../../api.ts'
import type { SurfaceName } from './choices.ts'

const SLATE_SIZE = 12
const POLL_MS = 3000

/** A list with what changed against the one before it. */
export interface Shown {
  readonly slate: Slate
  /** Ids that the list before this one did not have. */
  readonly added: ReadonlySet<string>
  readonly dropped: number
  /** Milliseconds from the click to the new list, when a click caused it. */
  readonly tookMs: number | undefined
}

/** A click that a list must reflect. */
export interface Cause {
  readonly position: string
  readonly startedMs: number
}

/** Time for measuring how long something took. */
export const stopwatchMs = (): number => performance.now()

/** The list of a surface for a person, asked for again while `isLive`. */
export function useSlate(options: { person: string; surface: SurfaceName; isLive: boolean }): {
  readonly shown: Shown | undefined
  readonly error: string | undefined
  /** Asks now; waits until the answer reflects the cause. */
  load(cause?: Cause): Promise<void>
  /** Forgets the list, when another surface is chosen. */
  clear(): void
} {
  const { person, surface, isLive } = options
  const [shown, setShown] = useState<Shown>()
  const [error, setError] = useState<string>()
  const previous = useRef<readonly string[]>([])
  const round = useRef(0)
  const load = useCallback(
    async (cause?: Cause) => {
      const mine = ++round.current
      const atLeast = cause && { atLeast: cause.position }
      try {
        const { body } = await fetchSlate({ surface, person, n: SLATE_SIZE, ...atLeast })
        if (mine !== round.current) return
        setShown(compare(previous.current, body, cause))
        previous.current = body.items.map(slot => slot.id)
        setError(undefined)
      } catch (reason) {
        if (mine === round.current) setError(reasonText(reason))
      }
    },
    [person, surface],
  )
  useEffect(() => {
    void load()
  }, [load])
  useEffect(() => {
    if (!isLive) return undefined
    const timer = setInterval(() => void load(), POLL_MS)
    return () => clearInterval(timer)
  }, [load, isLive])
  const clear = (): void => {
    previous.current = []
    setShown(undefined)
  }
  return { shown, error, load, clear }
}

function compare(before: readonly string[], slate: Slate, cause: Cause | undefined): Shown {
  const ids = slate.items.map(slot => slot.id)
  return {
    slate,
    added: new Set(before.length === 0 ? [] : ids.filter(id => !before.includes(id))),
    dropped: before.filter(id => !ids.includes(id)).length,
    tookMs: cause === undefined ? undefined : stopwatchMs() - cause.startedMs,
  }
}
