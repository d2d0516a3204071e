import { useEffect, useState } from 'react'

/** One beat of `GET /v1/live`; see the server's reference. */
export interface Pulse {
  readonly atMs: number
  readonly eventsPerSecond: number
  readonly events: number
  readonly lagRecords: number
  readonly freshnessMs: number | null
  readonly logBytes: number
  readonly residentBytes: number
  readonly folds: readonly {
    readonly name: string
    readonly state: string
    readonly keys: number
    readonly parkedKeys: number
  }[]
}

/** The newest beat with what came before it. */
export interface PulseHistory {
  readonly last: Pulse | undefined
  /** Seconds since the epoch. */
  readonly times: readonly number[]
  readonly rates: readonly number[]
  readonly isConnected: boolean
}

const BEATS_KEPT = 120

/** Listens to the server's pulse; the browser reconnects by itself. */
export function usePulse(): PulseHistory {
  const [history, setHistory] = useState<PulseHistory>({
    last: undefined,
    times: [],
    rates: [],
    isConnected: true,
  })
  useEffect(() => {
    const source = new EventSource('/v1/live')
    source.addEventListener('pulse', message => {
      const pulse = JSON.parse(message.data as string) as Pulse
      setHistory(before => {
        // The first beat has no interval to count over.
        const isFirst = before.last === undefined
        return {
          last: pulse,
          times: isFirst ? [] : [...before.times, pulse.atMs / 1000].slice(-BEATS_KEPT),
          rates: isFirst ? [] : [...before.rates, pulse.eventsPerSecond].slice(-BEATS_KEPT),
          isConnected: true,
        }
      })
    })
    source.addEventListener('error', () => {
      setHistory(before => ({ ...before, isConnected: false }))
    })
    return () => source.close()
  }, [])
  return history
}
