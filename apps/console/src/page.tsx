import { useCallback, useEffect, useState, type ReactNode } from 'react'
import { useAccess } from './access.ts'
import { fetchAudience } from './api.ts'
import { SignIn } from './features/access/sign-in.tsx'
import { Trending } from './features/catalogue/trending.tsx'
import { Overview } from './features/overview/overview.tsx'
import { Audience } from './features/people/audience.tsx'
import { Desk } from './features/people/desk.tsx'
import { Tour } from './features/rewind/tour.tsx'
import { useNow } from './ui/use-now.ts'
import { usePolling } from './ui/use-polling.ts'

const POLL_MS = 2000

const personInAddress = (): string | undefined =>
  decodeURIComponent(location.hash.slice(1)) || undefined

/** The person in the address (`#p12`), so that a link shows what was on the screen. */
function useSelected(): [string | undefined, (id: string) => void] {
  const [selected, setSelected] = useState(personInAddress)
  useEffect(() => {
    const follow = (): void => setSelected(personInAddress())
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  return [selected, id => (location.hash = encodeURIComponent(id))]
}

/** The page, or the question for a key. */
export function Page(): ReactNode {
  const { key, refusal } = useAccess()
  return refusal === undefined ? <Product key={key ?? ''} /> : <SignIn reason={refusal} />
}

/** The first page: what goes on, a few people, and the desk of one of them. */
function Product(): ReactNode {
  const [selected, select] = useSelected()
  const ask = useCallback(() => fetchAudience(), [])
  const { value: people, refresh } = usePolling(ask, POLL_MS)
  const person = people?.find(one => one.id === selected) ?? people?.[0]
  const nowMs = useNow(POLL_MS)
  return (
    <main className="page">
      <Overview />
      {person !== undefined && <Tour person={person.id} />}
      {people !== undefined && (
        <div className="columns">
          <Audience people={people} selected={person?.id} nowMs={nowMs} onSelect={select} />
          {person !== undefined && <Desk key={person.id} person={person} onActed={refresh} />}
          <div className="stack">
            <Trending
              kind="clip"
              title="Trending clips"
              note="By decayed plays, judged from the newest event."
              n={8}
            />
            <Trending kind="course" title="Trending courses" note="The same, for courses." n={6} />
          </div>
        </div>
      )}
    </main>
  )
}
