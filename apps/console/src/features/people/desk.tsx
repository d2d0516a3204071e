import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react'
import {
  fetchSlate,
  holdPerson,
  sendEvent,
  type FeaturedPerson,
  type Slate,
  type SlateItem,
} from '../../api.ts'
import { Action, Avatar, Pill } from '../../ui/index.tsx'
import { formatMinutes } from '../../ui/format.ts'
import { titleOf, topicsOf } from '../catalogue/trending.tsx'

const SLATE_SIZE = 12
const POLL_MS = 3000
const HISTORY_SHOWN = 6
type SurfaceName = 'home' | 'courses'

interface Shown {
  readonly slate: Slate
  /** Ids that the list before this one did not have. */
  readonly added: ReadonlySet<string>
  /** Milliseconds from the click to the new list, when a click caused it. */
  readonly tookMs: number | undefined
  readonly dropped: number
}

interface Choice {
  readonly label: string
  readonly type: string
  data(person: string, slot: SlateItem): Readonly<Record<string, unknown>>
}

const CHOICES: Readonly<Record<SurfaceName, readonly Choice[]>> = {
  home: [
    {
      label: 'Watch',
      type: 'watched',
      data: (viewer, slot) => ({
        viewer,
        clip: slot.id,
        watchedMs: numberOf(slot, 'durationMs') || 30_000,
      }),
    },
    { label: 'Like', type: 'liked', data: (viewer, slot) => ({ viewer, clip: slot.id }) },
    { label: 'Hide', type: 'hid', data: (viewer, slot) => ({ viewer, clip: slot.id }) },
  ],
  courses: [
    { label: 'Enrol', type: 'enrolled', data: (learner, slot) => ({ learner, course: slot.id }) },
    {
      label: 'Study 20 min',
      type: 'studied',
      data: (learner, slot) => ({ learner, course: slot.id, minutes: 20 }),
    },
  ],
}

function numberOf(slot: SlateItem, field: string): number {
  const value = slot.attributes?.[field]
  return typeof value === 'number' ? value : 0
}

function metaOf(slot: SlateItem): string {
  const minutes = numberOf(slot, 'minutes') || numberOf(slot, 'durationMs') / 60_000
  const level = slot.attributes?.['level']
  return [topicsOf(slot.attributes), typeof level === 'string' ? level : '', formatMinutes(minutes)]
    .filter(part => part !== '')
    .join(' · ')
}

/** What one person is shown, why, and the buttons to act as them. */
export function Desk(props: { person: FeaturedPerson; onActed: () => void }): ReactNode {
  const { person, onActed } = props
  const [surface, setSurface] = useState<SurfaceName>('home')
  const [shown, setShown] = useState<Shown>()
  const [error, setError] = useState<string>()
  const [isBusy, setIsBusy] = useState(false)
  const previous = useRef<readonly string[]>([])
  const round = useRef(0)

  const load = useCallback(
    async (after?: { position: string; startedMs: number }) => {
      const mine = ++round.current
      try {
        const { body } = await fetchSlate({
          surface,
          person: person.id,
          n: SLATE_SIZE,
          ...(after && { atLeast: after.position }),
        })
        if (mine !== round.current) return
        const before = previous.current
        const ids = body.items.map(slot => slot.id)
        const isFirst = before.length === 0
        setShown({
          slate: body,
          added: new Set(isFirst ? [] : ids.filter(id => !before.includes(id))),
          dropped: before.filter(id => !ids.includes(id)).length,
          tookMs: after === undefined ? undefined : performance.now() - after.startedMs,
        })
        previous.current = ids
        setError(undefined)
      } catch (reason) {
        if (mine === round.current)
          setError(reason instanceof Error ? reason.message : String(reason))
      }
    },
    [person.id, surface],
  )

  useEffect(() => {
    previous.current = []
    setShown(undefined)
    void load()
  }, [load])
  // Whoever is acted for changes by what the reader does, and by nothing else.
  useEffect(() => {
    if (person.isHeld) return undefined
    const timer = setInterval(() => void load(), POLL_MS)
    return () => clearInterval(timer)
  }, [load, person.isHeld])

  const act = async (choice: Choice, slot: SlateItem): Promise<void> => {
    setIsBusy(true)
    try {
      if (!person.isHeld) await holdPerson(person.id, true)
      const startedMs = performance.now()
      const position = await sendEvent(choice.type, choice.data(person.id, slot))
      await load({ position, startedMs })
      onActed()
    } catch (reason) {
      setError(reason instanceof Error ? reason.message : String(reason))
    } finally {
      setIsBusy(false)
    }
  }
  const history = shown?.slate.explanation?.history ?? []
  const release = (): void => void holdPerson(person.id, false).then(onActed, () => undefined)

  return (
    <section className="card">
      <div className="panel-head">
        <Avatar id={person.id} name={person.name} />
        <div style={{ minWidth: 0 }}>
          <h2>{person.name}</h2>
          <div className="tastes" title="Known to the simulator only">
            {person.tastes.map(taste => (
              <span className="tag" key={taste.topic}>
                {taste.topic} {Math.round(taste.weight * 100)}%
              </span>
            ))}
          </div>
        </div>
        <div className="tabs">
          {(['home', 'courses'] as const).map(name => (
            <Action key={name} isPressed={surface === name} onClick={() => setSurface(name)}>
              {name === 'home' ? 'Clips' : 'Courses'}
            </Action>
          ))}
        </div>
      </div>
      {error !== undefined && <p className="notice">{error}</p>}
      <p className="small soft" style={{ marginBottom: 10 }} aria-live="polite">
        {shown?.tookMs !== undefined ? (
          <Pill isWell>
            {Math.round(shown.tookMs)} ms from your click to a list that reflects it;{' '}
            {shown.added.size} new, {shown.dropped} gone
          </Pill>
        ) : person.isHeld ? (
          'The simulator leaves them to you.'
        ) : (
          'What they are shown now, and why. A button below acts in their name.'
        )}{' '}
        {person.isHeld && <Action onClick={release}>Give back to the simulator</Action>}
      </p>
      <ol className="slate">
        {(shown?.slate.items ?? []).map(slot => (
          <li
            key={slot.id}
            className={`slot ${shown?.added.has(slot.id) === true ? 'is-new' : ''} ${slot.isExplored === true ? 'is-exploring' : ''}`}
          >
            <h3>{titleOf(slot.attributes, slot.id)}</h3>
            <div className="meta line">{metaOf(slot)}</div>
            <div className="why" title={(slot.reasons ?? []).join('; ')}>
              {slot.reasons?.[0] ?? ''}
            </div>
            <div className="actions">
              {CHOICES[surface].map(choice => (
                <Action
                  key={choice.label}
                  isDisabled={isBusy}
                  label={`${choice.label}: ${titleOf(slot.attributes, slot.id)}`}
                  onClick={() => void act(choice, slot)}
                >
                  {choice.label}
                </Action>
              ))}
            </div>
          </li>
        ))}
      </ol>
      {history.length > 0 && (
        <div className="history">
          <strong>What the product goes by, newest first</strong>
          {history.slice(0, HISTORY_SHOWN).map((done, index) => (
            <span className="line" key={`${index}-${done.id}`}>
              {done.title}
            </span>
          ))}
        </div>
      )}
    </section>
  )
}
