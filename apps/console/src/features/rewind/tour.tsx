import { useState, type ReactNode } from 'react'
import { Action, Card } from '../../ui/index.tsx'
import { formatCount } from '../../ui/format.ts'
import { titleOf } from '../catalogue/trending.tsx'
import type { DryRun, EventBehind, Prediction, Ring } from './requests.ts'
import { useTour, type Tour as TourSteps } from './use-tour.ts'

const EVENTS_SHOWN = 5
const SAMPLES_SHOWN = 2

/** The story of the product as steps that really run on this server; `person` is asked for a list. */
export function Tour(props: { person: string }): ReactNode {
  const [isOpen, setIsOpen] = useState(false)
  return (
    <Card
      title="Rewind"
      note="A mistake is found, taken back with its consequences, and a change is tried on the past. Everything below really happens on this server."
      className="tour"
    >
      {isOpen ? (
        <Steps person={props.person} />
      ) : (
        <p>
          <Action onClick={() => setIsOpen(true)}>Begin the tour</Action>
        </p>
      )}
    </Card>
  )
}

function Steps(props: { person: string }): ReactNode {
  const tour = useTour(props.person)
  const { ring, why, plan, changeset, prediction } = tour.state
  return (
    <ol className="steps">
      <Step
        tour={tour}
        name="letIn"
        title="A ring of bots"
        text="A few dozen accounts play twelve clips that nobody likes, over and over. Watch what trends."
        action={ring === undefined ? 'Let them in' : 'Let more in'}
        onAct={tour.letIn}
      >
        {ring !== undefined && (
          <p>
            {formatCount(ring.events)} plays by {ring.bots.length} accounts are in the log.
          </p>
        )}
      </Step>
      <Step
        tour={tour}
        name="ask"
        title="Why is that trending?"
        text="An answer is asked for the events behind one of its figures."
        action="Ask"
        onAct={tour.ask}
        isReady={ring !== undefined}
      >
        {ring !== undefined && why !== undefined && (
          <Behind
            ring={ring}
            events={why.events}
            title={titleOf(why.item.attributes, why.item.id)}
          />
        )}
      </Step>
      <Step
        tour={tour}
        name="plan"
        title="What would it change to take it back?"
        text="A changeset is planned and run dry. Nothing is changed yet."
        action="Plan and run dry"
        onAct={tour.plan}
        isReady={ring !== undefined && changeset === undefined}
      >
        {plan !== undefined && <Consequences plan={plan} />}
      </Step>
      <Run tour={tour} />
      <Step
        tour={tour}
        name="predict"
        title="Try a change on the past"
        text="All lists of the home page that this server gave are given again by a changed rule, each as of its own moment."
        action="Backtest"
        onAct={tour.predict}
      >
        {prediction !== undefined && <Gain prediction={prediction} />}
      </Step>
    </ol>
  )
}

/** The changeset: applied, undone, applied again. */
function Run(props: { tour: TourSteps }): ReactNode {
  const { tour } = props
  const { plan, changeset } = tour.state
  const isApplied = changeset?.run?.hasEnded === true && changeset.state === 'applied'
  const isUndone = changeset?.run?.hasEnded === true && changeset.state === 'undone'
  return (
    <Step
      tour={tour}
      name="run"
      title="Take it back"
      text="Every view gives up what followed from these events. What people did because of the poisoned lists stays."
      action={isApplied ? 'Undo' : isUndone ? 'Apply again' : 'Apply'}
      onAct={() => tour.run(isApplied ? 'undo' : 'apply')}
      isReady={plan !== undefined}
    >
      {changeset !== undefined && (
        <p role="status">
          {changeset.run?.hasEnded === false
            ? `Under way: ${formatCount(changeset.run.processed)} of ${formatCount(changeset.run.total)}.`
            : `${isApplied ? 'Applied' : isUndone ? 'Undone' : changeset.state}: ${formatCount(changeset.applied)} of ${formatCount(changeset.effects)} events are retracted.`}
        </p>
      )}
    </Step>
  )
}

function Step(props: {
  tour: TourSteps
  name: string
  title: string
  text: string
  action: string
  onAct: () => void
  isReady?: boolean
  children: ReactNode
}): ReactNode {
  const { tour, name, isReady = true } = props
  const isBusy = tour.busy === name
  return (
    <li className="step">
      <h3>{props.title}</h3>
      <p className="soft small">{props.text}</p>
      {props.children}
      {tour.failure?.step === name && (
        <p role="alert" className="warm small">
          {tour.failure.reason}
        </p>
      )}
      <Action isDisabled={!isReady || tour.busy !== undefined} onClick={props.onAct}>
        {isBusy ? 'Working …' : props.action}
      </Action>
    </li>
  )
}

function Behind(props: { ring: Ring; title: string; events: readonly EventBehind[] }): ReactNode {
  const bots = new Set(props.ring.bots)
  const theirs = props.events.filter(({ person }) => person !== undefined && bots.has(person))
  return (
    <>
      <p>
        Of the newest {props.events.length} events behind “{props.title}”, {theirs.length} are by
        accounts of the ring:
      </p>
      <ul className="plain small">
        {theirs.slice(0, EVENTS_SHOWN).map(event => (
          <li className="line" key={event.id}>
            {event.person} {event.type}, {new Date(event.atMs).toLocaleTimeString()}
            {event.corrected !== undefined && ` (${event.corrected})`}
          </li>
        ))}
      </ul>
    </>
  )
}

function Consequences(props: { plan: DryRun }): ReactNode {
  return (
    <>
      <p>{formatCount(props.plan.effects)} events would be retracted:</p>
      <ul className="plain small">
        {props.plan.consequences.map(({ what, count, samples = [] }) => (
          <li key={what}>
            <strong>{formatCount(count)}</strong> {what}
            {samples.length > 0 && (
              <span className="soft">, such as {samples.slice(0, SAMPLES_SHOWN).join(', ')}</span>
            )}
          </li>
        ))}
      </ul>
    </>
  )
}

const points = (share: number): string =>
  `${share < 0 ? '−' : '+'}${Math.abs(share * 100).toFixed(2)}`

function Gain(props: { prediction: Prediction }): ReactNode {
  const { rule, answers, different, predicted, truth } = props.prediction
  if (predicted === null) {
    return <p>Too few answers so far: let the audience go on for a moment, and ask again.</p>
  }
  const { value, low, high } = predicted
  const least = Math.min(low, truth, 0)
  const span = Math.max(high, truth, 0) - least || 1
  const at = (share: number): string => `${((share - least) / span) * 100}%`
  return (
    <>
      <p>
        {rule}: of {formatCount(answers)} answers {formatCount(different)} would be others.
      </p>
      <div className="interval" aria-hidden="true">
        <span
          className="band"
          style={{ left: at(low), width: `${((high - low) / span) * 100}%` }}
        />
        <span className="mark" style={{ left: at(value) }} />
        <span className="mark is-truth" style={{ left: at(truth) }} />
        <span className="zero" style={{ left: at(0) }} />
      </div>
      <p className="small">
        Predicted gain: <strong>{points(value)} points</strong> of the slots watched, 95 % between{' '}
        {points(low)} and {points(high)}. True gain, which the simulator knows:{' '}
        <strong className="warm">{points(truth)} points</strong>.
      </p>
    </>
  )
}
