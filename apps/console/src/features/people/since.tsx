import { useState, type ReactNode } from 'react'
import {
  fetchCausesSince,
  fetchLastAnswer,
  reasonText,
  type Cause,
  type PastAnswer,
} from '../../api.ts'
import { Action } from '../../ui/index.tsx'
import { formatCount } from '../../ui/format.ts'

const CAUSES_SHOWN = 5

interface Changed {
  /** Of the items shown then, how many are in the newest list. */
  readonly still: number
  readonly causes: readonly Cause[]
}

/** What became of a list since, and what changed of the person: asked for, since it folds their events again. */
export function Since(props: {
  person: string
  atMs: number
  answer: PastAnswer | undefined
}): ReactNode {
  const { person, atMs, answer } = props
  const [changed, setChanged] = useState<Changed>()
  const [error, setError] = useState<string>()
  const [isBusy, setIsBusy] = useState(false)
  const ask = async (): Promise<void> => {
    setIsBusy(true)
    setError(undefined)
    try {
      const [causes, newest] = await Promise.all([
        fetchCausesSince(person, atMs),
        fetchLastAnswer(person),
      ])
      const names = new Set(newest?.items.map(({ kind, id }) => `${kind}/${id}`))
      const shown = answer?.items ?? []
      const still = shown.filter(({ kind, id }) => names.has(`${kind}/${id}`)).length
      setChanged({ still, causes })
    } catch (reason) {
      setError(reasonText(reason))
    } finally {
      setIsBusy(false)
    }
  }
  return (
    <div className="since small" aria-live="polite">
      <Action isDisabled={isBusy} onClick={() => void ask()}>
        {isBusy ? 'Looking …' : 'What changed since then?'}
      </Action>
      {error !== undefined && (
        <p role="alert" className="warm">
          {error}
        </p>
      )}
      {changed !== undefined && (
        <>
          {answer !== undefined && (
            <p>
              {changed.still} of the {answer.items.length} shown then are in their newest list.
            </p>
          )}
          {changed.causes.length === 0 ? (
            <p className="soft">What is known of them is what it was.</p>
          ) : (
            <ol className="plain">
              {changed.causes.slice(0, CAUSES_SHOWN).map(cause => (
                <li key={`${cause.kind} ${cause.name}`}>{textOf(cause)}</li>
              ))}
            </ol>
          )}
        </>
      )}
    </div>
  )
}

const NAMES: Readonly<Record<string, string>> = {
  traffic: 'New events',
  changeset: 'Taken back or corrected',
  merge: 'Merged or split',
  definition: 'Another version',
}

/** A cause in words: what it is, and how much of the change it is. */
function textOf({ kind, name, records, effects }: Cause): string {
  const what = NAMES[kind] ?? kind
  const events = records === undefined ? '' : `${formatCount(records)} `
  const signals = effects.find(({ field }) => field === 'signals')?.amount
  const interests = effects.filter(({ field }) => field.startsWith('interests')).length
  const parts = [
    ...(signals === undefined ? [] : [`${signals > 0 ? '+' : ''}${formatCount(signals)} signals`]),
    ...(interests === 0 ? [] : [`${formatCount(interests)} interests`]),
    ...effects
      .filter(({ field }) => field.startsWith('attributes.'))
      .map(({ field }) => field.slice('attributes.'.length)),
  ]
  return `${what}: ${[`${events}${name}`, ...parts].join(', ')}`
}
