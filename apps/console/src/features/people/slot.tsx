import type { ReactNode } from 'react'
import type { SlateItem } from '../../api.ts'
import { Action } from '../../ui/index.tsx'
import { titleOf } from '../catalogue/trending.tsx'
import { metaOf, type Choice } from './choices.ts'

const REASONS_SHOWN = 2

/** One recommended item: what it is, why it is here, what can be done with it. */
export function Slot(props: {
  slot: SlateItem
  isNew: boolean
  isBusy: boolean
  choices: readonly Choice[]
  onChoose: (choice: Choice) => void
}): ReactNode {
  const { slot } = props
  const title = titleOf(slot.attributes, slot.id)
  const marks = `${props.isNew ? 'is-new' : ''} ${slot.isExplored === true ? 'is-exploring' : ''}`
  return (
    <li className={`slot ${marks}`}>
      <h3>
        {props.isNew && <span className="mark">new here</span>}
        {title}
      </h3>
      <div className="meta line">{metaOf(slot)}</div>
      <div className="why">{(slot.reasons ?? []).slice(0, REASONS_SHOWN).join('; ')}</div>
      <div className="actions">
        {props.choices.map(choice => (
          <Action
            key={choice.label}
            isDisabled={props.isBusy}
            label={`${choice.label}: ${title}`}
            onClick={() => props.onChoose(choice)}
          >
            {choice.label}
          </Action>
        ))}
      </div>
    </li>
  )
}
