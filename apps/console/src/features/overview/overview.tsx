import type { ReactNode } from 'react'
import { signOut, useAccess } from '../../access.ts'
import { Action, LiveChart, Pill, Tile } from '../../ui/index.tsx'
import { formatBytes, formatCount } from '../../ui/format.ts'
import { usePulse, type Pulse } from './use-pulse.ts'

/** What goes on in the server, second by second. */
export function Overview(): ReactNode {
  const { key } = useAccess()
  const { last, times, rates, isConnected } = usePulse()
  const parked = last?.folds.reduce((sum, fold) => sum + fold.parkedKeys, 0) ?? 0
  const isWell =
    isConnected &&
    last !== undefined &&
    isCaughtUp(last) &&
    parked === 0 &&
    last.warnings.length === 0
  return (
    <>
      <header className="masthead">
        <h1>Millrace</h1>
        <Pill isWell={isWell}>{stateOf(last, isConnected, parked)}</Pill>
        <nav className="small">
          <a href="/docs">API</a>
          {key === undefined ? (
            <a href="/metrics">Metrics</a>
          ) : (
            <Action onClick={signOut}>Sign out</Action>
          )}
        </nav>
      </header>
      {last !== undefined && last.warnings.length > 0 && (
        <section className="card" role="status" aria-label="To look at">
          <ul className="small">
            {last.warnings.map(warning => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </section>
      )}
      <div className="tiles">
        <Tile
          label="Throughput"
          value={last ? formatCount(rates.at(-1) ?? 0) : '–'}
          unit="events/s"
          note="acknowledged after fsync"
        />
        <Tile label="Events" value={last ? formatCount(last.events) : '–'} note="since the start" />
        <Tile
          label="Lag"
          value={last ? formatCount(last.lagRecords) : '–'}
          unit="records"
          note={`of the slowest of ${last?.folds.length ?? 0} views`}
        />
        <Tile
          label="Freshness"
          value={typeof last?.freshnessMs === 'number' ? last.freshnessMs.toFixed(1) : '–'}
          unit="ms"
          note="event to all views"
        />
        <Tile
          label="Memory"
          value={last ? formatBytes(last.residentBytes) : '–'}
          note={last ? `log on disk: ${formatBytes(last.logBytes)}` : ''}
        />
      </div>
      <section className="card chart">
        <p className="soft small">Events per second, the last two minutes</p>
        <LiveChart times={times} values={rates} label="Events per second" />
      </section>
    </>
  )
}

const isCaughtUp = (pulse: Pulse): boolean => pulse.folds.every(fold => fold.state === 'live')

function stateOf(last: Pulse | undefined, isConnected: boolean, parked: number): string {
  if (!isConnected) return 'no connection, trying again'
  if (last === undefined) return 'connecting'
  if (!isCaughtUp(last)) return 'catching up'
  if (parked > 0) return `${parked} keys parked`
  const { length } = last.warnings
  return length === 0 ? 'live' : `live, ${length} to look at`
}
