import type { ReactNode } from 'react'
import type { FeaturedPerson } from '../../api.ts'
import { Avatar, Card } from '../../ui/index.tsx'
import { formatAgo } from '../../ui/format.ts'

/** A few people, what they just did, and whom the reader is looking at. */
export function Audience(props: {
  people: readonly FeaturedPerson[]
  selected: string | undefined
  nowMs: number
  onSelect: (id: string) => void
}): ReactNode {
  return (
    <Card
      title="People"
      note="Simulated, with tastes that the product never sees. Choose one to act as them."
    >
      <ul className="people">
        {props.people.map(person => {
          const last = person.recent[0]
          return (
            <li key={person.id}>
              <button
                type="button"
                className="person"
                aria-pressed={person.id === props.selected}
                onClick={() => props.onSelect(person.id)}
              >
                <Avatar id={person.id} name={person.name} />
                <span className="text">
                  <span className="line" style={{ display: 'block' }}>
                    <strong>{person.name}</strong>{' '}
                    <span className="soft small">{person.isNew ? 'newcomer' : person.country}</span>
                  </span>
                  <span className="line soft small" style={{ display: 'block' }}>
                    {person.isHeld
                      ? 'you act as them'
                      : last === undefined
                        ? 'nothing yet'
                        : `${last.verb} ${last.title}, ${formatAgo(last.atMs, props.nowMs)}`}
                  </span>
                </span>
              </button>
            </li>
          )
        })}
      </ul>
    </Card>
  )
}
