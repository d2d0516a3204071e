import { useState, type ReactNode } from 'react'
import {
  holdPerson,
  reasonText,
  sendEvent,
  type FeaturedPerson,
  type SlateItem,
} from '../../api.ts'
import { Action, Avatar, Pill } from '../../ui/index.tsx'
import { CHOICES, type Choice, type SurfaceName } from './choices.ts'
import { Past } from './past.tsx'
import { Slot } from './slot.tsx'
import { stopwatchMs, useSlate, type Shown } from './use-slate.ts'

const HISTORY_SHOWN = 6
const TABS: readonly (readonly [SurfaceName, string])[] = [
  ['home', 'Clips'],
  ['courses', 'Courses'],
]

/** What one person is shown, why, and the buttons to act as them. */
export function Desk(props: { person: FeaturedPerson; onActed: () => void }): ReactNode {
  const { person, onActed } = props
  const [surface, setSurface] = useState<SurfaceName>('home')
  const [failure, setFailure] = useState<string>()
  const [isBusy, setIsBusy] = useState(false)
  // Whoever is acted for changes by what the reader does, and by nothing else.
  const slate = useSlate({ person: person.id, surface, isLive: !person.isHeld })
  const { shown } = slate

  const act = async (choice: Choice, slot: SlateItem): Promise<void> => {
    setIsBusy(true)
    setFailure(undefined)
    try {
      if (!person.isHeld) await holdPerson(person.id, true)
      const startedMs = stopwatchMs()
      const position = await sendEvent(choice.type, choice.data(person.id, slot))
      await slate.load({ position, startedMs })
      onActed()
    } catch (reason) {
      setFailure(reasonText(reason))
    } finally {
      setIsBusy(false)
    }
  }
  const show = (name: SurfaceName): void => {
    slate.clear()
    setSurface(name)
  }
  const release = (): void => void holdPerson(person.id, false).then(onActed, () => undefined)
  const problem = failure ?? slate.error
  return (
    <section className="card">
      <Head person={person} surface={surface} onShow={show} />
      {problem !== undefined && <p className="notice">{problem}</p>}
      <p className="small soft desk-note" aria-live="polite">
        <Note shown={shown} isHeld={person.isHeld} />{' '}
        {person.isHeld && <Action onClick={release}>Give back to the simulator</Action>}
      </p>
      <ol className="slate">
        {(shown?.slate.items ?? []).map(slot => (
          <Slot
            key={slot.id}
            slot={slot}
            isNew={shown?.added.has(slot.id) === true}
            isBusy={isBusy}
            choices={CHOICES[surface]}
            onChoose={choice => void act(choice, slot)}
          />
        ))}
      </ol>
      <History shown={shown} />
      <Past person={person.id} />
    </section>
  )
}

function Head(props: {
  person: FeaturedPerson
  surface: SurfaceName
  onShow: (name: SurfaceName) => void
}): ReactNode {
  const { person } = props
  return (
    <div className="panel-head">
      <Avatar id={person.id} name={person.name} />
      <div className="text">
        <h2>{person.name}</h2>
        <div className="tastes">
          <span className="soft small">True tastes, hidden from the product:</span>
          {person.tastes.map(taste => (
            <span className="tag" key={taste.topic}>
              {taste.topic} {Math.round(taste.weight * 100)}%
            </span>
          ))}
        </div>
      </div>
      <div className="tabs">
        {TABS.map(([name, label]) => (
          <Action key={name} isPressed={props.surface === name} onClick={() => props.onShow(name)}>
            {label}
          </Action>
        ))}
      </div>
    </div>
  )
}

function Note(props: { shown: Shown | undefined; isHeld: boolean }): ReactNode {
  const { shown } = props
  if (shown?.tookMs !== undefined) {
    return (
      <Pill isWell>
        {Math.round(shown.tookMs)} ms from your click to a list that reflects it; {shown.added.size}{' '}
        new, {shown.dropped} gone
      </Pill>
    )
  }
  return props.isHeld
    ? 'The simulator leaves them to you.'
    : 'What they are shown now, and why in green; explored slots in orange. A button acts in their name.'
}

function History(props: { shown: Shown | undefined }): ReactNode {
  const history = props.shown?.slate.explanation?.history ?? []
  if (history.length === 0) return null
  return (
    <div className="history">
      <strong>What the list is based on, newest first</strong>
      {history.slice(0, HISTORY_SHOWN).map((done, index) => (
        <span className="line" key={`${index}-${done.id}`}>
          {done.title}
        </span>
      ))}
    </div>
  )
}
