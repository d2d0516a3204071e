import { useCallback, useEffect, useRef, useState } from 'react'

/** The state of something that is asked for again and again. */
export interface Polled<T> {
  readonly value: T | undefined
  readonly error: string | undefined
  /** Asks now. */
  refresh(): void
}

/** Asks at once and then every `intervalMs`; answers that come late are forgotten. */
export function usePolling<T>(ask: () => Promise<T>, intervalMs: number): Polled<T> {
  const [value, setValue] = useState<T>()
  const [error, setError] = useState<string>()
  const round = useRef(0)
  const refresh = useCallback(() => {
    const mine = ++round.current
    ask().then(
      answer => {
        if (mine !== round.current) return
        setValue(answer)
        setError(undefined)
      },
      (reason: unknown) => {
        if (mine === round.current)
          setError(reason instanceof Error ? reason.message : String(reason))
      },
    )
  }, [ask])
  useEffect(() => {
    refresh()
    const timer = setInterval(refresh, intervalMs)
    return () => {
      clearInterval(timer)
      round.current += 1
    }
  }, [refresh, intervalMs])
  return { value, error, refresh }
}
