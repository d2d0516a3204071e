import { useEffect, useState, type ReactNode } from 'react'
import { fetchPersonAt, reasonText, type PastAnswer, type PastPerson } from '../../api.ts'
import { formatAgo } from '../../ui/format.ts'
import { Since } from './since.tsx'

const SPAN_MS = 15 * 60_000
const STEPS = 300
/** The reader lets go of the slider for so long before the server is asked. */
const PAUSE_MS = 150
const TITLES_SHOWN = 6

/** A slider over the last minutes: what a person was shown, and what was known of them then. */
export function Past(props: { person: string }): ReactNode {
  const [isOpen, setIsOpen] = useState(false)
  return (
    <details className="past" onToggle={event => setIsOpen(event.currentTarget.open)}>
      <summary>What they were shown before</summary>
      {isOpen && <Slider person={props.person} />}
    </details>
  )
}

interface Then {
  readonly atMs: number
  readonly person: PastPerson | undefined
  readonly answer: PastAnswer | undefined
}

function Slider(props: { person: string }): ReactNode {
  const { person } = props
  const [endMs] = useState(() => Date.now())
  const [step, setStep] = useState(STEPS)
  const [then, setThen] = useState<Then>()
  const [error, setError] = useState<string>()
  const atMs = Math.round(endMs - SPAN_MS * (1 - step / STEPS))
  useEffect(() => {
    let isWanted = true
    const timer = setTimeout(() => {
      fetchPersonAt(person, atMs).then(
        found => {
          if (!isWanted) return
          setThen({ atMs, ...found })
          setError(undefined)
        },
        (reason: unknown) => isWanted && setError(reasonText(reason)),
      )
    }, PAUSE_MS)
    return () => {
      isWanted = false
      clearTimeout(timer)
    }
  }, [person, atMs])
  const label = `${new Date(atMs).toLocaleTimeString()}, ${formatAgo(atMs, endMs)}`
  return (
    <>
      <label className="small">
        As of {label}
        <input
          type="range"
          min={0}
          max={STEPS}
          value={step}
          aria-valuetext={label}
          onChange={event => setStep(Number(event.currentTarget.value))}
        />
      </label>
      {error !== undefined && (
        <p role="alert" className="warm small">
          {error}
        </p>
      )}
      {then === undefined ? (
        error === undefined && <p className="soft small">Reading the past …</p>
      ) : (
        <Shown then={then} isStale={then.atMs !== atMs} endMs={endMs} />
      )}
      {then !== undefined && (
        <Since key={then.atMs} person={person} atMs={then.atMs} answer={then.answer} />
      )}
    </>
  )
}

function Shown(props: { then: Then; isStale: boolean; endMs: number }): ReactNode {
  const { person, answer } = props.then
  return (
    <div className={`then small ${props.isStale ? 'is-stale' : ''}`}>
      <div>
        <strong>Shown last</strong>
        {answer === undefined ? (
          <p className="soft">Nothing had been shown to them by then.</p>
        ) : (
          <>
            <p className="soft">{formatAgo(answer.atMs, props.endMs)}</p>
            <ol className="plain">
              {answer.items.slice(0, TITLES_SHOWN).map(item => (
                <li className="line" key={`${item.kind}/${item.id}`}>
                  {item.title}
                </li>
              ))}
            </ol>
          </>
        )}
      </div>
      <div>
        <strong>Known of them</strong>
        {person === undefined ? (
          <p className="soft">Nothing was known of them.</p>
        ) : (
          <>
            <p className="soft">{person.signals} signals</p>
            <ol className="plain">
              {person.interests.slice(0, TITLES_SHOWN).map(({ kind, id, title }) => (
                <li className="line" key={`${kind}/${id}`}>
                  {title}
                </li>
              ))}
            </ol>
          </>
        )}
      </div>
    </div>
  )
}
