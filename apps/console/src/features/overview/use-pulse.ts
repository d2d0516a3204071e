import { EventSourceParserStream } from 'eventsource-parser/stream'
import { useEffect, useState } from 'react'
import { fetchAllowed } from '../../access.ts'

/** One beat of `GET /v1/live`; see the server's reference. */
export interface Pulse {
  readonly atMs: number
  readonly eventsPerSecond: number
  readonly events: number
  readonly lagRecords: number
  readonly freshnessMs: number | null
  readonly logBytes: number
  readonly residentBytes: number
  readonly warnings: readonly string[]
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

const RETRY_MS = 1000

/** Beats from one connection until it ends. A browser's own EventSource cannot show a key. */
async function* beatsOf(signal: AbortSignal): AsyncGenerator<Pulse> {
  const { ok, body } = await fetchAllowed('/v1/live', { signal })
  if (!ok || body === null) return
  const reader = body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    if (value.event === 'pulse') yield JSON.parse(value.data) as Pulse
  }
}

/** Listens to the server's pulse; connects again when the connection ends. */
export function usePulse(): PulseHistory {
  const [history, setHistory] = useState<PulseHistory>({
    last: undefined,
    times: [],
    rates: [],
    isConnected: true,
  })
  useEffect(() => {
    const abort = new AbortController()
    const { signal } = abort
    let timer: ReturnType<typeof setTimeout> | undefined
    const listen = async (): Promise<void> => {
      try {
        for await (const pulse of beatsOf(signal)) setHistory(before => after(before, pulse))
      } catch {
        // The state below says it.
      }
      if (signal.aborted) return
      setHistory(before => ({ ...before, isConnected: false }))
      timer = setTimeout(() => void listen(), RETRY_MS)
    }
    void listen()
    return () => {
      abort.abort()
      clearTimeout(timer)
    }
  }, [])
  return history
}

function after(before: PulseHistory, pulse: Pulse): PulseHistory {
  // The first beat has no interval to count over.
  const isFirst = before.last === undefined
  return {
    last: pulse,
    times: isFirst ? [] : [...before.times, pulse.atMs / 1000].slice(-BEATS_KEPT),
    rates: isFirst ? [] : [...before.rates, pulse.eventsPerSecond].slice(-BEATS_KEPT),
    isConnected: true,
  }
}
