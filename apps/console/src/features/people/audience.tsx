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
                  <span className="lines">
                    <strong>{person.name}</strong>{' '}
                    <span className="soft small">{aside(person, props.nowMs)}</span>
                  </span>
                  <span className="lines soft small">
                    {person.isHeld
                      ? 'you act as them'
                      : last === undefined
                        ? 'nothing yet'
                        : `${last.verb} ${last.title}`}
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

/** Beside the name: where from or since when, and how long ago they did something. */
function aside(person: FeaturedPerson, nowMs: number): string {
  const [last] = person.recent
  const from = person.isNew ? 'newcomer' : person.country
  const ago = last === undefined ? undefined : formatAgo(last.atMs, nowMs)
  return [from, ago].filter(part => part !== undefined).join(' · ')
}
